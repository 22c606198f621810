"""Applications that real servers serve: what visitors get, and what they never get."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from stager.buildpack import PlanContext
from stager.execution.host import ask
from stager.model.host import HostFacts
from stager.model.memory import size_workers
from stager.plugins.php.buildpack import PhpBuildpack
from stager.plugins.php.content_hash import content_hash
from stager.plugins.php.host import MOD_PHP, PHP, TOOLS
from stager.plugins.php.options import PhpOptions
from stager.rendering import REFERENCE, Renderer
from stager.servers.php_fpm import PHP_FPM
from stager.source.tree import Tree

FIXTURES = Path(__file__).parents[3] / "fixtures"
SERVERS = [
    pytest.param(server, marks=pytest.mark.skipif(not ask(tool).is_present, reason=f"needs {tool.name}"))
    for server, tool in (("mod_php", MOD_PHP), ("fpm", PHP_FPM))
]
AS_ROOT = os.geteuid() == 0
USER = "www-data"

#: Answers questions about the PHP that runs it.
PROBE = """<?php
if (isset($_GET['ini'])) { echo ini_get($_GET['ini']); exit; }
if (isset($_GET['env'])) { echo getenv($_GET['env']); exit; }
if (isset($_GET['wait'])) {
    $end = microtime(true) + $_GET['wait'];
    while (microtime(true) < $end) usleep(20000);
    exit('waited');
}
if (isset($_GET['say'])) {
    error_log($_GET['say']);
    trigger_error('a warning', E_USER_WARNING);
    exit('said');
}
header('Content-Type: application/json');
echo json_encode(['server' => $_SERVER, 'files' => $_FILES, 'uid' => posix_getuid(),
    'proxy' => getenv('HTTP_PROXY'), 'in_env' => $_ENV['HOME'] ?? null]);
"""


class Served:
    """A droplet's generated files and an application, started by hand as ``startup`` would start them."""

    def __init__(self, root, source, options, environment):
        self.root = root
        tree = Tree.of_directory(source)
        host = HostFacts({tool.name: tool for tool in TOOLS}, ask)
        self.plan = PhpBuildpack().plan(PlanContext(tree, options, host, grace=5))
        shutil.copytree(source, root / "app", symlinks=True)
        renderer = Renderer()
        for file in self.plan.files:
            path = root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(renderer.render(file.template, file.values))
        (self.web,) = self.plan.processes
        sizing = size_workers(self.web.workers, 512, 200)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root / "app"),
            "TMPDIR": str(root / "tmp"),
            "PORT": str(self.port),
            "VCAP_APP_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": str(sizing.workers),
            self.web.workers.limit_variable: str(sizing.worker_mib),
            "STAGER_ROOT": str(root),
            "STAGER_STATE": str(root),
            "STAGER_SOCKETS": str(root / "run"),
            "STAGER_AS": "root" if AS_ROOT else "user",
            "STAGER_SERVER_USER": USER,
            "STAGER_SERVER_GROUP": USER,
            **{tool.variable: ask(tool).path for tool in self.plan.tools},
            **{name: str(mib) for name, mib in sizing.shares},
            **environment,
        }
        for name, value in self.web.environment.items():
            self.environment[name] = self.expanded(value)
        for name in ("tmp", "run"):
            (root / name).mkdir()
            if AS_ROOT:
                shutil.chown(root / name, USER, USER)
        self.log = root / "log"
        self.running = []

    def expanded(self, word):
        # As in bash: what is not set is empty.
        return REFERENCE.sub(lambda found: self.environment.get(found[1], "") if found[1] else "$", word)

    def check(self):
        return [self.finished(argv) for argv in self.web.checks]

    def finished(self, argv):
        with open(self.root / "check.log", "w+") as log:
            words = [self.expanded(word) for word in argv]
            done = subprocess.run(words, env=self.environment, stdout=log, stderr=log, check=False)
            log.seek(0)
            return done.returncode, log.read()

    def start(self):
        for companion in self.web.companions:
            self.spawn(companion.command, companion.stop_signal)
            self.wait_for(Path(self.expanded(companion.ready_socket)).exists)
        self.spawn(self.web.command, self.web.stop_signal)
        self.wait_for(self.is_listening)
        return self

    def spawn(self, argv, stop_signal):
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [self.expanded(word) for word in argv],
                env=self.environment,
                cwd=self.root / "app",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append((process, stop_signal))

    def wait_for(self, is_so):
        deadline = time.monotonic() + 60
        while not is_so():
            assert self.running[-1][0].poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def is_listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            answer.text = answer.read().decode("latin-1")
            return answer
        finally:
            connection.close()

    def stop(self):
        statuses = []
        for process, name in reversed(self.running):
            process.send_signal(getattr(signal, f"SIG{name}"))
            statuses.append(process.wait(20))
        return statuses

    def end(self):
        for process, _ in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def application(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture
def serve(tmp_path):
    """Starts servers for a source; they are gone after the test."""
    started = []

    def start(source, environment=None, **options):
        root = tmp_path / f"a droplet {len(started)}"
        root.mkdir()
        served = Served(root, source, PhpOptions(**options), environment or {})
        started.append(served)
        return served.start()

    yield start
    for served in started:
        served.end()


SECRETS = (
    ".env", ".git/config", ".user.ini", ".well-known/.env", "sub/.hidden/x.txt", "sub/.htpasswd",
    "Composer.json", "composer.phar", "composer.local.json", "sub/composer.json", "Procfile",
    "Procfile.dev", "stager.yml", "sub/stager.yml", ".stager/secret", "vendor/x/a.txt", "x.phps",
    "index.php~", "index.php.bak",
)  # fmt: skip
NEVER = (
    "/.env", "/.ENV", "/%2eenv", "/%2Eenv", "//.env", "/sub/..//.env", "/./.env", "/.env/", "/.env?x",
    "/.git", "/.git/", "/.git/config", "/.user.ini", "/.htaccess", "/.well-known/.env",
    "/sub/.hidden/x.txt", "/sub/.htpasswd", "/composer.json", "/COMPOSER.JSON", "/composer%2ejson",
    "/composer.json/x", "/composer.lock", "/Composer.json", "/composer.phar", "/composer.local.json",
    "/sub/composer.json", "/Procfile", "/procfile", "/Procfile.dev", "/stager.yml", "/Stager.YML",
    "/sub/stager.yml", "/.stager/secret", "/vendor", "/vendor/", "/vendor/x/a.txt", "/VENDOR/x/a.txt",
    "//vendor//x/a.txt", "/%76endor/x/a.txt", "/vendor%2fx/a.txt", "/sub/../vendor/x/a.txt", "/x.phps",
    "/index.php~", "/index.php.bak", "/leak", "/leak2", "/.%00env", "/%252eenv", "/server-status",
    "/missing.php", "/sub/",
)  # fmt: skip
ALWAYS = (
    "/",
    "/index.php",
    "/a.txt",
    "/css/a.css",
    "/.well-known/ok.txt",
    "/vendors.txt",
    "/sub/composer.html",
)


@pytest.mark.parametrize("server", SERVERS)
def test_what_is_not_for_visitors_is_never_served_whatever_an_htaccess_grants(serve, tmp_path, server):
    manifest = {"name": "a/b"}
    lock = {"packages": [], "content-hash": content_hash(manifest)}
    files = {
        **dict.fromkeys(SECRETS, "a secret"),
        **dict.fromkeys((path[1:] for path in ALWAYS if path != "/"), "for everybody"),
        "composer.json": json.dumps(manifest),
        "composer.lock": json.dumps(lock),
        "index.php": "for <?= 'everybody' ?>",
        ".user.ini": "",
        ".htaccess": "Require all granted\nOrder allow,deny\nAllow from all\nSatisfy Any\nRewriteEngine On\n"
        "RewriteRule ^leak$ /.env [L]\nRewriteRule ^leak2$ composer.json [L]\n",
        "vendor/autoload.php": "",
        "vendor/composer/installed.json": '{"packages": []}',
    }
    served = serve(application(tmp_path / "source", files), server=server)
    answers = {path: served.get(path) for path in NEVER}
    assert {path: answer.status for path, answer in answers.items() if answer.status not in {403, 404}} == {}
    assert [path for path, answer in answers.items() if "secret" in answer.text] == []
    assert {path: served.get(path).text for path in ALWAYS} == dict.fromkeys(ALWAYS, "for everybody")


@pytest.mark.parametrize("server", SERVERS)
def test_the_request_reaches_php_as_the_router_saw_it(serve, tmp_path, server):
    served = serve(
        application(tmp_path / "source", {"composer.json": "{}", "public/index.php": PROBE}), server=server
    )
    headers = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "Authorization": "Bearer a.b",
        "Proxy": "http://evil.example",
    }
    answer = json.loads(served.get("/a/b%20c?d=1", **headers).text)
    request = answer["server"]
    assert request["REMOTE_ADDR"] == "203.0.113.9"
    assert request["HTTPS"] == "on"
    assert request["HTTP_AUTHORIZATION"] == "Bearer a.b"
    assert (request["REQUEST_URI"], request["SCRIPT_NAME"]) == ("/a/b%20c?d=1", "/index.php")
    assert answer["proxy"] is False
    assert "HTTPS" not in json.loads(served.get("/", X_Forwarded_Proto="http").text)["server"]
    assert json.loads(served.get("/index.php/more?x").text)["server"]["PATH_INFO"] == "/more"
    assert served.get("/", method="TRACE").status == 405
    plain = served.get("/")
    assert (plain.headers["Server"], plain.headers["X-Powered-By"]) == ("Apache", None)
    log = served.log.read_text()
    assert "203.0.113.9 - - [" in log
    assert '"GET /a/b%20c?d=1 HTTP/1.1" 200 ' in log


@pytest.mark.parametrize("server", SERVERS)
def test_the_environment_reaches_php_to_the_byte(serve, tmp_path, server):
    services = '{"a b": "\'\\"$(id) ${PORT} `x` %{y}\nnext\t' + "ü€😀 ;#" + '"}' + "x" * 20_000
    source = application(tmp_path / "source", {"index.php": PROBE})
    served = serve(source, {"VCAP_SERVICES": services, "EMPTY": "", "MINE": "a=b"}, server=server)

    def getenv(name):
        return served.get(f"/?env={name}").text.encode("latin-1").decode()

    assert getenv("VCAP_SERVICES") == services
    assert (getenv("EMPTY"), getenv("MINE"), getenv("PORT")) == ("", "a=b", str(served.port))
    assert (getenv("HOME"), getenv("TMPDIR")) == (str(served.root / "app"), str(served.root / "tmp"))
    answer = json.loads(served.get("/").text)
    assert answer["in_env"] == str(served.root / "app")
    assert answer["uid"] != 0
    assert "$(id)" not in "".join(path.read_text() for path in served.root.rglob("*.conf"))


@pytest.mark.parametrize("server", SERVERS)
def test_settings_are_in_force_in_their_order(serve, server):
    served = serve(
        FIXTURES / "php_settings",
        server=server,
        memory_limit="256M",
        ini={"max_input_vars": "2000", "error_reporting": "E_ALL & ~E_NOTICE", "max_execution_time": "5"},
    )
    names = {
        "memory_limit": "64M",
        "upload_max_filesize": "20M",
        "post_max_size": str(24 << 20),
        "date.timezone": "Europe/Paris",
        "max_execution_time": "77",
        "max_input_vars": "2000",
        "error_reporting": str(32767 & ~8),
        "display_errors": "0",
        "expose_php": "0",
        "opcache.enable": "1",
        "opcache.memory_consumption": "64",
    }
    answer = served.get(f"/?names={'%20'.join(names)}")
    assert dict(line.split("=", 1) for line in answer.text.splitlines()) == names
    assert answer.headers["X-Extra"] == "yes"


@pytest.mark.parametrize("server", SERVERS)
def test_what_was_lowered_for_the_budget_stays_lowered(serve, tmp_path, server):
    source = application(
        tmp_path / "source", {"index.php": PROBE, ".stager/php/a.ini": "memory_limit = 300M\n"}
    )
    served = serve(source, {"STAGER_PHP_MEMORY_LIMIT": "90"}, server=server)
    assert served.get("/?ini=memory_limit").text == "90M"


@pytest.mark.parametrize("server", SERVERS)
def test_the_distributions_extensions_are_loaded(serve, tmp_path, server):
    served = serve(
        application(tmp_path / "source", {"index.php": "<?= extension_loaded('posix') ?>"}), server=server
    )
    assert served.get("/").text == "1"


@pytest.mark.parametrize("server", SERVERS)
def test_files_are_uploaded_into_the_droplets_own_tmp(serve, tmp_path, server):
    served = serve(application(tmp_path / "source", {"index.php": PROBE}), server=server)
    head = b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
    body = head + b"z" * (6 << 20) + b"\r\n--B--\r\n"
    answer = served.get("/", "POST", body, Content_Type="multipart/form-data; boundary=B")
    file = json.loads(answer.text)["files"]["f"]
    assert (file["error"], file["size"]) == (0, 6 << 20)
    assert file["tmp_name"].startswith(str(served.root / "tmp"))


@pytest.mark.parametrize("server", SERVERS)
def test_a_request_in_flight_is_answered_when_the_server_is_stopped(serve, tmp_path, server, wait_until_read):
    served = serve(application(tmp_path / "source", {"index.php": PROBE}), server=server)
    idle = socket.create_connection(("127.0.0.1", served.port))
    slow = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    slow.request("GET", "/?wait=1.5")
    wait_until_read(slow.sock)
    statuses = served.stop()
    idle.close()
    assert slow.getresponse().read() == b"waited"
    slow.close()
    assert set(statuses) == {0}
    assert not served.is_listening()


@pytest.mark.parametrize("server", SERVERS)
def test_what_php_says_is_in_the_log_and_not_in_the_answer(serve, tmp_path, server):
    served = serve(application(tmp_path / "source", {"index.php": PROBE}), server=server)
    assert served.get("/?say=hello%20log").text == "said"
    served.stop()
    log = served.log.read_text()
    assert "hello log" in log
    assert "a warning" in log


@pytest.mark.parametrize("server", SERVERS)
def test_htaccess_rewrites_and_access_rules_of_both_generations_work(serve, server):
    served = serve(FIXTURES / "php_htaccess", server=server)
    assert served.get("/article/42").text == "article 42\n"
    assert served.get("/hidden.txt").status == 403
    expected = "text/plain;charset=" + ("ISO-8859-15" if server == "mod_php" else "UTF-8")
    assert served.get("/article/1").headers["Content-Type"] == expected


@pytest.mark.parametrize("server", SERVERS)
def test_without_a_front_controller_a_missing_page_is_a_404(serve, server):
    served = serve(FIXTURES / "php_plain", server=server)
    assert [served.get(path).status for path in ("/", "/about.php", "/nothing", "/no.php")] == [
        200,
        200,
        404,
        404,
    ]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["laravel", "symfony", "wordpress", "drupal", "cakephp", "slim"])
def test_the_front_controller_gets_what_is_no_file(serve, server, name):
    served = serve(FIXTURES / f"php_{name}", server=server)
    assert [answer[1] for answer in served.check()] == ["Syntax OK\n", ""][: len(served.web.checks)]
    for path in ("/", "/some/page", "/page.php", "/index.php"):
        answer = served.get(path)
        assert (answer.status, path.replace("/", "\\/") in answer.text or path in answer.text) == (200, True)


@pytest.mark.parametrize("server", SERVERS)
def test_a_release_with_other_content_is_never_a_304(serve, tmp_path, server):
    files = {"index.php": "", "a.css": "one", "a.pdf": "one"}
    source = application(tmp_path / "source", files)
    for path in source.iterdir():
        os.utime(path, (315532800, 315532800))
    first = serve(source, server=server)
    etag = first.get("/a.css").headers["ETag"]
    assert first.get("/a.css", If_None_Match=etag).status == 304
    since = "Sat, 01 Jan 2022 00:00:00 GMT"
    assert first.get("/a.css", If_Modified_Since=since).status == 200
    pdf = first.get("/a.pdf", If_Modified_Since=since)
    assert (pdf.status, pdf.headers["Last-Modified"], pdf.headers["ETag"]) == (200, None, None)
    (source / "a.css").write_text("two")
    os.utime(source / "a.css", (315532800, 315532800))
    assert serve(source, server=server).get("/a.css", If_None_Match=etag).text == "two"


@pytest.mark.parametrize("server", SERVERS)
def test_headers_that_a_script_sends_are_its_own(serve, tmp_path, server):
    page = "<?php header('Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT'); header('ETag: \"x\"');"
    served = serve(application(tmp_path / "source", {"index.php": page}), server=server)
    answer = served.get("/")
    assert (answer.headers["Last-Modified"], answer.headers["ETag"]) == (
        "Sat, 01 Jan 2022 00:00:00 GMT",
        '"x"',
    )


@pytest.mark.skipif(not ask(PHP).is_present, reason="needs PHP's command line")
def test_the_entry_files_of_the_fixtures_parse():
    for folder in FIXTURES.glob("php_*"):
        host = HostFacts({tool.name: tool for tool in TOOLS}, ask)
        made = PhpBuildpack().plan(PlanContext(Tree.of_directory(folder), PhpOptions(), host))
        for check in made.syntax_checks:
            argv = ["php", "-n", *check.arguments, folder / check.path.removeprefix("app/")]
            assert subprocess.run(argv, capture_output=True, check=False).returncode == 0

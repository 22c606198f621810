"""Apache and mod_wsgi, started as startup will start them, and asked over HTTP."""

import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from stager.execution.host import ask
from stager.rendering import REFERENCE, Renderer
from stager.servers.apache import APACHE, MODULES
from stager.servers.mod_wsgi import MOD_WSGI, MOD_WSGI_SERVER
from stager.servers.python_application import Mount, PythonApplication, StaticFolder

MODULE = ask(MOD_WSGI)
PYTHON = shutil.which(f"python{MODULE.version}", path="/usr/bin")
UV = Path(sys.executable).with_name("uv")
pytestmark = pytest.mark.skipif(
    not (ask(APACHE).is_present and MODULE.version and PYTHON and UV.exists()),
    reason="needs Apache, mod_wsgi, the Python that it is for, and uv",
)
# A socket's path may have 107 bytes; a Define, a pattern, a string and a shell each trip over some of these.
ODD = 'it\'s "a" $HOME:${PATH} %{x} 100% [a-z]* {b} \\n <c> ~ #é ' + "x" * 90
SECRET = b'{"a": "\xff\xe9 ${PATH} $x %{HTTP_HOST} \\ \\n \n"}'

ECHO = """
import json, os, sys, time
print("printed é")
print("and to stderr", file=sys.stderr)
SEEN = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_LENGTH", "CONTENT_TYPE",
        "HTTP_AUTHORIZATION", "HTTP_TRANSFER_ENCODING", "HTTP_X_LONG", "wsgi.url_scheme", "HTTP_HOST")

def process(environ, start_response):
    query = environ["QUERY_STRING"]
    if query.startswith("sleep="):
        time.sleep(float(query[6:]))
    if query == "raise":
        environ["wsgi.errors"].write("told\\n")
        raise ValueError("é" * 20)
    body = environ["wsgi.input"].read()
    seen = {name: environ.get(name) for name in SEEN}
    seen |= {"body": len(body), "pid": os.getpid()}
    if query == "process":
        seen |= {
            "environ": {n.decode("latin-1"): v.decode("latin-1") for n, v in os.environb.items()},
            "cwd": os.getcwd(), "ids": [os.getuid(), os.geteuid(), os.getgid()], "path": sys.path,
            "encoding": sys.getfilesystemencoding(), "prefix": sys.prefix, "executable": sys.executable,
        }
    answer = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""
DJANGO = """
import os
from django.conf import settings
settings.configure(ROOT_URLCONF="urls", SECRET_KEY="NAME", ALLOWED_HOSTS=["*"])
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
URLS = """
from django.conf import settings
from django.http import JsonResponse
from django.urls import path, re_path
def view(request, rest=""):
    return JsonResponse({"key": settings.SECRET_KEY, "path": request.path, "info": request.path_info})
urlpatterns = [re_path("^(?P<rest>.*)$", view)]
"""
SLOW = """
import time
from echo import process
def tarry(environ, start_response):
    environ["QUERY_STRING"] and time.sleep(30)
    return process(environ, start_response)
"""
MOUNT = Mount(module="echo", callable="process")
ONE = PythonApplication(mounts=(MOUNT,), interface="wsgi", minor=MODULE.version)


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """What lies in deps/python."""
    folder = tmp_path_factory.mktemp("deps") / "python"
    target = folder / f"lib/python{MODULE.version}/site-packages"
    words = [UV, "pip", "install", "--quiet", "--python", PYTHON, "--target", target, "django", "gunicorn"]
    subprocess.run(words, check=True)
    return folder


class Droplet:
    """What a build and startup make, without them."""

    def __init__(self, application, packages, root, files, *, is_root=False, processes=1, extra=None):
        self.root, self.is_root = root, is_root
        served = MOD_WSGI_SERVER.serve(application)
        self.process = served.process
        renderer = Renderer()
        for file in served.files:
            self.write(file.path, renderer.render(file.template, file.values))
        for name, text in {"echo.py": ECHO, **files}.items():
            self.write(f"app/{name}", text)
        (root / "deps").mkdir()
        (root / "deps/python").symlink_to(packages)
        self.sockets = Path(tempfile.mkdtemp(prefix="stager.", dir="/tmp"))
        safe = root
        if re.search(r"[^A-Za-z0-9/._+@,= -]", str(root)):
            safe = self.sockets / "droplet"
            safe.symlink_to(root)
        self.make_environment(safe)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-hR", "www-data:www-data", self.sockets], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.variables = {
            "STAGER_APACHE": ask(APACHE).path, "STAGER_APACHE_MODULES": ask(MODULES).path,
            "STAGER_MOD_WSGI": MODULE.path, "STAGER_DROPLET": str(root), "STAGER_ROOT": str(safe),
            "STAGER_STATE": str(safe), "STAGER_SOCKETS": str(self.sockets), "STAGER_SERVER_USER": "www-data",
            "STAGER_SERVER_GROUP": "www-data", "STAGER_AS": "root" if is_root else "user",
            "STAGER_INSTANCE": f"{os.getpid()}.{time.monotonic_ns()}", "HOME": str(root / "app"),
            "PORT": str(self.port), "VCAP_APP_HOST": "127.0.0.1", "WEB_CONCURRENCY": str(processes),
            "STAGER_PROCESSES": str(processes), "STAGER_THREADS": "3", "PATH": os.environ["PATH"],
            "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        for name, value in self.process.environment.items():
            self.variables[name] = self.expand(value)
        self.environment = {os.fsencode(name): os.fsencode(value) for name, value in self.variables.items()}
        self.environment |= extra or {}
        self.output, self.errors = root / "stdout.log", root / "stderr.log"

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    def make_environment(self, safe):
        site = self.sockets / f"python/lib/python{MODULE.version}/site-packages"
        site.mkdir(parents=True)
        settings = "home = /usr/bin\ninclude-system-site-packages = false\n"
        (self.sockets / "python/pyvenv.cfg").write_text(settings)
        (self.sockets / "python/bin").mkdir()
        (self.sockets / "python/bin/python").symlink_to(PYTHON)
        folder = f"{safe}/deps/python/lib/python{MODULE.version}/site-packages"
        (site / "stager.pth").write_text(f'import site; site.addsitedir("{folder}")\n')

    def expand(self, word):
        return REFERENCE.sub(lambda found: self.variables[found[1]], word)

    def words(self, argv):
        drop = ["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups"]
        return [*(drop if os.geteuid() == 0 and not self.is_root else ()), *map(self.expand, argv)]

    def __enter__(self):
        for file in (self.output, self.errors):
            file.write_bytes(b"")
            file.chmod(0o666)
        with open(self.output, "ab") as output, open(self.errors, "ab") as errors:
            self.server = subprocess.Popen(
                self.words(self.process.command), env=self.environment, stdout=output, stderr=errors,
                cwd=self.root / "app", start_new_session=True,
            )  # fmt: skip
        wait_until(self.listens)
        return self

    def listens(self):
        assert self.server.poll() is None, self.errors.read_text()
        return listens(self.port)

    def __exit__(self, *_):
        self.server.poll() is None and self.server.kill()
        self.server.wait()
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.sockets)

    def get(self, path, method="GET", body=None, **headers):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        client.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        client.close()
        return found

    def ask(self, path, **rest):
        status, _, body = self.get(path, **rest)
        assert status == 200, (status, body, self.errors.read_text())
        return json.loads(body)

    def pids(self):
        mark = b"STAGER_INSTANCE=" + self.environment[b"STAGER_INSTANCE"]
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes().split(b"\0"):
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def stop(self):
        self.server.send_signal(getattr(signal, f"SIG{self.process.stop_signal}"))
        return self.server.wait(20)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module", params=["root", "user"])
def echo(request, packages, tmp_path_factory):
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("only root can start Apache as root")
    root = tmp_path_factory.mktemp("droplet") / ODD
    root.mkdir()
    static = (StaticFolder(url="/static", directory="app/so me/stätic & co"),)
    files = {
        f"so me/stätic & co/{name}": text
        for name, text in {
            "a.css": "body{}" * 500, "app.1a2b3c4d.js": "1", "report.20261121.txt": "2", ".env": "s",
            "d/é.txt": "3", ".well-known/x": "4", "a b%41.txt": "5", "Procfile": "s", "stager.yml": "s",
            "procfile.txt": "s",
        }.items()
    }  # fmt: skip
    files[".stager/apache/own.conf"] = "Header set X-Own yes\n"
    extra = {b"VCAP_SERVICES": SECRET, b"LANG": b"de_DE.ISO-8859-1"}
    application = replace(ONE, static=static)
    droplet = Droplet(
        application, packages, root, files, is_root=request.param == "root", processes=2, extra=extra
    )
    with droplet:
        yield droplet


def test_apache_has_nothing_to_say_about_the_configuration(echo):
    (check,) = echo.process.checks
    words = echo.words(check)
    done = subprocess.run(words, env=echo.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "Syntax OK\n")


def test_the_application_finds_what_it_finds_under_other_servers(echo):
    seen = echo.ask("/?process")
    given = {name.decode(): value.decode("latin-1") for name, value in echo.environment.items()}
    del given["STAGER_LC_ALL"]
    # setpriv sets these; mod_wsgi adds nothing.
    assert {name: value for name, value in seen["environ"].items() if name in given or "LC" in name} == given
    assert seen["environ"]["VCAP_SERVICES"].encode("latin-1") == SECRET
    assert seen["cwd"] == str(echo.root / "app")
    assert 0 not in seen["ids"]
    assert seen["encoding"] == "utf-8"
    assert seen["prefix"] == f"{echo.sockets}/python"
    assert seen["executable"] == f"{echo.sockets}/python/bin/python"
    assert not any("dist-packages" in folder or "/usr/local" in folder for folder in seen["path"])


def test_what_it_prints_is_in_the_log_as_it_is(echo):
    echo.ask("/")
    assert "printed é\n" in echo.output.read_text()
    assert echo.get("/?raise")[0] == 500
    errors = echo.errors.read_text()
    assert "and to stderr\n" in errors
    assert "told\n" in errors


REQUESTS = {
    "root": b"GET / HTTP/1.1\r\n",
    "query": b"GET /a?b=%20c&d HTTP/1.1\r\n",
    "double slashes": b"GET //a///b//?x=//y HTTP/1.1\r\n",
    "encoded slash": b"GET /a%2Fb%2f%2fc HTTP/1.1\r\n",
    "encoded": b"GET /%C3%A9%ff%20%3f%25 HTTP/1.1\r\n",
    "of the application": b"GET /.well-known/x/.git/stager.yml HTTP/1.1\r\n",
    "procfile": b"GET /Procfile HTTP/1.1\r\n",
    "no file": b"GET /static/missing.css?x HTTP/1.1\r\n",
    "a folder": b"GET /static/ HTTP/1.1\r\n",
    "below a file": b"GET /static/a.css/x HTTP/1.1\r\n",
    "hidden": b"GET /static/.env HTTP/1.1\r\n",
    "authorization": b"GET / HTTP/1.1\r\nAuthorization: Bearer x\r\n",
    "https": b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n",
    "long": b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 8000 + b"\r\n",
    "head": b"HEAD /x HTTP/1.1\r\n",
    "delete": b"DELETE /x HTTP/1.1\r\n",
    "body": b"POST /x HTTP/1.1\r\nContent-Length: 5\r\nContent-Type: a/b\r\n\r\nhello",
    "chunked": b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    "expect": b"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
}


def exchange(port, request):
    head, _, body = request.partition(b"\r\n\r\n")
    text = head.removesuffix(b"\r\n") + b"\r\nHost: example.org\r\nConnection: close\r\n\r\n" + body
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(text)
        answer = b""
        while data := client.recv(65536):
            answer += data
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    seen = json.loads(body) if body.startswith(b"{") else {"": body}
    seen.pop("pid", None)
    return head.split(b" ", 2)[1], seen


@pytest.fixture(scope="module")
def reference(packages, tmp_path_factory):
    """The same application under gunicorn: the port."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "echo.py").write_text(ECHO)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    modules = f"{packages}/lib/python{MODULE.version}/site-packages"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": modules}
    words = [PYTHON, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--no-control-socket", "echo:process"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(words, env=environment, cwd=folder, **quiet)
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_looks_as_under_gunicorn(echo, reference, name):
    assert exchange(echo.port, REQUESTS[name]) == exchange(reference, REQUESTS[name])


FOR_EVER, SHORT = "max-age=315360000, public, immutable", "max-age=60, public"


@pytest.mark.parametrize(
    ("url", "text", "caching"),
    [
        ("/static/a.css", b"body{}" * 500, SHORT),
        ("/static/app.1a2b3c4d.js", b"1", FOR_EVER),
        ("/static/report.20261121.txt", b"2", SHORT),
        ("/static/d/%C3%A9.txt", b"3", SHORT),
        ("/static/.well-known/x", b"4", SHORT),
        ("/static/a%20b%2541.txt", b"5", SHORT),
    ],
)
def test_apache_sends_what_is_in_a_static_folder(echo, url, text, caching):
    status, headers, body = echo.get(url)
    assert (status, body, headers["Cache-Control"]) == (200, text, caching)
    assert "Last-Modified" not in headers
    assert headers["X-Own"] == "yes"
    assert echo.get(url, "HEAD")[:2] == (200, {**headers, "Date": echo.get(url, "HEAD")[1]["Date"]})


def test_an_unchanged_file_is_not_sent_again_compressed_or_not(echo):
    for coding in ("identity", "gzip"):
        status, headers, body = echo.get("/static/a.css", Accept_Encoding=coding)
        text = gzip.decompress(body) if coding == "gzip" else body
        assert (status, text) == (200, b"body{}" * 500)
        again = echo.get("/static/a.css", Accept_Encoding=coding, If_None_Match=headers["ETag"])
        assert (again[0], again[2]) == (304, b"")
    late = echo.get("/static/a.css", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert late[0] == 200


@pytest.mark.parametrize(
    "url",
    [
        "/static/.env", "/static/Procfile", "/static/procfile.txt", "/static/stager.yml", "/static/d",
        "/static/..%2f..%2fecho.py", "/static/%2e%2e/echo.py", "/echo.py", "/README", "/mod_wsgi/1.wsgi",
        "/static%2f..%2f..%2fapache/apache2.conf",
    ],
)  # fmt: skip
def test_everything_else_is_for_the_application(echo, url):
    assert echo.ask(url)["REQUEST_METHOD"] == "GET"


def test_each_of_two_django_sites_has_an_interpreter_of_its_own(packages, tmp_path):
    files = {}
    for name in ("one", "two"):
        files |= {f"{name}/site_wsgi.py": DJANGO.replace("NAME", name), f"{name}/urls.py": URLS}
    mounts = tuple(
        Mount(url=url, module="site_wsgi", callable="application", folder=folder, is_django=True)
        for url, folder in (("/two/ünter", "two"), ("/one", "one"))
    )
    with Droplet(replace(ONE, mounts=mounts), packages, tmp_path, files) as droplet:
        assert droplet.ask("/one/a//b") == {"key": "one", "path": "/one/a//b", "info": "/a//b"}
        assert droplet.ask("/two/%C3%BCnter/x") == {"key": "two", "path": "/two/ünter/x", "info": "/x"}
        assert [droplet.get(url)[0] for url in ("/", "/README", "/twofold", "/apache2.conf")] == [404] * 4


def test_factories_and_files_that_no_import_finds_are_served(packages, tmp_path):
    made = "from echo import process\ndef make():\n    return process\n"
    mounts = (
        Mount(url="/file", module="bin/my-app.wsgi", callable="make", is_factory=True, is_file=True),
        Mount(url="/", module="pack.made", callable="make", is_factory=True, folder="src"),
    )
    files = {"bin/my-app.wsgi": made, "src/pack/made.py": made, "src/pack/__init__.py": ""}
    with Droplet(replace(ONE, mounts=mounts), packages, tmp_path, files) as droplet:
        assert droplet.ask("/file/x")["SCRIPT_NAME"] == "/file"
        assert droplet.ask("/files")["SCRIPT_NAME"] == ""


def test_what_fails_at_import_shows_its_traceback_once(packages, tmp_path):
    files = {"echo.py": "def process(): pass\nprint('é')\nimport nothing_like_it\n"}
    with Droplet(ONE, packages, tmp_path, files) as droplet:
        assert [droplet.get("/")[0] for _ in range(3)] == [500] * 3
        errors = droplet.errors.read_text()
        assert "\nModuleNotFoundError: No module named 'nothing_like_it'\n" in errors
        assert errors.count("nothing_like_it'") == 1


def test_another_python_than_the_modules_is_a_clear_error(packages, tmp_path):
    with Droplet(replace(ONE, minor="3.99"), packages, tmp_path, {}) as droplet:
        assert droplet.get("/")[0] == 500
        message = "ImportError: this droplet is for Python 3.99, and mod_wsgi for 3."
        assert message in droplet.errors.read_text()


def test_a_process_whose_requests_take_too_long_is_replaced_and_says_why(packages, tmp_path):
    files = {"slow.py": SLOW}
    application = replace(ONE, mounts=(Mount(module="slow", callable="tarry"),), request_seconds=1)
    with Droplet(application, packages, tmp_path, files) as droplet, ThreadPoolExecutor() as pool:
        # A second in the queue is not enough for a start while the machine is busy.
        wait_until(lambda: droplet.get("/")[0] == 200)
        before = droplet.ask("/")["pid"]
        answers = [pool.submit(droplet.get, "/?x") for _ in range(3)]
        assert {answer.result()[0] for answer in answers} <= {500, 504}
        wait_until(lambda: before not in droplet.pids())
        wait_until(lambda: droplet.get("/")[0] == 200)
        errors = droplet.errors.read_text()
        assert f"process {before} is given up" in errors
        assert errors.count('slow.py", line 5 in tarry') == 3


def test_requests_in_flight_are_answered_when_it_is_stopped(packages, tmp_path):
    with Droplet(ONE, packages, tmp_path, {}) as droplet, ThreadPoolExecutor(9) as pool:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n"
        upload = socket.create_connection(("127.0.0.1", droplet.port), timeout=20)
        upload.sendall(head + b"x" * 100000)
        # Three threads: two of these wait for one.
        sleeping = [pool.submit(droplet.ask, "/?sleep=1") for _ in range(4)]
        time.sleep(0.6)
        stopping = pool.submit(droplet.stop)
        wait_until(lambda: not listens(droplet.port))
        upload.sendall(b"x" * 100000)
        with upload, upload.makefile("rb") as answer:
            assert b'"body": 200000' in answer.read()
        assert [request.result()["body"] for request in sleeping] == [0] * 4
        assert stopping.result() == 0
        assert droplet.pids() == []
        assert sorted(path.name for path in droplet.sockets.iterdir()) == ["python"]


@pytest.mark.parametrize("name", ["HUP", "USR1"])
def test_a_signal_to_restart_leaves_what_serves_and_nothing_else(packages, tmp_path, name):
    with Droplet(ONE, packages, tmp_path, {}) as droplet:
        before = droplet.ask("/")["pid"]
        droplet.server.send_signal(getattr(signal, f"SIG{name}"))
        wait_until(lambda: before not in droplet.pids())
        assert droplet.ask("/")["pid"] != before
        wait_until(lambda: len(droplet.pids()) == 3)


def test_term_twice_ends_everything(packages, tmp_path):
    with Droplet(ONE, packages, tmp_path, {}) as droplet, ThreadPoolExecutor() as pool:
        pool.submit(droplet.get, "/?sleep=2")
        time.sleep(0.3)
        droplet.server.terminate()
        time.sleep(0.1)
        droplet.server.terminate()
        droplet.server.wait(10)
        assert droplet.pids() == []


@pytest.mark.parametrize("is_root", [True, False])
def test_when_apaches_first_process_is_killed_no_other_stays(packages, tmp_path, is_root):
    if is_root and os.geteuid() != 0:
        pytest.skip("only root can start Apache as root")
    with Droplet(ONE, packages, tmp_path, {}, processes=2, is_root=is_root) as droplet:
        droplet.ask("/")
        assert len(droplet.pids()) == 4
        droplet.server.kill()
        # A process is no longer listed a moment before its sockets are closed.
        wait_until(lambda: droplet.pids() == [] and not listens(droplet.port), 3)

"""Apache's configuration, checked by Apache itself."""

import os
import shutil
import subprocess

import pytest

from stager.errors import ConfigurationError
from stager.execution.host import ask
from stager.rendering import REFERENCE, Renderer
from stager.servers.apache import APACHE, MODULES, Site, apache_check, apache_command, apache_files
from stager.servers.php_fpm import PHP_FPM, fpm_check, fpm_companion, fpm_files

needs_apache = pytest.mark.skipif(not ask(APACHE).is_present, reason="Apache checks its own configuration")
needs_fpm = pytest.mark.skipif(not ask(PHP_FPM).is_present, reason="php-fpm checks its own configuration")


def write(root, files):
    renderer = Renderer()
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(renderer.render(file.template, file.values))
    for name in ("app", "tmp", "run"):
        (root / name).mkdir(exist_ok=True)


def rendered(site):
    renderer = Renderer()
    return {file.path: renderer.render(file.template, file.values) for file in apache_files(site)}


def environment(root, workers=4):
    return {
        "PATH": os.environ["PATH"],
        "STAGER_APACHE": ask(APACHE).path,
        "STAGER_APACHE_MODULES": ask(MODULES).path,
        "STAGER_PHP_FPM": ask(PHP_FPM).path,
        "STAGER_ROOT": str(root),
        "STAGER_STATE": str(root),
        "STAGER_SOCKETS": str(root / "run"),
        "STAGER_AS": "root" if os.geteuid() == 0 else "user",
        "STAGER_SERVER_USER": "www-data",
        "STAGER_SERVER_GROUP": "www-data",
        "STAGER_PHP_MEMORY_LIMIT": "128",
        "HOME": str(root / "app"),
        "PORT": "8080",
        "VCAP_APP_HOST": "127.0.0.1",
        "WEB_CONCURRENCY": str(workers),
    }


def check(argv, variables):
    words = [REFERENCE.sub(lambda found: variables[found[1]], word) for word in argv]
    # A file, not a pipe: php-fpm opens /dev/stderr anew.
    with open(f"{variables['STAGER_ROOT']}/check.log", "w+") as log:
        done = subprocess.run(words, env=variables, stdout=log, stderr=log, check=False)
        log.seek(0)
        return done.returncode, log.read()


@needs_apache
@pytest.mark.parametrize("mpm", ["prefork", "event"])
@pytest.mark.parametrize("workers", [1, 2, 3, 5, 20, 64, 120, 200])
def test_for_any_number_of_workers_apache_has_nothing_to_say(tmp_path, mpm, workers):
    root = tmp_path / "with a space"
    root.mkdir()
    write(root, apache_files(Site(document_root="app", mpm=mpm, grace=10)))
    assert check(apache_check(), environment(root, workers)) == (0, "Syntax OK\n")


@pytest.mark.parametrize(("answering", "servers", "each"), [(120, 2, 64), (121, 2, 65), (248, 1, 256)])
def test_there_are_threads_for_what_the_application_answers_and_some_more(answering, servers, each):
    site = Site(document_root="app", mpm="event", grace=10, answering=answering, servers=servers)
    lines = rendered(site)["apache/apache2.conf"].splitlines()
    total = servers * each
    # A process that is one too many would close connections that clients are about to use.
    wanted = {f"MaxRequestWorkers {total}", f"MaxSpareThreads {total}", f"ServerLimit {servers}"}
    assert wanted | {f"ThreadsPerChild {each}", f"ThreadLimit {each}"} <= set(lines)


def test_a_site_may_bring_its_own_template():
    site = Site(
        document_root="apache/htdocs",
        mpm="event",
        grace=10,
        template="apache/ports.conf.j2",
        values={"mpm": "ours wins", "own": 1},
    )
    (own,) = (file for file in apache_files(site) if file.path == "apache/sites-available/default")
    assert own.template == "apache/ports.conf.j2"
    assert (own.values["mpm"], own.values["own"]) == ("event", 1)


@needs_apache
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "[::1]", "localhost"])
def test_every_kind_of_address_can_be_listened_on(tmp_path, host):
    write(tmp_path, apache_files(Site(document_root="app", mpm="event", grace=10)))
    assert check(apache_check(), {**environment(tmp_path), "VCAP_APP_HOST": host})[0] == 0


@needs_apache
def test_every_option_of_a_site_is_fine_with_apache(tmp_path):
    site = Site(
        document_root="app/öffentlich & mehr's",
        mpm="event",
        grace=0.2,
        index=("first page.php", "index.html"),
        fallback="/front.php",
        denied=(r"^/(?:a\"b|c d)\.x$",),
        modules=("proxy",),
        scripts=r"\.cgi$",
        body_limit=0,
    )
    (tmp_path / "app").mkdir()
    (tmp_path / site.document_root).mkdir()
    write(tmp_path, apache_files(site))
    assert check(apache_check(), environment(tmp_path)) == (0, "Syntax OK\n")


@needs_apache
def test_a_directive_of_the_users_is_read_last_and_checked(tmp_path):
    write(tmp_path, apache_files(Site(document_root="app", mpm="event", grace=10)))
    (tmp_path / "app/.stager/apache").mkdir(parents=True)
    (tmp_path / "app/.stager/apache/own.conf").write_text("Nonsense on\n")
    status, output = check(apache_check(), environment(tmp_path))
    assert status == 1
    assert "app/.stager/apache/own.conf:\nInvalid command 'Nonsense'" in output


@needs_apache
def test_root_as_the_servers_user_is_refused_by_apache_itself(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can change to another user")
    write(tmp_path, apache_files(Site(document_root="app", mpm="event", grace=10)))
    assert check(apache_check(), {**environment(tmp_path), "STAGER_SERVER_USER": "root"})[0] == 1


@needs_apache
@pytest.mark.skipif(not shutil.which("apache2ctl"), reason="Debian's apache2ctl reads envvars")
def test_envvars_are_enough_for_apache2ctl(tmp_path):
    write(tmp_path, apache_files(Site(document_root="app", mpm="prefork", grace=10)))
    clean = {"PATH": os.environ["PATH"], "APACHE_CONFDIR": str(tmp_path / "apache")}
    done = subprocess.run(["apache2ctl", "-t"], env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "Syntax OK\n")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a$b", "a*", "a[b]", "a\nb", "a<b"])
def test_a_document_root_that_no_directive_can_hold_is_refused(name):
    with pytest.raises(ConfigurationError) as raised:
        apache_files(Site(document_root=f"app/{name}", mpm="event", grace=10))
    assert raised.value.resolution == "Rename that folder."


def test_the_command_and_its_check_differ_in_one_word():
    assert apache_command()[:-1] == apache_check()[:-1]
    assert (apache_command()[-1], apache_check()[-1]) == ("-DFOREGROUND", "-t")


@needs_fpm
@pytest.mark.parametrize("workers", [1, 7, 200])
def test_for_any_number_of_workers_php_fpm_has_nothing_to_say(tmp_path, workers):
    settings = [("app", [("date.timezone", "Europe/Paris"), ("user_agent", 'it\'s; "quoted" \\ $x')])]
    root = tmp_path / "with a space"
    root.mkdir()
    write(root, fpm_files(2.5, settings))
    assert check(fpm_check(), environment(root, workers)) == (0, "")


@needs_fpm
def test_own_pool_settings_are_read_last_and_checked(tmp_path):
    write(tmp_path, fpm_files(10, is_extended=True))
    (tmp_path / "app/.stager/php-fpm").mkdir(parents=True)
    own = tmp_path / "app/.stager/php-fpm/own.conf"
    own.write_text("[www]\nrequest_terminate_timeout = 30s\n")
    assert check(fpm_check(), environment(tmp_path)) == (0, "")
    own.write_text("[www]\nnonsense = 1\n")
    assert check(fpm_check(), environment(tmp_path))[0] == 78


def test_php_fpm_stays_in_the_foreground_and_is_stopped_gracefully():
    companion = fpm_companion()
    assert companion.command[-1] == "--nodaemonize"
    assert (companion.stop_signal, companion.ready_socket) == ("QUIT", "${STAGER_SOCKETS}/fpm.sock")

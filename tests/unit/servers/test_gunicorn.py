"""gunicorn as it is generated: started, asked over HTTP, signalled."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from stager.errors import ConfigurationError
from stager.rendering import REFERENCE, Renderer
from stager.servers.gunicorn import GUNICORN, stop_seconds
from stager.servers.pins import pins_for
from stager.servers.python_application import Mount, PythonApplication, StaticFolder
from stager.servers.python_site import distributions

APP = """
    import os, time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/slow":
            open("started", "w").close()
            time.sleep(0.6)
        start_response("200 OK", [("Content-Type", "text/plain")])
        said = environ["wsgi.multithread"], environ["wsgi.url_scheme"]
        return [" ".join(map(str, [os.getpid(), environ["SCRIPT_NAME"], path, *said])).encode("latin-1")]
"""
ASYNC_APP = """
    import asyncio, os

    STARTED = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            STARTED.append(True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            open("shut-down", "w").close()
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            open("started", "w").close()
            await asyncio.sleep(0.6)
        body = b"%d %d" % (os.getpid(), len(STARTED))
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""
WSGI = PythonApplication(
    mounts=(Mount(module="web", callable="application"),), interface="wsgi", minor="3.11", grace=5
)
ASGI = PythonApplication(
    mounts=(Mount(module="web", callable="app"),), interface="asgi", minor="3.11", grace=5
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with all that gunicorn needs, as a build would pin it."""
    folder = tmp_path_factory.mktemp("environment")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "python"], check=True)
    names = {*distributions(GUNICORN, WSGI), *distributions(GUNICORN, ASGI), "whitenoise"}
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", folder / "python/bin/python"]
    subprocess.run([*install, *pins_for(names, ())], check=True)
    return folder / "python"


class Droplet:
    """A directory with the rendered files, and what startup would do around the server."""

    def __init__(self, root, environment, application, sources):
        self.root, self.served = root, GUNICORN.serve(application)
        for name, text in sources.items():
            path = root / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        for file in self.served.files:
            path = root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Renderer().render(file.template, file.values))
        (root / "private").mkdir()
        (root / "tmp").mkdir()
        (root / "private/python").symlink_to(environment)
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(root / "app"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "STAGER_ROOT": str(root),
            "STAGER_SOCKETS": str(root / "private"),
            "STAGER_THREADS": "4",
            "TMPDIR": str(root / "tmp"),
            "VCAP_APP_HOST": "127.0.0.1",
            "WEB_CONCURRENCY": "2",
        }

    def words(self, argv):
        return [REFERENCE.sub(lambda found: self.variables[found[1]], word) for word in argv]

    def check(self):
        (argv,) = self.served.process.checks
        words = self.words(argv)
        self.variables["PORT"] = "1"
        return subprocess.run(
            words, cwd=self.root / "app", env=self.variables, capture_output=True, text=True, check=False
        )

    @contextlib.contextmanager
    def started(self, **variables):
        self.variables.update(variables)
        family = socket.AF_INET6 if ":" in self.variables["VCAP_APP_HOST"] else socket.AF_INET
        with socket.create_server((self.variables["VCAP_APP_HOST"], 0), family=family) as listener:
            self.variables["PORT"] = str(listener.getsockname()[1])
        with open(self.root / "out", "wb") as out, open(self.root / "err", "wb") as err:
            process = subprocess.Popen(
                self.words(self.served.process.command),
                cwd=self.root / "app",
                env=self.variables,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self, name="err"):
        return (self.root / name).read_text()

    def ask(self, path="/", method="GET", headers=(), host=None):
        """Ask, once somebody listens."""
        deadline = time.monotonic() + 20
        while True:
            address = host or self.variables["VCAP_APP_HOST"]
            connection = http.client.HTTPConnection(address, int(self.variables["PORT"]), timeout=20)
            try:
                connection.request(method, path, headers=dict(headers))
                answer = connection.getresponse()
                return answer, answer.read().decode()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
            finally:
                connection.close()

    def ask_slowly(self):
        """Begin a request that takes a while; return what waits for its answer."""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.ask("/slow")))
        thread.start()
        wait_for((self.root / "app/started").exists)

        def finish():
            thread.join()
            return answers[0][0].status

        return finish


@pytest.fixture
def droplet(tmp_path, environment):
    return lambda application, sources: Droplet(tmp_path, environment, application, sources)


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def members(group):
    """The living processes of a process group."""
    found = set()
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                found.add(int(entry.name))
    return found


# ---- serving


def test_a_wsgi_application_is_served_by_threads_of_as_many_processes_as_startup_says(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="3") as process:
        answer, text = served.ask("/a%20b/%C3%A9?x=1")
        assert answer.status == 200
        assert text.split(" ", 1)[1] == " /a b/é True http"
        wait_for(lambda: len(members(process.pid)) == 4)
        assert "Using worker: gthread" in served.log()
    assert '"GET /a%20b/%C3%A9?x=1 HTTP/1.1" 200' in served.log("out")
    assert sorted(path.name for path in (served.root / "app").iterdir()) == ["web.py"]


def test_connections_are_kept_longer_than_a_router_keeps_them_and_share_the_threads(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="1", STAGER_THREADS="2"):
        served.ask()
        idle = [
            http.client.HTTPConnection("127.0.0.1", int(served.variables["PORT"]), timeout=5)
            for _ in range(8)
        ]
        names = []
        for pause in (2.5, 0):  # gunicorn's own keepalive is 2 s
            for connection in idle:
                connection.request("GET", "/")
                assert connection.getresponse().read()
            names.append([connection.sock.getsockname() for connection in idle])
            time.sleep(pause)
        for connection in idle:
            connection.close()
        assert names[0] == names[1]


def test_it_listens_by_ipv6_where_startup_says_so(droplet):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    served = droplet(WSGI, {"web.py": APP})
    with served.started(VCAP_APP_HOST="::1", WEB_CONCURRENCY="1"):
        assert served.ask()[0].status == 200


def test_factories_folders_files_mounts_and_static_files_are_served_together(droplet):
    application = PythonApplication(
        mounts=(
            Mount(url="/shop/api", module="api.views", callable="make", is_factory=True, folder="back/end"),
            Mount(url="/shop", module="the-shop.wsgi", callable="application", is_file=True),
            Mount(module="web", callable="application"),
        ),
        interface="wsgi",
        minor="3.11",
        static=(StaticFolder(url="/static", directory="app/assets"),),
    )
    sources = {
        "web.py": APP,
        "the-shop.wsgi": APP,
        "back/end/api/views.py": APP + "\n    def make():\n        return application\n",
        "assets/a b.txt": "static",
    }
    served = droplet(application, sources)
    with served.started():
        assert served.ask("/shop/api/x")[1].split(" ")[1:3] == ["/shop/api", "/x"]
        assert served.ask("/shop/apis")[1].split(" ")[1:3] == ["/shop", "/apis"]
        assert served.ask("/shops")[1].split(" ")[1:3] == ["", "/shops"]
        assert served.ask("/static/a%20b.txt")[1] == "static"
        assert served.ask("/static/missing")[1].split(" ")[2] == "/static/missing"


def test_a_factory_in_a_folder_needs_no_generated_module(droplet):
    mount = Mount(module="web", callable="make", is_factory=True, folder="site")
    application = PythonApplication(mounts=(mount,), interface="wsgi", minor="3.11")
    served = droplet(application, {"site/web.py": APP + "\n    def make():\n        return application\n"})
    with served.started():
        assert served.ask()[0].status == 200
    assert not (served.root / "python").exists()


def test_an_asgi_application_is_served_with_its_lifespan(droplet):
    served = droplet(ASGI, {"web.py": ASYNC_APP})
    with served.started() as process:
        assert served.ask()[1].endswith(" 1")
        assert "Using worker: uvicorn_worker.UvicornWorker" in served.log()
        process.terminate()
        assert process.wait(10) == 0
    assert (served.root / "app/shut-down").exists()


def test_a_router_is_believed_that_the_request_was_https_and_nobody_about_the_path(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started():
        said = {"X-Forwarded-Proto": "https", "SCRIPT_NAME": "/x", "PATH_INFO": "/y"}
        assert served.ask("/z", headers=said)[1].split(" ")[1:] == ["", "/z", "True", "https"]
    with served.started(FORWARDED_ALLOW_IPS="192.0.2.1"):
        assert served.ask("/z", headers=said)[1].endswith("http")


# ---- what the user says


def test_every_setting_of_the_users_wins_but_where_it_listens(droplet):
    application = PythonApplication(
        mounts=WSGI.mounts,
        interface="wsgi",
        minor="3.11",
        user_configuration=("gunicorn.conf.py", ".stager/gunicorn.conf.py"),
    )
    sources = {
        "web.py": APP,
        "other.py": APP.replace('"200 OK"', '"203 Other"'),
        "gunicorn.conf.py": """
            import os
            workers, bind, worker_class, wsgi_app = 3, "127.0.0.1:1", "gevent", "other:application"
            raw_env = ["SAID=by the user"]
            WHERE = os.path.join(os.path.dirname(__file__), "forked")
            def post_fork(server, worker):
                with open(WHERE, "a") as out:
                    out.write(os.environ["SAID"] + "\\n")
        """,
        ".stager/gunicorn.conf.py": 'worker_class = "sync"\n',
    }
    served = droplet(application, sources)
    with served.started(WEB_CONCURRENCY="1") as process:
        answer, text = served.ask()
        assert answer.status == 203
        assert " False " in text  # sync
        forked = served.root / "app/forked"
        wait_for(lambda: forked.read_text().splitlines() == ["by the user"] * 3)
        assert len(members(process.pid)) == 4
        assert "app/gunicorn.conf.py: bind is left to startup" in served.log()


def test_gunicorns_own_variable_is_heard(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(GUNICORN_CMD_ARGS="--workers 1 --threads 1 --worker-class sync") as process:
        assert " False " in served.ask()[1]
        assert len(members(process.pid)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workers = -1", "app/.stager/gunicorn.conf.py: gunicorn does not take workers = -1: "),
        ("timeout = 'soon'", "app/.stager/gunicorn.conf.py: gunicorn does not take timeout = 'soon': "),
        ("worker_class = 'gevnt'", "app/.stager/gunicorn.conf.py: "),
        ("import missing_module", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
        ("workers =", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
        ("import sys; sys.exit()", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
    ],
)
def test_the_check_fails_for_a_wrong_setting_and_names_its_file(droplet, text, said):
    application = PythonApplication(
        mounts=WSGI.mounts,
        interface="wsgi",
        minor="3.11",
        user_configuration=("gunicorn.conf.py", ".stager/gunicorn.conf.py"),
    )
    served = droplet(application, {"gunicorn.conf.py": "", ".stager/gunicorn.conf.py": text})
    done = served.check()
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_the_check_does_not_load_the_application(droplet, application):
    served = droplet(application, {"web.py": "open('loaded', 'w').close()\nraise RuntimeError\n"})
    done = served.check()
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert not (served.root / "app/loaded").exists()


def test_an_application_that_cannot_be_loaded_ends_the_start_with_its_traceback(droplet):
    served = droplet(WSGI, {"web.py": "import missing_module\n"})
    with served.started() as process:
        assert process.wait(10) != 0
        assert not members(process.pid)
    assert "No module named 'missing_module'" in served.log()
    assert 'web.py", line 1' in served.log()


def test_two_django_projects_are_refused():
    mounts = tuple(
        Mount(url=url, module=f"{name}.wsgi", callable="application", is_django=True)
        for url, name in (("/a", "a"), ("/b", "b"))
    )
    with pytest.raises(ConfigurationError) as raised:
        GUNICORN.serve(PythonApplication(mounts=mounts, interface="wsgi", minor="3.11"))
    assert "mod_wsgi" in raised.value.resolution


# ---- stopping


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("signals", [["TERM"], ["TERM", "TERM"], ["HUP", "TERM"]], ids="-".join)
def test_a_request_in_flight_is_answered_and_nothing_is_left(droplet, application, signals):
    served = droplet(application, {"web.py": APP if application is WSGI else ASYNC_APP})
    with served.started() as process:
        served.ask()
        finish = served.ask_slowly()
        for name in signals:
            process.send_signal(getattr(signal, f"SIG{name}"))
            time.sleep(0.2)
        assert finish() == 200
        assert process.wait(10) == 0
        assert not members(process.pid)


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_hup_makes_new_workers_usr1_keeps_them_and_quit_ends_all(droplet, application):
    served = droplet(application, {"web.py": APP if application is WSGI else ASYNC_APP})
    with served.started() as process:
        served.ask()
        wait_for(lambda: len(members(process.pid)) == 3)
        before = members(process.pid)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.3)
        assert served.ask()[0].status == 200
        assert members(process.pid) == before
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(members(process.pid)) == 3 and members(process.pid) & before == {process.pid})
        assert served.ask()[0].status == 200
        process.send_signal(signal.SIGQUIT)
        assert process.wait(10) == 0
        assert not members(process.pid)


def test_the_server_gives_up_before_stop_does():
    assert [stop_seconds(grace) for grace in (0.1, 1, 2.5, 10, 30)] == [1, 1, 1, 9, 29]

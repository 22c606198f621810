"""uvicorn as it is started: asked over HTTP, signalled."""

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

from stager.rendering import REFERENCE, Renderer
from stager.servers.pins import pins_for
from stager.servers.python_application import Mount, PythonApplication, StaticFolder
from stager.servers.python_site import distributions
from stager.servers.uvicorn import UVICORN

APP = """
    import asyncio, ctypes, os

    STARTED = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            STARTED.append(True)
            scope["state"]["name"] = __name__
            await send({"type": "lifespan.startup.complete"})
            await receive()
            open("shut-down-" + __name__, "w").close()
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            open("started", "w").close()
            await asyncio.sleep(0.6)
        if scope["path"] == "/busy":
            ctypes.PyDLL(None).usleep(2200000)  # no other thread runs meanwhile
        shown = [os.getpid(), len(STARTED), scope["root_path"], scope["path"], scope["state"]["name"]]
        body = " ".join(map(str, [*shown, scope["scheme"], scope["client"][0]])).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""
FAILING = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "there is no database"})
"""
ASGI = PythonApplication(
    mounts=(Mount(module="web", callable="app"),), interface="asgi", minor="3.11", grace=5
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with all that uvicorn needs, as a build would pin it."""
    folder = tmp_path_factory.mktemp("environment")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "python"], check=True)
    names = {*distributions(UVICORN, ASGI), "servestatic"}
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", folder / "python/bin/python"]
    subprocess.run([*install, *pins_for(names, ())], check=True)
    return folder / "python"


class Droplet:
    """A directory with the rendered files, and what startup would do around the server."""

    def __init__(self, root, environment, application, sources):
        self.root, self.served = root, UVICORN.serve(application)
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
        self.variables.update(self.served.process.environment)
        family = socket.AF_INET6 if ":" in self.variables["VCAP_APP_HOST"] else socket.AF_INET
        with socket.create_server((self.variables["VCAP_APP_HOST"], 0), family=family) as listener:
            self.variables["PORT"] = str(listener.getsockname()[1])
        ignoring = ["env", "--ignore-signal=" + ",".join(self.served.process.ignored_signals)]
        with open(self.root / "out", "wb") as out, open(self.root / "err", "wb") as err:
            process = subprocess.Popen(
                [*ignoring, *self.words(self.served.process.command)],
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


@pytest.mark.parametrize(("workers", "processes"), [("1", 1), ("2", 4)])
def test_as_many_workers_serve_as_startup_says(droplet, workers, processes):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        assert served.ask("/a%20b/%C3%A9")[1].split(" ", 1)[1] == "1  /a b/é web http 127.0.0.1"
        # With several there are a parent and Python's resource tracker.
        wait_for(lambda: len(members(process.pid)) == processes)
        process.terminate()
        process.wait(10)
    assert (served.root / "app/shut-down-web").exists()


def test_a_router_is_believed_who_asked_and_how(droplet):
    served = droplet(ASGI, {"web.py": APP})
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.1.2.3"}
    with served.started(WEB_CONCURRENCY="1"):
        assert served.ask(headers=said)[1].split(" ")[-2:] == ["https", "198.51.100.7"]


def test_it_listens_by_ipv6_where_startup_says_so(droplet):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    served = droplet(ASGI, {"web.py": APP})
    with served.started(VCAP_APP_HOST="::1", WEB_CONCURRENCY="1"):
        assert served.ask()[0].status == 200


def test_a_factory_in_a_folder_needs_no_generated_module(droplet):
    mount = Mount(module="web", callable="make", is_factory=True, folder="site")
    application = PythonApplication(mounts=(mount,), interface="asgi", minor="3.11")
    served = droplet(application, {"site/web.py": APP + "\n    def make():\n        return app\n"})
    with served.started():
        assert served.ask()[0].status == 200
    assert not (served.root / "python").exists()


def test_mounts_files_and_static_files_are_served_together_and_every_lifespan_is_run(droplet):
    application = PythonApplication(
        mounts=(
            Mount(url="/api", module="my-api.py", callable="app", is_file=True),
            Mount(module="web", callable="app"),
        ),
        interface="asgi",
        minor="3.11",
        static=(StaticFolder(url="/static", directory="app/assets"),),
    )
    served = droplet(application, {"web.py": APP, "my-api.py": APP, "assets/a b.txt": "static"})
    with served.started(WEB_CONCURRENCY="1") as process:
        assert served.ask("/api/x")[1].split(" ")[1:5] == ["1", "/api", "/api/x", "stager_mount_0"]
        assert served.ask("/apis")[1].split(" ")[1:5] == ["1", "", "/apis", "web"]
        assert served.ask("/static/a%20b.txt")[1] == "static"
        assert served.ask("/static/missing")[1].split(" ")[3] == "/static/missing"
        process.terminate()
        process.wait(10)
    assert {path.name for path in (served.root / "app").glob("shut-down-*")} == {
        "shut-down-web",
        "shut-down-stager_mount_0",
    }


def test_an_application_that_does_not_start_ends_the_server_and_says_why(droplet):
    application = PythonApplication(
        mounts=(Mount(url="/api", module="api", callable="app"), Mount(module="web", callable="app")),
        interface="asgi",
        minor="3.11",
    )
    served = droplet(application, {"web.py": APP, "api.py": FAILING})
    with served.started(WEB_CONCURRENCY="1") as process:
        assert process.wait(10) != 0
    assert "there is no database" in served.log()


def test_a_worker_is_given_up_after_the_time_that_a_request_may_take_and_not_before(droplet):
    application = PythonApplication(mounts=ASGI.mounts, interface="asgi", minor="3.11", request_seconds=1)
    served = droplet(application, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="2"):
        served.ask()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            served.ask("/busy")
    assert UVICORN.serve(ASGI).process.environment["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] == "60"


def test_the_check_says_whether_it_can_be_run(droplet):
    served = droplet(ASGI, {"web.py": "raise RuntimeError\n"})
    assert served.check().returncode == 0


# ---- stopping


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("signals", [["TERM"], ["TERM", "TERM"]], ids="-".join)
def test_a_request_in_flight_is_answered_and_nothing_is_left(droplet, workers, signals):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        served.ask()
        finish = served.ask_slowly()
        for name in signals:
            process.send_signal(getattr(signal, f"SIG{name}"))
            time.sleep(0.2)
        assert finish() == 200
        assert process.wait(10) in {0, -signal.SIGTERM}
        assert not members(process.pid)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hup_usr1_and_usr2_end_nothing(droplet, workers):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        served.ask()
        for name in served.served.process.ignored_signals:
            process.send_signal(getattr(signal, f"SIG{name}"))
            time.sleep(0.3)
            assert served.ask()[0].status == 200
        process.terminate()
        process.wait(10)
        wait_for(lambda: not members(process.pid))


def test_several_workers_answer_at_once_and_do_not_wait_for_acknowledgements(droplet):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="2"):
        served.ask()
        connection = http.client.HTTPConnection("127.0.0.1", int(served.variables["PORT"]), timeout=20)
        spent = []
        for _ in range(40):
            begin = time.monotonic()
            connection.request("GET", "/")
            connection.getresponse().read()
            spent.append(time.monotonic() - begin)
        connection.close()
        assert sorted(spent)[20] < 0.03  # a delayed acknowledgement takes 40 ms

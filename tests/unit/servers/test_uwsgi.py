"""uwsgi as it is started: asked over HTTP, signalled."""

from __future__ import annotations

import contextlib
import json
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
from stager.servers.python_application import Mount, PythonApplication
from stager.servers.uwsgi import UWSGI

APP = """
    import json, sys, time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/crash":
            raise RuntimeError("a request of death")
        if path == "/slow":
            open("started", "w").close()
            time.sleep(1)
        body = b"x" * 8_000_000 if path == "/large" else b"hello"
        if path == "/length":
            body = str(len(environ["wsgi.input"].read())).encode()
        if path == "/seen":
            seen = [sys.prefix, sys.executable, sys.path, environ["wsgi.url_scheme"]]
            body = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def make():
        return application
"""
FAILING = "raise RuntimeError('no database')"
WSGI = PythonApplication(
    mounts=(Mount(module="web", callable="application"),), interface="wsgi", minor="3.11", grace=5
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with all that uwsgi needs, as a build would pin it."""
    folder = tmp_path_factory.mktemp("environment")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "python"], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", folder / "python/bin/python"]
    subprocess.run([*install, *pins_for(UWSGI.distributions["wsgi"], ())], check=True)
    return folder


class Droplet:
    """A directory with the rendered files, and what startup would do around the server."""

    def __init__(self, root, sockets, port, application=WSGI, source=APP):
        self.root, self.port, self.sockets = root, port, sockets
        self.served = UWSGI.serve(application)
        (root / "app").mkdir(parents=True)
        (root / "app/web.py").write_text(textwrap.dedent(source))
        for file in self.served.files:
            path = root / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_text(Renderer().render(file.template, file.values))

    @contextlib.contextmanager
    def started(self, host="127.0.0.1", threads=2, **more):
        variables = {
            **os.environ, "STAGER_ROOT": str(self.root), "STAGER_SOCKETS": str(self.sockets),
            "PORT": str(self.port), "VCAP_APP_HOST": host, "WEB_CONCURRENCY": "2",
            "STAGER_THREADS": str(threads), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **more,
        }  # fmt: skip
        for name, value in self.served.process.environment.items():
            variables[name] = expand(value, variables)
        # As startup ignores them: a trap before exec.
        traps = "".join(f"trap '' {name}; " for name in self.served.process.ignored_signals)
        with (self.root / "out").open("wb") as out, (self.root / "err").open("wb") as err:
            process = subprocess.Popen(
                ["bash", "-c", traps + 'exec "$@"', "bash"]
                + [expand(word, variables) for word in self.served.process.command],
                cwd=self.root / "app", env=variables, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def wait_until_ready(self, process, host="127.0.0.1"):
        deadline = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((host, self.port), 1) as client:
                # A worker that has only just been forked overlooks what its master tells it.
                if b"200" in ask(client, "/") and self.texts().count("WSGI app 0") == 2:
                    return
            time.sleep(0.02)
        pytest.fail(f"not ready: {self.texts()}")

    def get(self, path, headers="", host="127.0.0.1"):
        with socket.create_connection((host, self.port), 5) as client:
            return ask(client, path, headers)

    def texts(self):
        return (self.root / "out").read_text() + (self.root / "err").read_text()


def expand(word, variables):
    return REFERENCE.sub(lambda found: variables[found[1]] if found[1] else "$", word)


def ask(client, path, headers=""):
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
    return answer(client)


def answer(client):
    client.settimeout(10)
    data = bytearray()
    while b"\r\n\r\n" not in data and (part := client.recv(65536)):
        data += part
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(length[0].split(b":")[1]) - len(body) if length else 0
    while missing > 0 and (part := client.recv(65536)):
        data += part
        missing -= len(part)
    return bytes(data)


def group_lives(pid):
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if fields[2] == str(pid) and fields[0] not in "ZX":
                return True
    return False


def gone(pid, seconds=5.0):
    deadline = time.monotonic() + seconds
    while group_lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not group_lives(pid)


@pytest.fixture
def droplet(tmp_path, environment, free_port):
    return Droplet(tmp_path / "dro plet", environment, free_port)


def test_what_is_in_flight_is_finished_when_it_is_stopped(droplet):
    with droplet.started(threads=4) as process:
        droplet.wait_until_ready(process)
        clients = [socket.create_connection(("127.0.0.1", droplet.port)) for _ in range(4)]
        slow, half, large, idle = clients
        assert ask(idle, "/").endswith(b"hello")
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        half.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        large.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        while not (droplet.root / "app/started").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(getattr(signal, f"SIG{droplet.served.process.stop_signal}"))
        finish = threading.Timer(0.3, half.sendall, (b"def",))
        finish.start()
        answers = [answer(large), answer(half), answer(slow)]
        assert len(answers[0]) > 8_000_000, droplet.texts()
        assert answers[1].endswith(b"\r\n\r\n6"), droplet.texts()
        assert answers[2].endswith(b"hello"), droplet.texts()
        assert process.wait(5) == 0
        assert gone(process.pid)
        for client in clients:
            client.close()
        finish.join()
    assert droplet.served.process.drains


def test_an_idle_connection_does_not_delay_the_stop(droplet):
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        with socket.create_connection(("127.0.0.1", droplet.port)) as idle:
            assert ask(idle, "/").endswith(b"hello")
            before = time.monotonic()
            process.terminate()
            assert process.wait(5) == 0
        assert time.monotonic() - before < 2.5


@pytest.mark.parametrize("name", ["HUP", "USR1", "USR2", "KILL"])
def test_no_signal_to_the_first_process_leaves_others_behind(droplet, name):
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        process.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.3)
        if name in droplet.served.process.ignored_signals:
            assert process.poll() is None
        if process.poll() is None and name != "HUP":
            assert droplet.get("/").endswith(b"hello")
            process.terminate()
        elif process.poll() is None:
            process.terminate()
        process.wait(10)
        assert gone(process.pid), droplet.texts()


def test_an_application_that_cannot_be_imported_ends_it_with_the_reason(tmp_path, environment, free_port):
    broken = Droplet(tmp_path / "dro plet", environment, free_port, source=FAILING)
    with broken.started() as process:
        assert process.wait(15) != 0
        assert "RuntimeError: no database" in broken.texts()
        assert gone(process.pid)


def test_it_sees_the_packages_of_the_droplet_only(droplet, environment):
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        prefix, executable, path, _ = json.loads(droplet.get("/seen").partition(b"\r\n\r\n")[2])
    assert prefix == str(environment / "python")
    assert executable == str(environment / "python/bin/python")
    assert [one for one in path if "site-packages" in one or "dist-packages" in one] == [
        f"{environment}/python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    ]


def test_a_proxy_may_say_that_a_request_was_https_and_a_stranger_may_not(droplet):
    said = "X-Forwarded-Proto: https\r\n"
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        assert b'"https"' in droplet.get("/seen", said)
        assert b'"http"' in droplet.get("/seen")
    with droplet.started(FORWARDED_ALLOW_IPS="192.0.2.1") as process:
        droplet.wait_until_ready(process)
        assert b'"http"' in droplet.get("/seen", said)


def test_requests_of_every_form_are_answered(droplet):
    with droplet.started(threads=1) as process:
        droplet.wait_until_ready(process)
        assert b" 200 " in droplet.get("/", f"X-Large: {'a' * 30000}\r\n")
        assert b" 500 " in droplet.get("/crash")
        with socket.create_connection(("127.0.0.1", droplet.port)) as client:
            head = b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.sendall(head + b"5\r\nabcde\r\n3\r\nfgh\r\n0\r\n\r\n")
            assert answer(client).endswith(b"\r\n\r\n8")
        with socket.create_connection(("127.0.0.1", droplet.port)) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"z" * 300000)
            assert answer(client).endswith(b"hello")
        # What a worker has answered is written a moment later.
        line = '"POST /length HTTP/1.1" 200 '
        deadline = time.monotonic() + 5
        while line not in (droplet.root / "out").read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.terminate()
        process.wait(10)
        out = (droplet.root / "out").read_text()
        assert "127.0.0.1 - - [" in out, "the log of requests is on stdout"
        assert line in out
        assert '"GET /crash HTTP/1.1" 500 ' in out
        assert "a request of death" in droplet.texts()


def test_it_listens_on_an_address_of_ipv6_and_calls_a_factory(tmp_path, environment, free_port):
    mount = Mount(module="web", callable="make", is_factory=True)
    application = PythonApplication(mounts=(mount,), interface="wsgi", minor="3.11", grace=5)
    droplet = Droplet(tmp_path / "dro plet", environment, free_port, application)
    with droplet.started(host="::1") as process:
        droplet.wait_until_ready(process, "::1")
        assert droplet.get("/", host="::1").endswith(b"hello")


def test_mounts_and_folders_are_found(tmp_path, environment, free_port):
    mounts = (
        Mount(url="/api", module="api", callable="app", folder="inner"),
        Mount(module="web", callable="application"),
    )
    application = PythonApplication(mounts=mounts, interface="wsgi", minor="3.11", grace=5)
    droplet = Droplet(tmp_path / "dro plet", environment, free_port, application)
    (droplet.root / "app/inner").mkdir()
    (droplet.root / "app/inner/api.py").write_text(
        "def app(environ, start_response):\n"
        "    body = (environ['SCRIPT_NAME'] + ' ' + environ['PATH_INFO']).encode()\n"
        "    start_response('200 OK', [('Content-Length', str(len(body)))])\n"
        "    return [body]\n"
    )
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        assert droplet.get("/api/items").endswith(b"\r\n\r\n/api /items")
        assert droplet.get("/").endswith(b"hello")


def test_files_of_the_users_are_read_after_ours(tmp_path, environment, free_port):
    application = PythonApplication(
        mounts=WSGI.mounts, interface="wsgi", minor="3.11", user_configuration=("uwsgi.ini",)
    )
    droplet = Droplet(tmp_path / "dro plet", environment, free_port, application)
    (droplet.root / "app/uwsgi.ini").write_text("[uwsgi]\nadd-header = X-Mine: yes\n")
    with droplet.started() as process:
        droplet.wait_until_ready(process)
        assert b"X-Mine: yes" in droplet.get("/")

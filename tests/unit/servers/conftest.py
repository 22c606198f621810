"""Servers of Python applications, started as startup does it, in environments as a build would pin them."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from stager.rendering import REFERENCE, Renderer
from stager.servers.pins import pins_for
from stager.servers.python_site import STATIC

#: Seconds until something has happened on a machine that does many other things.
PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    status: int
    text: str


class Droplet:
    """A directory with the rendered files, and what startup would do around the server."""

    def __init__(self, root, environment, server, application, sources):
        self.root, self.server, self.served = root, server, server.serve(application)
        for name, text in sources.items():
            self.write(f"app/{name}", textwrap.dedent(text))
        for file in self.served.files:
            self.write(file.path, Renderer().render(file.template, file.values))
        self.sockets = root / "private"
        self.sockets.mkdir()
        (self.sockets / "python").symlink_to(environment)
        (root / "tmp").mkdir()
        self.variables = {
            **os.environ, "HOME": str(root / "app"), "TMPDIR": str(root / "tmp"), "STAGER_ROOT": str(root),
            "STAGER_SOCKETS": str(self.sockets), "VCAP_APP_HOST": "127.0.0.1", "WEB_CONCURRENCY": "2",
            "STAGER_THREADS": "4", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PORT": "1",
        }  # fmt: skip
        for name, value in self.served.process.environment.items():
            self.variables[name] = self.expand(value)
        self.connections = []

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def expand(self, word):
        return REFERENCE.sub(lambda found: self.variables[found[1]] if found[1] else "$", word)

    def check(self):
        """Run the check that belongs to the process."""
        (argv,) = self.served.process.checks
        words = [self.expand(word) for word in argv]
        return subprocess.run(
            words, cwd=self.root / "app", env=self.variables, capture_output=True, text=True, check=False
        )

    @contextlib.contextmanager
    def started(self, **variables):
        self.variables.update(variables)
        host = self.variables["VCAP_APP_HOST"]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as listener:
            self.variables["PORT"] = str(listener.getsockname()[1])
        # As startup ignores them: a trap before exec.
        traps = "".join(f"trap '' {name}; " for name in self.served.process.ignored_signals)
        words = [self.expand(word) for word in self.served.process.command]
        with (self.root / "out").open("wb") as out, (self.root / "err").open("wb") as err:
            self.process = subprocess.Popen(
                ["bash", "-c", traps + 'exec "$@"', "bash", *words],
                cwd=self.root / "app", env=self.variables, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        try:
            yield self.process
        except BaseException as error:
            error.add_note(self.log())
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            for connection in self.connections:
                connection.close()

    def log(self, *names):
        return "".join((self.root / name).read_text() for name in names or ("out", "err"))

    def wait_until(self, condition):
        """Wait until it is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def connect(self):
        """Connect, once somebody listens."""
        host, port = self.variables["VCAP_APP_HOST"], int(self.variables["PORT"])
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while connection.sock is None:
            try:
                connection.connect()
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)
        self.connections.append(connection)
        return connection

    def ask(self, path="/", method="GET", headers=(), body=None):
        """Ask on a connection of its own."""
        connection = self.connect()
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            return answer_on(connection)

    def ask_on(self, connection):
        """Ask on a connection that stays."""
        connection.request("GET", "/")
        return answer_on(connection)

    @contextlib.contextmanager
    def asking_slowly(self):
        """While a request is answered that takes a while: what will be its answer."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.ask, "/slow")
            self.wait_until((self.root / "app/started").exists)
            yield future

    def members(self):
        """The living processes of the server's process group."""
        found = set()
        for entry in os.scandir("/proc"):
            with contextlib.suppress(OSError, ValueError):
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == self.process.pid and fields[0] not in "ZX":
                    found.add(int(entry.name))
        return found

    def ends(self, *statuses):
        """It ends with one of these exit statuses, and leaves nothing."""
        status = self.process.wait(PATIENCE)
        assert not statuses or status in statuses, self.log()
        self.wait_until(lambda: not self.members())
        return status


def answer_on(connection):
    answer = connection.getresponse()
    return Answer(answer.status, answer.read().decode())


@pytest.fixture(scope="session")
def environment_of(tmp_path_factory):
    """A virtual environment with all that a server needs, whatever it serves; made once."""

    @functools.cache
    def make(name, distributions):
        folder = tmp_path_factory.mktemp(name) / "python"
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", folder / "bin/python"]
        subprocess.run([*install, *pins_for(distributions, ())], check=True)
        return folder

    def find(server):
        names = {name for one in server.interfaces for name in (*server.distributions[one], STATIC[one])}
        return make(server.name, tuple(sorted(names)))

    return find


@pytest.fixture
def droplet_of(tmp_path, environment_of):
    """Make a droplet: ``droplet_of(GUNICORN, application, {"web.py": …})``."""

    def make(server, application, sources):
        return Droplet(tmp_path / "dro plet", environment_of(server), server, application, sources)

    return make

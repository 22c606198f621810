"""Droplets of small real programs, started and stopped with the rendered scripts."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from stager.model.droplet import Manifest
from stager.model.plan import Process, Shell
from stager.phases.launch_scripts import launch_scripts

PYTHON = ("/usr/bin/python3", "-I", "-S", "-u")
#: Seconds until something has happened on a machine that does many other things.
PATIENCE = 20.0

#: Answers on a port; on TERM (or argv[2]) it finishes the requests in flight. /slow takes half a second.
SERVER = """
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            print("asked slowly")
            time.sleep(0.5)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

class Server(ThreadingHTTPServer):
    daemon_threads = False

server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
graceful = getattr(signal, "SIG" + sys.argv[1]) if len(sys.argv) > 1 else signal.SIGTERM
signal.signal(graceful, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving", os.getpid())
server.serve_forever(0.02)
server.server_close()
print("drained")
"""


def wait_until(condition, seconds=PATIENCE):
    """Wait until it is true, and return what it was then."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"still not so after {seconds} seconds"
        time.sleep(0.01)
    return value


def stat_of(pid):
    """State, parent, group, session and start time of a process; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return fields[0].decode(), *(int(fields[index]) for index in (1, 2, 3, 19))


def lives(pid):
    stat = stat_of(pid)
    return stat is not None and stat[0] not in "ZX"


@dataclass
class Started:
    """A started ``startup``."""

    process: subprocess.Popen
    log: Path
    port: int

    @property
    def pid(self):
        return self.process.pid

    @property
    def text(self):
        return self.log.read_text(encoding="utf-8", errors="surrogateescape")

    def wait_for(self, pattern):
        """Wait until the log matches; the match."""

        def look():
            return re.search(pattern, self.text, re.MULTILINE)

        end, has_ended = time.monotonic() + PATIENCE, False
        while not look():
            # What it has left behind may still be about to say something.
            if self.process.poll() is not None and not has_ended:
                has_ended, end = True, time.monotonic() + 10
            assert time.monotonic() < end, (
                f"{pattern!r} is not in the log ({self.process.returncode}):\n{self.text}"
            )
            time.sleep(0.01)
        return look()

    def end(self):
        """The exit status, after it has ended."""
        return self.process.wait(PATIENCE)


@dataclass
class Droplet:
    """An unpacked droplet."""

    path: Path
    manifest: Manifest
    log: Path
    account: object = None
    environment: dict = field(default_factory=dict)
    started: list = field(default_factory=list)

    @property
    def run_pid(self):
        return self.path / "run.pid"

    @property
    def sockets(self):
        """The private directory of the instance that run.pid speaks of."""
        return Path(re.search(r"(?m)^sockets (.*)", self.run_pid.read_text())[1])

    def write(self, name, text, mode=0o644):
        path = self.path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.give_away()

    def give_away(self):
        if self.account is not None:
            for folder, directories, files in os.walk(self.path):
                for name in [*directories, *files, "."]:
                    os.lchown(os.path.join(folder, name), self.account.uid, self.account.gid)

    def environ(self, changes):
        merged = {**os.environb, **encoded(self.environment), **encoded(changes)}
        return {name: value for name, value in merged.items() if value is not None}

    def options(self, account=None):
        account = account or self.account
        return account.options if account else {}

    def start(self, *arguments, program=None, cwd="/", environment=None, account=None, **options):
        """Run ``startup`` without waiting for it."""
        port = free_port()
        environment = {"PORT": str(port), "VCAP_APP_HOST": "127.0.0.1", **(environment or {})}
        log = self.log.with_name(f"{self.log.name}.{len(self.started)}")
        with log.open("ab") as output:
            streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            process = subprocess.Popen(
                [program or self.path / "startup", *arguments],
                cwd=cwd,
                env=self.environ(environment),
                **{**streams, **self.options(account), **options},
            )
        self.started.append(Started(process, log, port))
        return self.started[-1]

    def run(self, *arguments, environment=None, program=None, timeout=PATIENCE, account=None, cwd="/"):
        """Run ``startup`` (or another program) to its end, with both outputs."""
        return subprocess.run(
            [program or self.path / "startup", *arguments],
            cwd=cwd,
            env=self.environ(environment or {}),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
            **self.options(account),
        )

    def stop(self, *arguments, **options):
        return self.run(*arguments, program=self.path / "stop", **options)

    def stops(self, *arguments, **options):
        """Run ``stop``, which has to say that all is well and leave nothing."""
        ended = self.stop(*arguments, **options)
        assert ended.returncode == 0, ended.stderr.decode(errors="replace")
        return ended


def encoded(environment):
    return {
        os.fsencode(name): None if value is None else os.fsencode(value)
        for name, value in environment.items()
    }


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(name="wait_until")
def give_wait_until():
    return wait_until


@pytest.fixture(name="lives")
def give_lives():
    return lives


@pytest.fixture(name="stat_of")
def give_stat_of():
    return stat_of


@pytest.fixture
def make_droplet(tmp_path):
    """``make_droplet(Process(…), …, account=…, at=…, **manifest)``; what it started is ended afterwards."""
    made = []

    def make(*processes, account=None, at=None, **fields):
        manifest = Manifest("1.0", (), processes, **fields)
        path = tmp_path / (at or f"droplet{len(made)}")
        for name in ("app", "logs", "tmp", "run"):
            (path / name).mkdir(parents=True)
        for name, text in zip(("startup", "stop"), launch_scripts(manifest), strict=True):
            (path / name).write_text(text, encoding="utf-8")
            (path / name).chmod(0o755)
        (path / "app/server.py").write_text(SERVER)
        droplet = Droplet(path, manifest, tmp_path / f"log{len(made)}", account)
        droplet.give_away()
        made.append(droplet)
        return droplet

    yield make
    for droplet in made:
        clean_up(droplet)


def clean_up(droplet):
    for started in droplet.started:
        if started.process.poll() is None:
            droplet.stop(str(started.pid))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
        started.process.wait(PATIENCE)
    droplet.stop()


@pytest.fixture
def server(make_droplet):
    """A droplet with a server that drains on TERM as ``web``, and a shell command as ``worker``."""
    return make_droplet(
        Process("web", (*PYTHON, "server.py"), grace=30.0),
        Process("worker", Shell("echo working; sleep 1000; echo over"), grace=2.0),
    )


@pytest.fixture
def dump(make_droplet):
    """A droplet whose ``web`` prints its environment; ``dump(given, …)`` returns it as bytes."""

    def call(given=None, process=None, files=(), prepare=None, **fields):
        web = replace(process or Process("web", ()), command=("/bin/cat", "/proc/self/environ"))
        droplet = make_droplet(web, **fields)
        for name, text in dict(files).items():
            droplet.write(name, text)
        ended = droplet.run("-p", "8080", environment=given)
        assert ended.returncode == 0, ended.stderr.decode(errors="replace")
        droplet.stop()
        call.said = ended.stderr.decode(errors="replace")
        call.droplet = droplet
        return dict(item.split(b"=", 1) for item in ended.stdout.split(b"\0") if item)

    return call

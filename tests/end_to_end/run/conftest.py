"""A state directory, the commands over it, and small droplets to run in it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

STAGER = str(Path(sys.executable).with_name("stager"))
PHP = Path(__file__).parents[3] / "examples" / "php"
PATIENCE = 30.0
LOOPBACK = {"VCAP_APP_HOST": "127.0.0.1"}

SERVER = r"""
import http.server, json, os, signal, sys, threading, time

mode = os.environ.get("MODE", "")
if mode == "exit0":
    sys.exit(0)
if mode == "fail":
    sys.exit("it is broken")
if mode == "never":
    time.sleep(1000)
if os.path.exists(os.environ.get("BROKEN", "/nonexistent")):
    sys.exit(7)
if mode == "slow":
    open(os.environ["STARTING"], "w").close()
    time.sleep(1000)
if mode == "gate":
    open(os.environ["STARTING"], "w").close()
    while not os.path.exists(os.environ["GATE"]):
        time.sleep(0.01)
if mode == "daemon" and os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(1000)
    os._exit(0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/crash":
            os._exit(9)
        if self.path == "/end":
            os._exit(0)
        if self.path == "/slow":
            time.sleep(0.2)
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        print("asked", flush=True)


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
address = os.environ["VCAP_APP_HOST"], int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
FILES = {
    "Procfile": "web: exec python3 server.py\nworker: exec sleep 1000\njob: echo done\n",
    "server.py": SERVER,
    "stager.yml": "health: {timeout: 60}\nmemory: 96M\n",
}


def build(source, target):
    done = subprocess.run(
        [STAGER, "build", source, "-o", target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def build_droplet(tmp_path_factory):
    """Makes ``NAME.droplet.tar.gz`` of some files."""

    def make(name, files):
        root = tmp_path_factory.mktemp("run")
        (root / "app").mkdir()
        for file, text in files.items():
            (root / "app" / file).write_text(text)
        return build(root / "app", root / f"{name}.droplet.tar.gz")

    return make


@pytest.fixture(scope="session")
def droplet(build_droplet):
    return build_droplet("shop", FILES)


@pytest.fixture(scope="session")
def hasty_droplet(build_droplet):
    """The same application, which nobody waits for."""
    return build_droplet("hasty", {**FILES, "stager.yml": "health: {timeout: 4}\nmemory: 96M\n"})


@pytest.fixture(scope="session")
def next_droplet(build_droplet):
    """The same application, a release later."""
    return build_droplet("next", {**FILES, "stager.yml": "health: {timeout: 60}\nmemory: 112M\n"})


@pytest.fixture(scope="session")
def php_droplet(tmp_path_factory):
    return build(PHP, tmp_path_factory.mktemp("php") / "php.droplet.tar.gz")


def until(condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return found


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def get(instance, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", instance["port"], timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


def environment_of(instance):
    return json.loads(get(instance))


def crash(instance, path="/crash"):
    with contextlib.suppress(OSError, http.client.HTTPException):
        get(instance, path)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def marked(identifier):
    """Processes whose environment carries an instance's id."""
    needle = f"STAGER_INSTANCE_ID={identifier}\0".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if needle in Path(entry.path, "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def as_user(account):
    """Runs the command as somebody else, whose children can start it again where only root can look."""
    become = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", STAGER]

    def call(*arguments):
        return subprocess.run([*become, *arguments], capture_output=True, text=True, timeout=120, check=False)

    return call


class Agent:
    """The commands over one state directory, and what to look at beside them."""

    until = staticmethod(until)
    is_there = staticmethod(is_there)
    get = staticmethod(get)
    environment_of = staticmethod(environment_of)
    crash = staticmethod(crash)
    is_free = staticmethod(is_free)
    marked = staticmethod(marked)

    def __init__(self, root, call, account=None):
        root.mkdir(exist_ok=True)
        self.state = root / "state"
        if account is not None:
            self.state.mkdir()
            os.chown(self.state, account.uid, account.gid)
        self.call = call if account is None else as_user(account)
        self.account = account
        self.root = root
        self.foreground = []

    def stager(self, *arguments, **options):
        return self.call(*arguments, "--state-dir", self.state, **options)

    def json(self, *arguments):
        done = self.stager(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def detached(self, droplet, *arguments, **env):
        return self.json("run", droplet, "--detach", *variables(env), *arguments)

    def begin(self, droplet, *arguments, **env):
        """A foreground run: returns while it starts."""
        number = len(self.foreground)
        out, err = self.root / f"out{number}", self.root / f"err{number}"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [STAGER, "run", droplet, "--json", "--state-dir", self.state, *variables(env), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.foreground.append(process)
        process.out, process.err = out, err
        return process

    def run(self, droplet, *arguments, **env):
        """A foreground run that is ready: the process, and its document."""
        process = self.begin(droplet, *arguments, **env)
        text = until(lambda: process.out.read_text() or process.poll() is not None)
        assert process.poll() is None, process.err.read_text()
        until(lambda: process.out.read_text().endswith("}\n"))
        return process, json.loads(process.out.read_text()), text

    def application(self, name="shop"):
        found = [one for one in self.json("ps")["applications"] if one["name"] == name]
        return found[0] if found else None

    def instances(self, name="shop"):
        found = self.application(name)
        return found["instances"] if found else []

    def running(self, name="shop"):
        return [one for one in self.instances(name) if one["state"] == "running"]

    def kill_supervisor(self, name="shop"):
        pid = self.application(name)["supervisor"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_there(pid))

    def is_nothing_left(self, instance, sockets=""):
        assert not marked(instance["id"])
        assert is_free(instance["port"])
        assert not os.path.exists(sockets)
        assert list(self.state.iterdir()) == []
        return True

    def variables(self, **env):
        return variables(env)

    def end(self):
        for process in self.foreground:
            if process.poll() is None:
                process.terminate()
            process.wait(30)
        for one in self.json("ps")["applications"]:
            assert self.stager("stop", one["name"]).returncode == 0


def variables(env):
    return [word for key, value in {**LOOPBACK, **env}.items() for word in ("--env", f"{key}={value}")]


class Clients:
    """Ask one port again and again, with kept connections and new ones, slow requests and quick ones."""

    def __init__(self, port):
        self.port = port
        self.lost = []
        self.answers = 0
        self._is_over = False
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(6)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_):
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def wait_for_more(self):
        """As many answers as show that what serves now does so."""
        enough = self.answers + 30
        until(lambda: self.answers >= enough or self.lost)

    def _ask(self, number):
        connection = None
        while not self._is_over:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("GET", "/slow" if number % 2 else "/")
                with connection.getresponse() as answer:
                    assert answer.status == 200, answer.status
                    assert json.loads(answer.read())["STAGER_INSTANCE_ID"]
                    is_kept = number % 3 and not answer.will_close
                self.answers += 1
            except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
                self.lost.append(repr(error))
                is_kept = False
            if not is_kept and connection is not None:
                connection.close()
                connection = None
            time.sleep(0.01 * number)
        if connection is not None:
            connection.close()


@pytest.fixture
def load():
    return Clients


@pytest.fixture
def open_place(tmp_path):
    """A directory that the application's account can write to."""
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(0o1777)
    return path


@pytest.fixture
def agent(tmp_path, stager_cli):
    agent = Agent(tmp_path, stager_cli)
    yield agent
    agent.end()

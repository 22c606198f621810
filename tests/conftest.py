"""What every test gets: a hostile environment, directories that servers can read, a look for what is left."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

# A shell that starts the tests in the background has them ignore these, and with them all that they start.
for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, action)

#: The command of the environment that runs the tests.
STAGER = str(Path(sys.executable).with_name("stager"))

#: Set for every test. Each has misled a build somewhere: nothing that stager makes may depend on it.
MISLEADING = {
    "APACHE_CONFDIR": "/nonexistent/apache2",
    "APACHE_RUN_USER": "nobody-knows",
    "BASH_ENV": "/nonexistent/bash_env",
    "CDPATH": "/usr:/",
    "COMPOSER_VENDOR_DIR": "somewhere-else",
    "ENV": "/nonexistent/env",
    "GIT_DIR": "/nonexistent/git",
    "GIT_WORK_TREE": "/nonexistent/tree",
    "LANG": "C",
    "LC_ALL": "C",
    "PHPRC": "/nonexistent/php.ini",
    "PHP_INI_SCAN_DIR": "/nonexistent/conf.d",
    "TAR_OPTIONS": "--numeric-owner --sort=name",
    "TZ": "Pacific/Chatham",  # 45 minutes off the hour
    "VIRTUAL_ENV": "/nonexistent/venv",
    "XZ_OPT": "-9",
    "ZSTD_CLEVEL": "19",
}

#: Taken away from every test: what the caller may have set for purposes of their own.
REMOVED_PREFIXES = ("STAGER_", "VCAP_", "APACHE_", "COMPOSER_", "GIT_", "PHP_", "LC_", "XDG_")
REMOVED = frozenset(
    {
        "CLICOLOR_FORCE", "COLUMNS", "DISK_LIMIT", "FORCE_COLOR", "LINES", "MEMORY_LIMIT", "NO_COLOR", "PORT",
        "PYTHONDONTWRITEBYTECODE", "PYTHONHASHSEED", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONWARNINGS",
        "SOURCE_DATE_EPOCH", "WEB_CONCURRENCY",
    }
)  # fmt: skip

#: Seconds that processes get to be gone after the test that started them.
PATIENCE = 3.0


class Directories:
    """Stands in for pytest's own factory: its directories are 0700, and Apache's workers are another user."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def getbasetemp(self) -> Path:
        return self.root

    def mktemp(self, basename: str, numbered: bool = True) -> Path:
        number = 0
        while True:
            path = self.root / (f"{basename}{number}" if numbered else basename)
            with contextlib.suppress(FileExistsError):
                return make_directory(path)
            if not numbered:
                raise FileExistsError(path)
            number += 1


@pytest.fixture(scope="session")
def tmp_path_factory():
    """Directories under one with a short name (a socket's path may have 107 bytes), gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="st-", dir="/tmp")).resolve()
    root.chmod(0o755)
    yield Directories(root)
    left = end_processes_of(root)
    remove_tree(root)
    assert not left, "still running after the last test: " + "; ".join(left)


@pytest.fixture(autouse=True)
def own_directory(tmp_path_factory):
    """One directory for all that a test makes. What it leaves running there is an error of its own."""
    path = tmp_path_factory.mktemp("t")
    yield path
    left = end_processes_of(path)
    remove_tree(path)
    assert not left, "the test left running: " + "; ".join(left)


@pytest.fixture
def tmp_path(own_directory):
    """A fresh directory that every user can read; pytest's own cannot be read by Apache's workers."""
    return make_directory(own_directory / "here")


@pytest.fixture(autouse=True)
def hostile_environment(own_directory, monkeypatch):
    """Misleading variables, an empty HOME, a TMPDIR with a space in it, and no cache of anybody's."""
    kept = settings_of_pip()
    for name in list(os.environ):
        if name in REMOVED or name.startswith(REMOVED_PREFIXES):
            monkeypatch.delenv(name)
    for name, value in {**kept, **MISLEADING}.items():
        monkeypatch.setenv(name, value)
    home = make_directory(own_directory / "home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("TMPDIR", str(make_directory(own_directory / "t m p", 0o1777)))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture(autouse=True)
def no_real_work_beside_fakes(request, monkeypatch):
    """pytest-subprocess does not see sh, which would really run what the test believes to be faked."""
    if "fp" in request.fixturenames and "programs" not in request.fixturenames:
        import sh

        def refuse(*arguments, **options):
            pytest.fail(f"sh would really run {arguments[1:2]}: ask for the fixture `programs`")

        monkeypatch.setattr(sh.RunningCommand, "__init__", refuse)


@pytest.fixture
def programs(own_directory, monkeypatch):
    """Puts small programs on the PATH: ``programs("composer", "echo installed")`` writes a bash script."""
    folder = make_directory(own_directory / "bin")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def write(name, script):
        path = folder / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def free_port():
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(name="wait_until_read", scope="session")
def give_wait_until_read():
    """``wait_until_read(connection.sock, …)``: until the server has taken all that was sent to it."""
    return wait_until_read


def wait_until_read(*sockets):
    theirs = {one.getsockname()[1] for one in sockets}
    (port,) = {one.getpeername()[1] for one in sockets}
    deadline = time.monotonic() + 30
    while theirs - read_by_server(port):
        assert time.monotonic() < deadline, f"the server of port {port} does not read"
        time.sleep(0.01)


def read_by_server(port):
    """The ports of the clients of a local port from whom nothing is on its way, or waits in the kernel."""
    served, waiting = set(), set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, remote, state, queues, *_ = line.split()
            ours, theirs = (int(address.rpartition(":")[2], 16) for address in (local, remote))
            unsent, unread = (int(number, 16) for number in queues.split(":"))
            if ours == port and state == "01" and not unread:
                served.add(theirs)
            if theirs == port and unsent:
                waiting.add(ours)
    return served - waiting


@dataclass(frozen=True, slots=True)
class Account:
    """A user without privileges; ``options`` are what makes subprocess.run act as that user."""

    name: str
    uid: int
    gid: int

    @property
    def options(self):
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@pytest.fixture
def unprivileged_user():
    """Somebody else to act as, which only root can do: the test is skipped where root does not run it."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    for name in ("www-data", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    pytest.fail("there is neither www-data nor nobody")


@pytest.fixture
def stranger(unprivileged_user):
    """The same, with no capability to read everything: the test is skipped where the project needs one."""
    if any("--ambient-caps" in word for word in become(unprivileged_user)):
        pytest.skip("the project lies where only root can look")
    return unprivileged_user


@pytest.fixture
def stager_cli(tmp_path):
    """Runs ``stager`` as people do, with a umask of 077; returns subprocess's CompletedProcess, with text.

    ``stager_cli("build", source, cwd=…, environment={…}, input=b"…", timeout=…, account=unprivileged_user)``.
    A variable that is None in ``environment`` is taken away.
    """

    def call(*arguments, cwd=tmp_path, environment=None, input=None, timeout=120, umask=0o077, account=None):  # noqa: A002
        merged = {**os.environ, **(environment or {})}
        argv = [*become(account), STAGER, *(os.fspath(argument) for argument in arguments)]
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            umask=umask,
            start_new_session=True,
        )
        with process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        texts = (stream.decode("utf-8", "surrogateescape") for stream in (out, err))
        return subprocess.CompletedProcess(argv, process.returncode, *texts)

    return call


def become(account):
    """What comes before a command line so that it runs as somebody else."""
    if account is None:
        return []
    argv = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    if not can_run_stager(argv):
        # The project lies where only root can look, /root for instance: so that user may read, too.
        argv += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return argv


def can_run_stager(argv):
    return subprocess.run([*argv, STAGER, "--version"], capture_output=True, check=False).returncode == 0


def settings_of_pip():
    """Where pip finds its index and what it has fetched, although the tests have another HOME."""
    found = {"PIP_CACHE_DIR": str(Path.home() / ".cache/pip")}
    for path in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if path.is_file():
            found["PIP_CONFIG_FILE"] = str(path)
    return {name: value for name, value in found.items() if name not in os.environ}


def make_directory(path, mode=0o755):
    path.mkdir()
    path.chmod(mode)
    return path


def end_processes_of(directory):
    """Kill what still works in a directory, or has its name in its environment; return what it was."""
    deadline = time.monotonic() + PATIENCE
    while found := dict(processes_of(directory)):
        if time.monotonic() > deadline:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.02)
    return sorted(found.values())


def processes_of(directory):
    """Yield pid and command line of every process but this one that has to do with a directory."""
    needle = os.fsencode(directory) + b"/"
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            place = os.fsencode(os.readlink(f"{entry.path}/cwd")) + b"/"
            environment = Path(entry.path, "environ").read_bytes().replace(b"\0", b"/\0")
            if place.startswith(needle) or needle in environment:
                command = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(entry.name), f"{entry.name} {command.decode(errors='replace').strip()}"


def remove_tree(path):
    """Remove a directory, whatever modes a test has given to what is in it."""
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
        shutil.rmtree(path)

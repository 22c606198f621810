"""HAProxy in front of an application's instances: one port, and no request lost when they change.

It runs by itself, master and workers, and outlives a supervisor. What it is to do stands in a file that is
written anew, asked about (``haproxy -c``), and then taken by a new worker, which inherits the
listening sockets; the old one answers what it has, and ends.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from stager.errors import ConfigurationError, CouldNotVerify, HostToolMissing
from stager.execution.detached import start_detached
from stager.execution.marked import end_marked
from stager.execution.probe import probe
from stager.launch.agent.identity import identify, is_running
from stager.launch.agent.places import make_directory, read_record, write_json
from stager.launch.agent.records import ProcessRecord, to_document
from stager.launch.deadline import Deadline
from stager.launch.ports import LOOPBACK
from stager.launch.processes import ProcessStat, read_stat, send_signal
from stager.model.frozen import dataclass
from stager.model.plan import Health
from stager.rendering import Renderer

DRAIN_SECONDS = 30.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHANGE_SECONDS = 10.0
_PAUSE = 0.01
_SOCKET = "master.sock"
#: Each reload adds some 600 bytes.
_MOST_LOG = 1 << 20
_CONFIGURATION = "haproxy.cfg"
#: In its environment, with its directory: finds one that nobody had time to note, and that holds the port.
_MARK = "STAGER_BALANCER"


@dataclass(frozen=True, slots=True)
class Server:
    """An instance as the balancer sees it; ``name`` is its own for as long as it lives."""

    name: str
    port: int
    host: str = LOOPBACK


@dataclass(frozen=True, slots=True)
class Workers:
    """HAProxy's worker processes: the ones that take connections, and those that only finish theirs."""

    current: frozenset[int]
    old: frozenset[int]


class Balancer:
    """The balancer of one application. It may have been started by another process.

    Parameters
    ----------
    directory:
        Where its files are: :attr:`ApplicationPlace.balancer`.
    port, host:
        Where it listens.
    health:
        With a path, an instance that does not answer it well gets no requests. An application that does not
        speak HTTP is served connection by connection.
    drain_seconds:
        What an old worker gets at most to finish its requests.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        *,
        host: str = "0.0.0.0",  # noqa: S104  (it is the application's public port)
        health: Health | None = None,
        drain_seconds: float = DRAIN_SECONDS,
        name: str = "",
    ) -> None:
        self.directory = directory
        self.port = port
        self._values = {
            "name": name or directory.parent.name,
            "host": host,
            "port": port,
            "path": _path(health or Health()),
            "mode": health.check if health else "http",
            "drain_seconds": max(1, round(drain_seconds)),
            **_account(),
        }

    @property
    def process(self) -> ProcessStat | None:
        """Its master, if that runs."""
        record = read_record(ProcessRecord, self.directory / "balancer.json")
        return read_stat(record.pid) if record and is_running(record) else None

    def apply(self, servers: Sequence[Server]) -> bool:
        """Let requests go to these servers, and to no others; return when new ones do; true for a change.

        It is started if it does not run. A request that another server has already is not disturbed.

        Raises
        ------
        HostToolMissing
            There is no HAProxy.
        ConfigurationError
            HAProxy does not accept what it is told; what was in force stays so.
        CouldNotVerify
            It does not run, or does not change, in ten seconds; its log says why.
        """
        program = find_haproxy()
        make_directory(self.directory)
        text = self._text(servers)
        path = self.directory / _CONFIGURATION
        is_there = self.process is not None
        if is_there and _content(path) == text:
            return False
        self._write(program, path, text)
        try:
            if is_there:
                self._reload()
            else:
                self._start(program)
        except BaseException:
            # It is not in force: whoever says it again is not to be told that nothing has changed.
            path.unlink(missing_ok=True)
            raise
        return True

    def workers(self) -> Workers:
        """Raises OSError where the master does not answer."""
        current: set[int] = set()
        old: set[int] = set()
        section = current
        for line in self._ask("show proc").splitlines():
            if line.startswith("# old"):
                section = old
            elif not line.startswith("#") and " worker " in line.replace("\t", " "):
                section.add(int(line.split()[0]))
        return Workers(frozenset(current), frozenset(old))

    def wait_until_drained(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until no worker that is an old one now has a request left; whether that came true."""
        deadline = Deadline.after(seconds)
        old: frozenset[int] | None = None
        while True:
            with contextlib.suppress(OSError):
                now = self.workers().old
                # Changes that come later make others old: these are nothing to wait for.
                old = now if old is None else old & now
                if not old:
                    return True
            if deadline.is_over or self.process is None:
                return False
            time.sleep(_PAUSE * 5)

    def stop(self, seconds: float = DRAIN_SECONDS) -> None:
        """Take no more connections, finish what there is, and end; by force when the time is over.

        One whose supervisor was killed before it had noted it ends at once.
        """
        for number, patience in ((signal.SIGUSR1, seconds), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            deadline = Deadline.after(patience)
            if (master := self.process) is None:
                break
            send_signal(master, number)
            while self.process is not None and not deadline.is_over:
                time.sleep(_PAUSE)
        self._end_lost()
        for name in ("balancer.json", _SOCKET):
            (self.directory / name).unlink(missing_ok=True)

    def _end_lost(self) -> None:
        end_marked(f"{_MARK}={self.directory}")

    def _text(self, servers: Sequence[Server]) -> str:
        ordered = sorted(servers, key=lambda server: server.name)
        return Renderer().render("launch/haproxy.j2", {**self._values, "servers": ordered})

    def _write(self, program: str, path: Path, text: str) -> None:
        """Under another name first: HAProxy says whether it would do."""
        new = path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        answer = probe([program, "-c", "-f", str(new)], timeout=_CHANGE_SECONDS)
        if answer.status != 0:
            new.unlink()
            raise ConfigurationError(
                "HAProxy does not accept its configuration.",
                details=answer.output.strip(),
                resolution="What was in force stays so. Look at what HAProxy says; or tell stager's authors.",
            )
        new.replace(path)

    def _start(self, program: str) -> None:
        self._end_lost()
        (self.directory / _SOCKET).unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(self.directory / "haproxy.log", flags, 0o600)
        try:
            # Relative names: a socket's may have 107 bytes.
            started = start_detached(
                [program, "-W", "-f", _CONFIGURATION, "-S", f"unix@{_SOCKET},mode,600"],
                environment={"PATH": _PATH, _MARK: str(self.directory)},
                cwd=self.directory,
                output=log,
            )
        finally:
            os.close(log)
        write_json(self.directory / "balancer.json", to_document(identify(started.pid)))
        self._wait_for_change(frozenset())

    def _reload(self) -> None:
        before: frozenset[int] = frozenset()
        for _ in self._tries():
            with contextlib.suppress(OSError):
                before = self.workers().current
                break
        log = self.directory / "haproxy.log"
        if log.stat().st_size > _MOST_LOG:
            os.truncate(log, 0)
        if master := self.process:
            send_signal(master, signal.SIGUSR2)
        self._wait_for_change(before)

    def _wait_for_change(self, before: frozenset[int]) -> None:
        for _ in self._tries():
            with contextlib.suppress(OSError):
                current = self.workers().current
                if current and current.isdisjoint(before):
                    return
        log = _content(self.directory / "haproxy.log").strip().splitlines()
        raise CouldNotVerify(
            f"The balancer on port {self.port} does not work.",
            details="\n".join(log[-10:]) or "HAProxy said nothing.",
            resolution="Is the port free? Look at what HAProxy says.",
            slug="balancer",
        )

    def _tries(self) -> Iterator[None]:
        """For as long as something may come of it."""
        deadline = Deadline.after(_CHANGE_SECONDS)
        while not deadline.is_over and self.process is not None:
            yield
            time.sleep(_PAUSE)

    def _ask(self, command: str) -> str:
        """One command of the master's own interface."""
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2.0)
                client.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
                client.sendall(f"{command}\n".encode())
                answer = b""
                # It ends with an empty line; the connection stays (2.6).
                while not answer.endswith(b"\n\n") and (data := client.recv(1 << 16)):
                    answer += data
                return answer.decode(errors="replace")
        finally:
            os.close(directory)


def find_haproxy() -> str:
    """Its path; raises HostToolMissing."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if found is None:
        raise HostToolMissing(
            "There is no HAProxy on this host.",
            details="Several instances of one port need it.",
            resolution="apt-get install --no-install-recommends haproxy",
        )
    return found


def _account() -> dict[str, str]:
    """Whom root's workers run as."""
    if os.geteuid() != 0:
        return {"user": "", "group": ""}
    for name in ("haproxy", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": name, "group": grp.getgrgid(entry.pw_gid).gr_name}
    return {"user": "", "group": ""}


def _path(health: Health) -> str:
    """As it stands in a request line, without what HAProxy's own quotes do not hold."""
    path = quote(health.path, safe="/%:@-._~=&?+,;!*()")
    return path if path.startswith("/") or not path else f"/{path}"


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""

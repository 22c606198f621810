"""One started droplet."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat as file_modes
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path

from stager.execution.spawn import Account, Spawned, spawn
from stager.launch import ports
from stager.launch.log import Log
from stager.launch.processes import ProcessStat, Tree, read_environment, real_uid, runs, ticks_now
from stager.launch.workers import find_workers
from stager.model.frozen import dataclass
from stager.model.memory import MIB
from stager.model.plan import Limits

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CLEAN_UP_SECONDS = 5.0
#: What ``startup`` makes for sockets; nothing of another name is ever removed.
_SOCKETS = re.compile(r"/tmp/stager\.[A-Za-z0-9]+")  # noqa: S108


def ignore_line(line: str) -> None:
    """What is told to nobody."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How an instance is started.

    Parameters
    ----------
    droplet:
        The unpacked droplet, readable by ``account``.
    process:
        The process type.
    state:
        Where ``logs/``, ``tmp/``, ``run/`` and ``run.pid`` go instead of into the droplet.
    account:
        The user; None for ours.
    environment:
        Added to the minimal one, and wins, except for the port.
    limits:
        What ``VCAP_APPLICATION`` says.
    on_line:
        Is told each line of the log.
    """

    droplet: Path
    process: str = "web"
    state: Path | None = None
    account: Account | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    on_line: Callable[[str], None] = ignore_line

    def log(self, name: str) -> Log:
        """A new log of that name, beside the instance's own."""
        return Log.create(self.state or self.droplet, name, self.account, self.on_line)

    def base_environment(self) -> dict[str, str]:
        """What ``startup`` and ``stop`` both get."""
        environment = {"PATH": os.environ.get("PATH") or _PATH, "LANG": "C.UTF-8"}
        if self.state is not None:
            environment["STAGER_RUN_DIR"] = str(self.state)
        return environment

    def start_environment(self, port: int, instance_id: str) -> dict[str, str]:
        """What ``startup`` gets."""
        application = {
            "name": self.droplet.name,
            "instance_id": instance_id,
            "instance_index": 0,
            "host": ports.LOOPBACK,
            "port": port,
            "limits": {
                "mem": self.limits.memory // MIB,
                "disk": self.limits.disk // MIB,
                "fds": self.limits.fds,
            },
        }
        return {
            **self.base_environment(),
            "VCAP_APP_HOST": ports.LOOPBACK,
            "VCAP_APPLICATION": json.dumps(application),
            "VCAP_SERVICES": "{}",
            **self.environment,
            "PORT": str(port),
        }


class Instance:
    """A droplet that was started on a port, and everything that it has started since."""

    def __init__(self, launch: Launch, port: int) -> None:
        self.launch = launch
        self.port = port
        self.log = launch.log("boot.log")
        self._sockets = ""
        self._listening: frozenset[int] = frozenset()
        # Also the mark by which a process is recognised that lost its parents and its group.
        instance_id = str(uuid.uuid4())
        since = ticks_now()
        argv = ["startup", "-p", str(port), "-t", launch.process]
        try:
            self.started = self._spawn(argv, launch.start_environment(port, instance_id), self.log)
            self.tree = Tree(self.started.pid, since, [instance_id.encode()])
        except BaseException:
            if hasattr(self, "started"):
                Tree(self.started.pid, since).end(patience=0.0)
            self.log.close()
            raise

    @property
    def exit_code(self) -> int | None:
        """Of ``startup``, which is the server where it needs no second process; None while it runs."""
        return self.started.exit_code

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started.started_at

    def observe(self) -> tuple[ProcessStat, ...]:
        """Its processes now. Also remembers what has to be gone after the stop."""
        members = self.tree.members()
        held = ports.listeners_of(stat.pid for stat in members)
        self._listening |= {one.inode for one in held if one.port == self.port}
        for stat in members:
            self._sockets = self._sockets or read_environment(stat.pid).get("STAGER_SOCKETS", "")
        return members

    def listeners(self) -> tuple[ports.Listener, ...]:
        """Where its processes listen, whatever port they were given."""
        return ports.listeners_of(stat.pid for stat in self.tree.members())

    def is_listening(self) -> bool:
        """Whether one of the sockets that it had on its port still listens."""
        return any(one.inode in self._listening for one in ports.listeners() if one.port == self.port)

    def is_opaque(self) -> bool:
        """Whether one of its processes does not let us see what it has open, and lives on."""
        return any(
            # Of who ends nothing can be seen, either.
            not os.access(f"/proc/{one.pid}/fd", os.R_OK) and runs(one.pid, one.start)
            for one in self.tree.members()
        )

    def worker_uids(self) -> frozenset[int]:
        """The users that its workers run as: 0 has to be never among them."""
        uids = {real_uid(stat.pid) for stat in find_workers(self.tree.members())}
        return frozenset(uid for uid in uids if uid is not None)

    def sockets_directory(self) -> Path | None:
        """Its private directory under /tmp, if it is (still) there."""
        if not _SOCKETS.fullmatch(self._sockets):
            return None
        try:
            mode = os.lstat(self._sockets).st_mode
        except OSError:
            return None
        return Path(self._sockets) if file_modes.S_ISDIR(mode) else None

    @contextmanager
    def stop_script(self) -> Iterator[tuple[Spawned, Log]]:
        """``./stop``, started; ended with everything it runs when the block is left before it."""
        log = self.launch.log("stop.log")
        since = ticks_now()
        try:
            # Whoever types Ctrl-C again while it is at work means us, and has to wait.
            stopper = self._spawn(["stop"], self.launch.base_environment(), log, is_apart=True)
            tree = Tree(stopper.pid, since)
            try:
                yield stopper, log
            finally:
                # It may still be looking for processes to signal: it must not outlive the instance.
                tree.end(patience=0.0)
                stopper.wait(1.0)
        finally:
            log.close()

    def end(self, patience: float = 1.0) -> None:
        """End whatever still runs, by force where TERM does not do within ``patience`` seconds."""
        if self.exit_code is None:
            self.observe()
        # Apache's parent passes a TERM on to its whole group: never to ours.
        self.tree.end(patience if self.tree.has_own_group else 0.0)
        self.started.wait(1.0)
        if not self._sockets:
            self._clean_up()
        if (left := self.sockets_directory()) is not None:
            shutil.rmtree(left, ignore_errors=True)
        self.log.follow()
        self.log.close()

    def _clean_up(self) -> None:
        """Let the droplet's own ``stop`` remove what a server that died at once has left in /tmp.

        Nobody saw where that is, and nothing runs any more that ``stop`` could wait for.
        """
        with suppress(OSError), self.stop_script() as (stopper, _):
            stopper.wait(_CLEAN_UP_SECONDS)

    def _spawn(
        self, argv: list[str], environment: Mapping[str, str], log: Log, *, is_apart: bool = False
    ) -> Spawned:
        launch = self.launch
        return spawn(
            [str(launch.droplet / argv[0]), *argv[1:]],
            environment=environment,
            # Neither script may count on being started from the droplet's directory.
            cwd=Path("/"),
            output=log.descriptor,
            account=launch.account,
            is_apart=is_apart,
        )

"""Where the agent keeps what: the state directory, an application in it, an instance in that.

::

    STATE/NAME/application.json  environment.json  supervisor.json  events.jsonl  balancer/
    STATE/NAME/droplets/<digest>/                 the droplet, unpacked once
    STATE/NAME/instances/<index>-<id>/            instance.json, state/ (STAGER_RUN_DIR), logs/, history.bin
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from stager.errors import OutputNotWritable, UsageError
from stager.execution.workspace import remove_tree
from stager.launch.agent.directories import directories, make_directory
from stager.launch.agent.documents import read_record, write_json
from stager.launch.agent.records import (
    ApplicationRecord,
    EnvironmentRecord,
    InstanceRecord,
    ProcessRecord,
    to_document,
)
from stager.model.frozen import dataclass

__all__ = [
    "ApplicationPlace",
    "InstancePlace",
    "StateDirectory",
    "make_directory",
    "read_record",
    "write_json",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
#: More of the digest would only make paths long, and a socket's has 107 bytes.
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class InstancePlace:
    """The directory of one instance. ``state`` belongs to its account, the rest to us."""

    path: Path

    @property
    def record_file(self) -> Path:
        return self.path / "instance.json"

    @property
    def state(self) -> Path:
        """STAGER_RUN_DIR: ``logs/``, ``tmp/``, ``run/`` and ``run.pid`` of the droplet."""
        return self.path / "state"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def out_log(self) -> Path:
        return self.logs / "out.log"

    @property
    def err_log(self) -> Path:
        return self.logs / "err.log"

    @property
    def history_file(self) -> Path:
        return self.path / "history.bin"

    @property
    def enclosure_file(self) -> Path:
        """Where its control groups are, if it has any."""
        return self.path / "enclosure.json"

    def read(self) -> InstanceRecord | None:
        """Its record, or None where there is none that can be read."""
        return read_record(InstanceRecord, self.record_file)

    def write(self, record: InstanceRecord) -> None:
        write_json(self.record_file, to_document(record), mode=0o644)

    def make(self) -> None:
        """Make it and ``logs/``; ``state/`` is the business of who knows the account."""
        make_directory(self.path)
        make_directory(self.logs)

    def remove(self) -> None:
        """Remove it with everything in it."""
        if self.path.is_dir():
            remove_tree(self.path)


@dataclass(frozen=True, slots=True)
class ApplicationPlace:
    """The directory of one application."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def application_file(self) -> Path:
        return self.path / "application.json"

    @property
    def environment_file(self) -> Path:
        return self.path / "environment.json"

    @property
    def supervisor_file(self) -> Path:
        return self.path / "supervisor.json"

    @property
    def replacement_file(self) -> Path:
        """What is to take over; there until it has, or has failed."""
        return self.path / "replacement.json"

    @property
    def answer_file(self) -> Path:
        """How the last replacement went."""
        return self.path / "replaced.json"

    @property
    def events_file(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def instances_directory(self) -> Path:
        return self.path / "instances"

    @property
    def droplets(self) -> Path:
        return self.path / "droplets"

    @property
    def balancer(self) -> Path:
        return self.path / "balancer"

    def droplet(self, sha256: str) -> Path:
        """Where the droplet of that digest is unpacked to."""
        return self.droplets / sha256[:_DIGEST_CHARACTERS]

    def instance(self, index: int, identifier: str) -> InstancePlace:
        return InstancePlace(self.instances_directory / f"{index}-{identifier}")

    def instances(self) -> tuple[InstancePlace, ...]:
        """Those that are there, by index, then by age of the directory's name."""
        found = [InstancePlace(path) for path in directories(self.instances_directory)]
        return tuple(sorted(found, key=lambda place: (_index(place.path.name), place.path.name)))

    def read(self) -> ApplicationRecord | None:
        """What was asked for, or None where that cannot be read."""
        return read_record(ApplicationRecord, self.application_file)

    def write(self, record: ApplicationRecord) -> None:
        write_json(self.application_file, to_document(record))

    def read_environment(self) -> EnvironmentRecord:
        return read_record(EnvironmentRecord, self.environment_file) or EnvironmentRecord()

    def write_environment(self, record: EnvironmentRecord) -> None:
        write_json(self.environment_file, to_document(record), mode=0o600)

    def read_supervisor(self) -> ProcessRecord | None:
        return read_record(ProcessRecord, self.supervisor_file)

    def write_supervisor(self, record: ProcessRecord) -> None:
        write_json(self.supervisor_file, to_document(record))

    def make(self) -> None:
        make_directory(self.path)
        make_directory(self.instances_directory)
        make_directory(self.droplets)

    def remove(self) -> None:
        """Remove it with everything in it."""
        if self.path.is_dir():
            remove_tree(self.path)

    @contextlib.contextmanager
    def lock(self, *, is_making: bool = False) -> Iterator[None]:
        """Nobody else changes what was asked for, or who supervises, meanwhile.

        The directory itself is locked, and may be removed under the lock: who waits for it finds that out.
        Raises FileNotFoundError where it is not there and not to be made.
        """
        descriptor = self._locked(is_making=is_making)
        try:
            yield
        finally:
            os.close(descriptor)

    def _locked(self, *, is_making: bool) -> int:
        while True:
            if is_making:
                make_directory(self.path)
            try:
                descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                if is_making:
                    continue
                raise
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.lstat(self.path)):
                    return descriptor
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """Where all applications of one user lie."""

    path: Path

    @classmethod
    def default(cls) -> StateDirectory:
        """$STAGER_STATE_DIR, else ``stager`` where the desktop's rules put state.

        Root's own home is closed to the account that its applications run as: for root it is /var/lib.
        """
        if given := os.environ.get("STAGER_STATE_DIR"):
            return cls(Path(given).absolute())
        home = "/var/lib" if os.geteuid() == 0 else os.path.expanduser("~/.local/state")
        base = os.environ.get("XDG_STATE_HOME") or home
        return cls(Path(base).absolute() / "stager")

    def application(self, name: str) -> ApplicationPlace:
        """The place of the application of that name, whether it is there or not.

        Raises
        ------
        UsageError
            No application can have that name.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be an application's name.",
                resolution="Use letters, digits, '.', '_' and '-' (100 at most, a letter or digit first).",
            )
        return ApplicationPlace(self.path / name)

    def applications(self) -> tuple[ApplicationPlace, ...]:
        """Those that are there, by name."""
        found = [ApplicationPlace(path) for path in directories(self.path) if _NAME.fullmatch(path.name)]
        return tuple(sorted(found, key=lambda place: place.name))

    def make(self) -> None:
        """Make it, where it is not there.

        Raises
        ------
        OutputNotWritable
            It cannot be made, or not be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_directory(self.path)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise self._unusable("Permission denied")

    def _unusable(self, why: str) -> OutputNotWritable:
        return OutputNotWritable(
            f"The state directory {self.path} cannot be used.",
            details=why,
            resolution="Name one that you can write to with --state-dir.",
        )


def _index(name: str) -> int:
    number = name.partition("-")[0]
    return int(number) if number.isdecimal() else -1

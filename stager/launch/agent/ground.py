"""The unpacked droplet that an application's instances share, and what they write into it.

``app/`` is their HOME, and theirs to write to. What they leave there is nobody's alone, so it counts for each
of them; and when it is too much, a fresh copy has to come before the next one starts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from stager.launch.agent.disk import DiskScan
from stager.launch.agent.droplets import Unpacked

#: How often somebody who waits looks whether it is still wanted.
_LOOK_SECONDS = 0.2


class Ground:
    """One unpacked droplet, and which indexes of the application stand on it now.

    A directory that somebody else had unpacked is not ours to measure or to replace.
    """

    def __init__(self, droplet: Unpacked) -> None:
        self.scan = _scan(droplet)
        self._users: set[int] = set()
        #: There is too much in it: whoever is on it has to end, and nobody else enters it as it is.
        self.is_soiled = False
        self._change = threading.Condition()

    @property
    def size(self) -> int:
        """Bytes that were written into it since it was unpacked."""
        return self.scan.size if self.scan is not None else 0

    def enter(self, index: int) -> None:
        """One that is there already."""
        with self._change:
            self._users.add(index)

    def enter_clean(self, index: int, renew: Callable[[], Unpacked], is_wanted: Callable[[], bool]) -> None:
        """Enter, when everybody has left it if it is soiled; the first that does so replaces it.

        Raises what ``renew`` raises, and does not enter then.
        """
        with self._change:
            while self.is_soiled and self._users and is_wanted():
                self._change.wait(_LOOK_SECONDS)
            if self.is_soiled and not self._users:
                self.scan = _scan(renew())
                self.is_soiled = False
            self._users.add(index)

    def leave(self, index: int) -> None:
        """Nothing of that index runs any more."""
        with self._change:
            self._users.discard(index)
            self._change.notify_all()


def _scan(droplet: Unpacked) -> DiskScan | None:
    return DiskScan([str(droplet.directory)], since=droplet.unpacked_at) if droplet.unpacked_at else None

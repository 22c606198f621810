"""Adds up a layer while it is packed."""

from __future__ import annotations

import hashlib

from stager.archive.digest_list import DigestList, directory_line_of, line_of, link_line_of
from stager.model.droplet import Layer

#: Lines are hashed and stored so many at a time.
_LINES = 512
#: Formatting bytes takes longer than anything else that is done for a line.
_MODES = {mode: b"%o " % mode for mode in range(0o1000)}


class LayerListing:
    """A layer's digest and sums. Its files' lines go on to the list of digests, if there is one."""

    def __init__(self, digests: DigestList | None) -> None:
        self._digests = digests
        self._hash = hashlib.sha256(usedforsecurity=False)
        self._listing: list[bytes] = []
        self._lines: list[bytes] = []
        self.files = 0
        self.bytes = 0
        self.members = 0

    def file(self, name: bytes, mode: int, digest: bytes, size: int) -> None:
        """Add a file; ``digest`` is hexadecimal."""
        line = line_of(name, digest)
        self._lines.append(line)
        # A mode above 777 comes from a droplet that somebody has changed.
        self._listing += (_MODES.get(mode) or b"%o " % mode, line)
        self.files += 1
        self.bytes += size
        self.members += 1
        if len(self._lines) >= _LINES:
            self._flush()

    def directory(self, name: bytes, mode: int) -> None:
        """Add a directory."""
        self._other(directory_line_of(name, mode))

    def link(self, name: bytes, target: bytes) -> None:
        """Add a symbolic link."""
        self._other(link_line_of(name, target))

    def layer(self, name: str) -> Layer:
        """The sum."""
        self._flush()
        return Layer(name, self._hash.hexdigest(), self.files, self.bytes, self.members)

    def _other(self, line: bytes) -> None:
        self._listing.append(line)
        self.members += 1
        if len(self._listing) >= 2 * _LINES:
            self._flush()

    def _flush(self) -> None:
        self._hash.update(b"".join(self._listing))
        if self._digests is not None:
            self._digests.add(b"".join(self._lines))
        self._listing.clear()
        self._lines.clear()

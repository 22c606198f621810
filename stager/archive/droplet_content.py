"""Reads a droplet, a file or a directory, and says what is in it, with or without unpacking it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Any, NamedTuple

from stager.archive import digest_list
from stager.archive.complaint import droplet as droplet_complaint
from stager.archive.layer_listing import LayerListing
from stager.archive.reader import Member, members
from stager.archive.unpacking import Destination
from stager.archive.writer import MANIFEST_FILE
from stager.errors import DropletCorrupt
from stager.model.droplet import Layer, Manifest
from stager.model.entry import Kind
from stager.model.frozen import dataclass

CHUNK = 1 << 20
_FORMATS = {b"\x1f\x8b": "tar.gz", b"\x28\xb5": "tar.zst"}


class Seen(NamedTuple):
    """A member as it was found: ``digest`` is a file's SHA-256, or a link's target."""

    kind: Kind
    mode: int
    size: int
    digest: str


@dataclass(slots=True)
class Content:
    """What a droplet holds.

    Parameters
    ----------
    path, format, size_bytes:
        Of the droplet itself.
    manifest:
        Its ``droplet.yaml``.
    members:
        Everything in it, by path.
    listed:
        What ``droplet.sha256`` says, by path.
    layers:
        The layers as they were found; empty for a directory, where their order is lost.
    """

    path: Path
    format: str
    size_bytes: int
    manifest: Manifest
    members: dict[str, Seen] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()

    @property
    def files(self) -> int:
        """How many regular files."""
        return sum(seen.kind is Kind.FILE for seen in self.members.values())

    @property
    def bytes(self) -> int:
        """What they have together."""
        return sum(seen.size for seen in self.members.values())

    @property
    def by_folder(self) -> dict[str, int]:
        """Bytes below each name of the top level, the largest first; folders end in a slash."""
        sizes: dict[str, int] = {}
        for path, seen in self.members.items():
            top, slash, _ = path.partition("/")
            if seen.kind is Kind.FILE:
                sizes[top + slash] = sizes.get(top + slash, 0) + seen.size
        return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def read_droplet(
    path: Path,
    *,
    destination: Path | None = None,
    is_hashing: bool = True,
    file: io.BufferedIOBase | None = None,
) -> Content:
    """Read a droplet to its end.

    Parameters
    ----------
    destination:
        An empty directory that it is unpacked into on the way. A droplet that is a directory is not copied.
    is_hashing:
        Whether digests are computed.
    file:
        Read instead of opening ``path``: a droplet that has no name yet.

    Raises
    ------
    DropletCorrupt
        It is no droplet, cut short, or holds what no droplet may hold.
    """
    if file is None and os.path.isdir(path):
        try:
            return _read_directory(path, is_hashing=is_hashing)
        except OSError as error:
            raise _unreadable(path, error) from error
    try:
        opened = file or path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        if not opened.seekable():
            raise _unreadable(path, OSError("it is a pipe, and not a file"))
        return _read_file(path, opened, destination, is_hashing=is_hashing)
    finally:
        if file is None:
            opened.close()


def _unreadable(path: Path, error: OSError) -> DropletCorrupt:
    return DropletCorrupt(
        f"There is no droplet {path}." if isinstance(error, FileNotFoundError) else f"{path} cannot be read.",
        details=error.strerror or str(error),
        resolution="Name a file that `stager build` wrote, or a directory that it was unpacked to.",
        slug="droplet-unreadable",
    )


def _read_file(path: Path, file: Any, destination: Path | None, *, is_hashing: bool) -> Content:
    file.seek(0)
    format_ = _FORMATS.get(file.read(2), "tar")
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    complaint = droplet_complaint(str(path))
    target = Destination(destination, complaint) if destination else None
    content: dict[str, Seen] = {}
    kept: dict[str, bytes] = {}
    for member in members(file, complaint):
        is_kept = member.path in (MANIFEST_FILE, digest_list.NAME)
        content[member.path] = _take(member, target, kept if is_kept else None, is_hashing=is_hashing)
    if target is not None:
        target.finish()
    manifest = _manifest(path, kept.get(MANIFEST_FILE))
    found = Content(path, format_, size, manifest, content, _listed(kept.get(digest_list.NAME, b"")))
    if is_hashing:
        found.layers = tuple(_layers(manifest, content))
    return found


def _take(
    member: Member, target: Destination | None, kept: dict[str, bytes] | None, *, is_hashing: bool
) -> Seen:
    """One member: written where that is wanted, and a file's bytes hashed and kept in the same pass."""
    if member.body is None:
        if target is not None:
            _make(member, target)
        return Seen(member.kind, member.mode, 0, member.target)
    digest = hashlib.sha256(usedforsecurity=False)
    parts: list[bytes] = []
    read = member.body.read

    def chunk() -> bytes:
        data = read()
        if is_hashing:
            digest.update(data)
        if kept is not None:
            parts.append(data)
        return data

    if target is not None:
        target.file(member.path, chunk, is_executable=bool(member.mode & 0o100))
    elif is_hashing or kept is not None:
        while chunk():
            pass
    if kept is not None:
        kept[member.path] = b"".join(parts)
    return Seen(Kind.FILE, member.mode, member.size, digest.hexdigest() if is_hashing else "")


def _make(member: Member, target: Destination) -> None:
    if member.kind is Kind.LINK:
        target.link(member.path, member.target)
    else:
        target.directory(member.path)


def _read_directory(root: Path, *, is_hashing: bool) -> Content:
    if not (root / MANIFEST_FILE).is_file():
        raise DropletCorrupt(
            f"{root} is no droplet.",
            details=f"It has no {MANIFEST_FILE}.",
            resolution="Name the directory that a droplet was unpacked to, or a droplet's file.",
        )
    content = dict(_walk(os.fspath(root), "", is_hashing=is_hashing))
    manifest = _manifest(root, (root / MANIFEST_FILE).read_bytes())
    digests = root / digest_list.NAME
    listed = _listed(digests.read_bytes() if digests.is_file() else b"")
    size = sum(seen.size for seen in content.values())
    return Content(root, "dir", size, manifest, content, listed)


def _walk(root: str, prefix: str, *, is_hashing: bool) -> Iterator[tuple[str, Seen]]:
    with os.scandir(os.path.join(root, prefix)) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = prefix + entry.name
        status = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if entry.is_symlink():
            yield path, Seen(Kind.LINK, mode, 0, os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            yield path, Seen(Kind.DIRECTORY, mode, 0, "")
            yield from _walk(root, path + "/", is_hashing=is_hashing)
        elif stat.S_ISREG(status.st_mode):
            digest = _hash_of(entry.path) if is_hashing else ""
            yield path, Seen(Kind.FILE, mode, status.st_size, digest)
        else:
            raise DropletCorrupt(
                f"{root} holds something that no droplet has.",
                details=f"{path!r} is neither file, directory nor link.",
                resolution="Stop the droplet if it runs, remove that file, and try again.",
            )


def _hash_of(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, lambda: hashlib.sha256(usedforsecurity=False)).hexdigest()


def _manifest(path: Path, text: bytes | None) -> Manifest:
    if text is None:
        raise DropletCorrupt(
            f"{path} is no droplet.",
            details=f"It is an archive, and has no {MANIFEST_FILE}.",
            resolution="Name a file that `stager build` wrote.",
        )
    import yaml

    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date with 32 days
        raise DropletCorrupt(
            "The droplet's manifest cannot be read.",
            details=f"{MANIFEST_FILE}: {error}",
            resolution="Copy or build the droplet again.",
        ) from error
    return Manifest.from_document(document)


def _listed(text: bytes) -> dict[str, str]:
    return {digest.path: digest.sha256 for digest in digest_list.parse(io.BytesIO(text))}


def _layers(manifest: Manifest, content: dict[str, Seen]) -> Iterator[Layer]:
    """The layers again, from the members in their order; the manifest says how many belong to each."""
    rest = iter(content.items())
    for layer in manifest.layers:
        listing = LayerListing(None)
        for _ in range(layer.members):
            item = next(rest, None)
            if item is None:
                break
            path, seen = item
            name = os.fsencode(path)
            if seen.kind is Kind.FILE:
                listing.file(name, seen.mode, seen.digest.encode(), seen.size)
            elif seen.kind is Kind.DIRECTORY:
                listing.directory(name, seen.mode)
            else:
                listing.link(name, os.fsencode(seen.digest))
        yield listing.layer(layer.name)

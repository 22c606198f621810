"""Gives a written droplet another manifest; its layers stay as they are, and are not compressed again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from stager.archive import digest_list
from stager.archive.compression import Compression, open_stream
from stager.archive.droplet_file import DropletFile
from stager.archive.output import write_failed
from stager.archive.packed import Packed
from stager.archive.writer import MANIFEST_FILE, DropletWriter
from stager.errors import DropletCorrupt

_MANIFEST_LINE = f"{MANIFEST_FILE}\n".encode()
_NAME_START = 66


def replace_manifest(
    old: BinaryIO,
    packed: Packed,
    new: BinaryIO,
    document: bytes,
    *,
    compression: Compression,
    mtime: int,
    spool_directory: str | None = None,
) -> Packed:
    """Write to ``new`` the droplet that is in ``old``, with ``document`` as its ``droplet.yaml``.

    ``packed``, ``compression`` and ``mtime`` are what ``old`` was written with; ``old`` is seekable. The
    result is what a writer would have made of the same layers and this document.
    """
    with DropletWriter(DropletFile(new, compression, mtime), spool_directory=spool_directory) as writer:
        digests = _kept_lines(_list_in_file(old, packed))
        for member in packed.members[:-1]:
            # All layers' lines come with the first: the list is in their order.
            writer.append_layer(member, old, digests)
        writer.add_manifest(document)
        return replace(writer.finish(), hits=packed.hits)


def replace_manifest_in_directory(root: str, packed: Packed, document: bytes, *, mtime: int) -> Packed:
    """The same for a droplet that is a directory; its two files are replaced where they lie."""
    path = os.path.join(root, digest_list.NAME)
    try:
        with open(path, "rb") as text:
            kept = list(_kept_lines(iter(text)))
    except OSError as error:
        raise _without_list(str(error)) from error
    line = digest_list.line_of(MANIFEST_FILE.encode(), hashlib.sha256(document).hexdigest().encode())
    text_of_list = b"".join((*kept, line))
    try:
        _replace_file(os.path.join(root, MANIFEST_FILE), document, mtime)
        _replace_file(path, text_of_list, mtime)
        os.utime(root, (mtime, mtime))
    except OSError as error:
        raise write_failed(error, root) from error
    last = packed.members[-1]
    size = len(document) + len(text_of_list)
    layer = replace(last.layer, digest=hashlib.sha256(b"644 " + line).hexdigest(), bytes=size)
    member = replace(last, compressed_bytes=size, layer=layer)
    return replace(
        packed,
        size_bytes=packed.size_bytes - last.layer.bytes + size,
        sha256=hashlib.sha256(text_of_list).hexdigest(),
        members=(*packed.members[:-1], member),
    )


def _replace_file(path: str, data: bytes, mtime: int) -> None:
    """Write beside and rename, so that no reader ever sees half of it."""
    beside = f"{path}.new"
    try:
        with open(beside, "xb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(data)
        os.utime(beside, (mtime, mtime))
        os.replace(beside, path)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def _list_in_file(old: BinaryIO, packed: Packed) -> Iterator[bytes]:
    import tarfile

    old.seek(packed.members[-1].offset)
    with tarfile.open(fileobj=open_stream(old), mode="r|") as tar:
        for member in tar:
            text = tar.extractfile(member) if member.name == digest_list.NAME else None
            if text is not None:
                yield from text
                return
    raise _without_list(f"{digest_list.NAME} is not in its last member")


def _without_list(details: str) -> DropletCorrupt:
    return DropletCorrupt(
        "The droplet has no list of digests.", details=details, resolution="Build the droplet again."
    )


def _kept_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line[_NAME_START:] != _MANIFEST_LINE)

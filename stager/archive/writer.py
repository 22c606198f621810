"""Writes a droplet: every source file is opened, read and hashed once, and goes straight into its layer."""

from __future__ import annotations

import os
from binascii import hexlify
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from types import TracebackType
from typing import BinaryIO, Self

from stager.archive import digest_list
from stager.archive.digest_list import DigestList
from stager.archive.droplet_form import DropletForm
from stager.archive.layer_listing import LayerListing
from stager.archive.needles import Needle, NeedleSearch
from stager.archive.packed import Member, Packed
from stager.archive.source_file import CHUNK_BYTES, descriptor_chunks, read_chunks, read_whole
from stager.model.droplet import Layer
from stager.model.entry import Entry, Kind, file_of_bytes

#: The last member: droplet.yaml and droplet.sha256, which are made from the layers and so are in none.
MANIFEST = "manifest"
MANIFEST_FILE = "droplet.yaml"


class DropletWriter:
    """Packs layers of entries, in the order in which they come, into a DropletFile or a DropletDirectory.

    Use it as a context manager: left by an exception, it stops its threads. Its memory does not grow with
    the number of entries.

    Parameters
    ----------
    form:
        What is written to; it is not closed here.
    needles:
        What to look for in all bytes, names and targets.
    spool_directory:
        Where the list of digests grows in a file without a name; None for the system's place.
    """

    def __init__(
        self, form: DropletForm, *, needles: Sequence[Needle] = (), spool_directory: str | None = None
    ) -> None:
        self._form = form
        self._search = NeedleSearch(needles)
        self._is_searching = bool(self._search)
        self._digests = DigestList(spool_directory)
        self._members: list[Member] = []
        self._list_sha256 = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._form.abort()
        self._digests.close()

    def add_layer(self, name: str, entries: Iterable[Entry]) -> Layer:
        """Pack a layer, and say what it came to.

        Raises SourceUnreadable and SourceChanged with the file's name; DiskFull, OutputNotWritable.
        """
        offset = self._form.position
        listing = LayerListing(self._digests)
        self._form.begin()
        # Looked up once: an enumeration takes its time.
        file, directory, _ = Kind
        for entry in entries:
            kind = entry.kind
            if kind is file:
                self._add_file(entry, listing)
            elif kind is directory:
                self._add_directory(entry, listing)
            else:
                self._add_link(entry, listing)
        return self._end_layer(offset, listing.layer(name))

    def append_layer(self, member: Member, compressed: BinaryIO, digests: Iterable[bytes]) -> Layer:
        """Add a layer as it was compressed before, by a writer with the same compression and time.

        ``compressed`` is a file that has the layer at ``member.offset``; ``digests`` are its lines of the
        list of digests. Nothing is decompressed or hashed again: the layer is what ``member`` says.
        """
        offset = self._form.position
        for lines in digests:
            self._digests.add(lines)
        compressed.seek(member.offset)
        self._form.append(compressed, member.compressed_bytes)
        return self._end_layer(offset, member.layer, is_open=False)

    def add_manifest(self, document: bytes) -> None:
        """Pack ``droplet.yaml``, and after it the digests of all files: the droplet's last member."""
        offset = self._form.position
        listing = LayerListing(self._digests)
        self._form.begin(is_short=True)
        self._add_file(file_of_bytes(MANIFEST_FILE, document), listing)
        layer = listing.layer(MANIFEST)
        size = self._digests.size
        self._add_digest_list(size)
        self._end_layer(
            offset, replace(layer, files=layer.files + 1, bytes=layer.bytes + size, members=layer.members + 1)
        )

    def listed(self) -> bytes:
        """The lines of the list of digests so far: what :meth:`append_layer` wants to have later."""
        return b"".join(descriptor_chunks(self._digests.fileno(), self._digests.size, digest_list.NAME))

    def finish(self) -> Packed:
        """Complete the droplet. All of it is handed to the system then; it is not yet synced to the disk."""
        size, sha256 = self._form.finish()
        files = sum(member.layer.files for member in self._members)
        return Packed(size, sha256 or self._list_sha256, files, tuple(self._members), self._search.hits)

    def _end_layer(self, offset: int, layer: Layer, *, is_open: bool = True) -> Layer:
        if is_open:
            self._form.end()
        self._members.append(Member(layer.name, offset, self._form.position - offset, layer))
        return layer

    def _add_file(self, entry: Entry, listing: LayerListing) -> None:
        path, _, mode, source, size = entry
        name = os.fsencode(path)
        if size > CHUNK_BYTES:
            self._add_large_file(entry, name, listing)
            return
        data = read_whole(path, source, size, self._form.file(name, mode, size))
        listing.file(name, mode, hexlify(sha256(data).digest()), size)
        if self._is_searching:
            self._search.look(path, name)
            self._search.look(path, bytes(data))
        self._form.filled(size)

    def _add_large_file(self, entry: Entry, name: bytes, listing: LayerListing) -> None:
        path, _, mode, source, size = entry
        self._search.look(path, name)
        self._form.begin_file(name, mode, size)
        digest = sha256()
        is_first = True
        for chunk in read_chunks(path, source, size):
            digest.update(chunk)
            self._search.look_on(path, chunk, is_first=is_first)
            self._form.file_data(chunk)
            is_first = False
        self._form.end_file(size)
        listing.file(name, mode, hexlify(digest.digest()), size)

    def _add_directory(self, entry: Entry, listing: LayerListing) -> None:
        name = os.fsencode(entry.path)
        self._search.look(entry.path, name)
        listing.directory(name, entry.mode)
        self._form.directory(name, entry.mode)

    def _add_link(self, entry: Entry, listing: LayerListing) -> None:
        name, target = os.fsencode(entry.path), os.fsencode(entry.source)
        self._search.look(entry.path, name)
        self._search.look(entry.path, target)
        listing.link(name, target)
        self._form.link(name, target)

    def _add_digest_list(self, size: int) -> None:
        digest = sha256()
        self._form.begin_file(os.fsencode(digest_list.NAME), 0o644, size)
        for chunk in descriptor_chunks(self._digests.fileno(), size, digest_list.NAME):
            digest.update(chunk)
            self._form.file_data(chunk)
        self._form.end_file(size)
        self._list_sha256 = digest.hexdigest()

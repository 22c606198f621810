"""Turns the assembled entries into the bytes of a droplet, layer by layer, in one pass over every file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from stager.archive.compression import Compression
from stager.archive.digest_list import NAME, line_of
from stager.archive.droplet_directory import DropletDirectory
from stager.archive.droplet_file import DropletFile as DropletTar
from stager.archive.droplet_form import DropletForm
from stager.archive.needles import Needle
from stager.archive.packed import Packed
from stager.archive.reader import unpack
from stager.archive.writer import MANIFEST_FILE, DropletWriter
from stager.errors import ConfigurationError
from stager.execution.workspace import Workspace
from stager.model.droplet import Manifest
from stager.model.report import DropletFile
from stager.model.request import Request
from stager.phases.assemble import Assembled
from stager.phases.secrets import SECRET_LENGTH, build_secrets, credentials
from stager.phases.unpublished import Unpublished, UnpublishedDirectory, unpublished_at

#: 1980-01-01T00:00:01Z, as Cloud Native Buildpacks have it: zip tools know no earlier year, and a second
#: that is not zero shows that it was set on purpose.
FIXED_TIME = 315532801
#: What findings call the needles that are looked for.
BUILD_PATH, BUILD_ENV, SERVICES = "build path", "--build-env", "--services"


class PackedDroplet:
    """A packed droplet that has no name yet. As a context it goes away, unless it was published.

    Parameters
    ----------
    unpublished:
        Where its bytes are.
    packed:
        What was written.
    manifest:
        Its manifest, with the layers.
    listed:
        The lines of droplet.sha256 for everything but the manifest.
    """

    def __init__(
        self, unpublished: Unpublished, packed: Packed, manifest: Manifest, listed: bytes, mtime: int
    ) -> None:
        self.unpublished = unpublished
        self.packed = packed
        self.manifest = manifest
        self._listed = listed
        self._mtime = mtime

    def record(self, measured: Mapping[str, int]) -> None:
        """Put what was measured into the manifest: its member is written anew, the layers are taken over."""
        manifest = replace(self.manifest, measured=dict(measured))
        if isinstance(self.unpublished, UnpublishedDirectory):
            self._record_in_directory(self.unpublished.path, manifest)
            return
        again = self.unpublished.again()
        try:
            with DropletWriter(_form(again, self._mtime)) as writer:
                for number, member in enumerate(self.packed.members[:-1]):
                    digests = (self._listed,) if number == 0 else ()
                    writer.append_layer(member, self.unpublished.file, digests)
                writer.add_manifest(manifest_text(manifest))
                packed = writer.finish()
        except BaseException:
            again.discard()
            raise
        self.unpublished.discard()
        self.unpublished, self.packed, self.manifest = again, packed, manifest

    def _record_in_directory(self, root: Path, manifest: Manifest) -> None:
        text = manifest_text(manifest)
        line = line_of(MANIFEST_FILE.encode(), hashlib.sha256(text).hexdigest().encode())
        digests = self._listed + line
        for name, data in ((MANIFEST_FILE, text), (NAME, digests)):
            (root / name).write_bytes(data)
            os.utime(root / name, (self._mtime, self._mtime))
        grown = len(text) - len(manifest_text(self.manifest))
        sha256 = hashlib.sha256(digests).hexdigest()
        self.packed = replace(self.packed, sha256=sha256, size_bytes=self.packed.size_bytes + grown)
        self.manifest = manifest

    def unpack(self, directory: Path) -> None:
        """Unpack it into an empty directory, as anybody would who has the file."""
        if isinstance(self.unpublished, UnpublishedDirectory):
            shutil.copytree(self.unpublished.path, directory, symlinks=True, dirs_exist_ok=True)
            return
        self.unpublished.file.seek(0)
        unpack(self.unpublished.file, directory)

    def publish(self) -> DropletFile:
        """Give it its name. Raises DiskFull, OutputNotWritable."""
        self.unpublished.publish()
        final, packed = self.unpublished.final, self.packed
        return DropletFile(str(final), packed.sha256, packed.size_bytes, self.unpublished.format)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unpublished.discard()


def pack(assembled: Assembled, request: Request, workspace: Workspace) -> PackedDroplet:
    """Write the droplet beside its final place, under no name.

    Raises
    ------
    OutputNotWritable, DiskFull, SourceChanged, SourceUnreadable
        Then nothing of it is left.
    """
    mtime = fixed_time(request.environment)
    unpublished = unpublished_at(request.output, request.format)
    try:
        needles = _needles(assembled, request, workspace)
        with DropletWriter(_form(unpublished, mtime), needles=needles) as writer:
            layers = (
                writer.add_layer("dependencies", assembled.dependency_entries()),
                writer.add_layer("app", assembled.app_entries()),
                writer.add_layer("launch", assembled.generated),
            )
            listed = writer.listed() if request.verify == "boot" else b""
            manifest = replace(assembled.manifest, layers=layers)
            writer.add_manifest(manifest_text(manifest))
            packed = writer.finish()
    except BaseException:
        unpublished.discard()
        raise
    return PackedDroplet(unpublished, packed, manifest, listed, mtime)


def fixed_time(environment: Mapping[str, str]) -> int:
    """The time of every member: ``SOURCE_DATE_EPOCH``, in seconds, else :data:`FIXED_TIME`."""
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return FIXED_TIME
    # 2**33 - 1 is the last second that the eleven octal digits of a tar header can say.
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 33):
        raise ConfigurationError(
            f"SOURCE_DATE_EPOCH is {text!r}.",
            resolution="It has to be a number of seconds since 1970, such as 1700000000.",
        )
    return int(text)


def manifest_text(manifest: Manifest) -> bytes:
    """``droplet.yaml``."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        manifest.as_document(), Dumper=dumper, sort_keys=False, allow_unicode=False, width=1000
    )
    return ("# The manifest of this droplet, made by stager. `stager inspect` explains it.\n" + text).encode()


def _form(unpublished: Unpublished, mtime: int) -> DropletForm:
    if isinstance(unpublished, UnpublishedDirectory):
        return DropletDirectory(str(unpublished.path), mtime)
    compression = Compression.ZSTD if unpublished.format == "tar.zst" else Compression.GZIP
    return DropletTar(unpublished.file, compression, mtime)


def _needles(assembled: Assembled, request: Request, workspace: Workspace) -> list[Needle]:
    """What must not be found in a droplet: where it was built, and what was given for the build alone."""
    needles = []
    # Where no step ran, no program knew the directory: what an untouched file says of it is its author's
    # text. What is generated is looked at in any case, by verification.
    if assembled.plan.build.steps and workspace.root is not None:
        needles.append(Needle(BUILD_PATH, os.fsencode(workspace.root)))
    secrets = [
        (f"{BUILD_ENV} {name}", value)
        for name, value in build_secrets(assembled.plan.settings, has_own_file=request.config is None)
    ]
    secrets += [(SERVICES, value) for value in credentials(request.services)]
    return needles + [
        Needle(label, os.fsencode(value)) for label, value in secrets if len(value) >= SECRET_LENGTH
    ]

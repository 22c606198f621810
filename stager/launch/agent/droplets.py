"""Droplets as the agent has them: identified, compared with their digests, and unpacked once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from stager.archive.content_checks import check_content
from stager.archive.droplet_content import Content, read_droplet
from stager.errors import DropletCorrupt
from stager.execution.spawn import Account
from stager.execution.workspace import remove_tree
from stager.launch.agent.directories import directories
from stager.launch.agent.places import ApplicationPlace
from stager.model.droplet import Manifest
from stager.model.finding import Finding
from stager.model.frozen import dataclass

_SHOWN = 10
_STAMP = "droplet.yaml"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A droplet that can be started: ``directory`` holds it, ``sha256`` is what it was made from.

    ``unpacked_at`` is when we had unpacked it, in nanoseconds since 1970; 0 where somebody else had.
    """

    directory: Path
    manifest: Manifest
    sha256: str
    unpacked_at: int = 0


def identify(path: Path) -> str:
    """The SHA-256 of a droplet; of a directory, that of its list of digests.

    Raises
    ------
    DropletCorrupt
        It cannot be read.
    """
    named = path / "droplet.sha256" if path.is_dir() else path
    try:
        with named.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DropletCorrupt(
            f"There is no droplet {path}."
            if isinstance(error, FileNotFoundError)
            else f"{path} cannot be read.",
            details=error.strerror or str(error),
            resolution="Name a file that `stager build` wrote, or a directory that it was unpacked to.",
            slug="droplet-unreadable",
        ) from error


def unpack(path: Path, place: ApplicationPlace, account: Account | None) -> Unpacked:
    """Read a droplet, compare every digest, and unpack it into the application's place.

    One that is a directory already is compared, and started where it lies.

    Raises
    ------
    DropletCorrupt
        It is not what its digests say.
    """
    sha256 = identify(path)
    if path.is_dir():
        content = read_droplet(path)
        _demand(path, content)
        return Unpacked(path.absolute(), content.manifest, sha256)
    target = place.droplet(sha256)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=place.droplets))
    try:
        content = read_droplet(path, destination=temporary)
        _demand(path, content)
        _hand_over(temporary, content.manifest, account)
        # Its change time is from now on that of the whole: nothing is changed after it but by who runs.
        (temporary / _STAMP).chmod(0o644)
        if target.exists():
            remove_tree(target)
        temporary.rename(target)
    except BaseException:
        remove_tree(temporary)
        raise
    return Unpacked(target, content.manifest, sha256, _unpacked_at(target))


def reopen(path: Path, sha256: str, place: ApplicationPlace) -> Unpacked | None:
    """What :func:`unpack` has made before; None where it is not there any more.

    Digests are not compared again: an application may write into its own directory.
    """
    is_theirs = path.is_dir()
    directory = path if is_theirs else place.droplet(sha256)
    if not (directory / _STAMP).is_file():
        return None
    manifest = read_droplet(directory, is_hashing=False).manifest
    return Unpacked(directory.absolute(), manifest, sha256, 0 if is_theirs else _unpacked_at(directory))


def _unpacked_at(directory: Path) -> int:
    return (directory / _STAMP).stat().st_ctime_ns


def prune(place: ApplicationPlace, kept: Iterable[str]) -> None:
    """Remove what was unpacked of droplets other than those; under the place's lock."""
    names = {place.droplet(sha256).name for sha256 in kept if sha256}
    for directory in directories(place.droplets):
        if directory.name not in names:
            remove_tree(directory)


def _demand(path: Path, content: Content) -> None:
    errors = [finding for finding in check_content(content) if finding.level == "error"]
    if not errors:
        return
    lines = [_line(finding) for finding in errors[:_SHOWN]]
    if len(errors) > _SHOWN:
        lines.append(f"and {len(errors) - _SHOWN} more")
    raise DropletCorrupt(
        f"{path} is not what its digests say; nothing of it was started.",
        details="\n".join(lines),
        resolution="Copy or build the droplet again.",
    )


def _line(finding: Finding) -> str:
    return f"{finding.path}: {finding.message}" if finding.path else finding.message


def _hand_over(directory: Path, manifest: Manifest, account: Account | None) -> None:
    """The application's own files belong to its account, as they would on a host of its own.

    The scripts and the configuration do not: they are started again after it has run.
    """
    directory.chmod(0o755)
    if account is None:
        return
    os.chown(directory.parent, -1, account.gid)
    directory.parent.chmod(0o710)
    for name in dict.fromkeys(("app", *manifest.writable)):
        for folder, _, files in os.walk(directory / name):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)

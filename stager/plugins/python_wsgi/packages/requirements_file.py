"""Requirements files: what they include, which distributions they name, which folders they build from."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterator
from dataclasses import field

from stager.errors import ConfigurationError, PlanError
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree

#: pip's own rules: a comment begins at the line's start or after white space; a backslash joins lines.
_COMMENT = re.compile(r"(^|\s+)#.*$")
_OPTION = re.compile(
    r"(?P<option>-r|--requirements?|-c|--constraints?|-e|--editable|-f|--find-links)(?:\s*=\s*|\s+|(?<=-[rcef]))(?P<value>.+)"
)
_INCLUDES = frozenset({"-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints"})
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^]]*\])?\s*(.*)", re.DOTALL)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.(gz|bz2|xz|zst)|tgz)$")
_URL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(slots=True)
class Listing:
    """What a requirements file says, with all that it includes.

    Parameters
    ----------
    files:
        Paths in the application, in the order in which they are read.
    names:
        Normalised names of what is required, with the place: ``requirements.txt line 3``.
    folders:
        Local files and folders that are installed or searched; ``""`` is the application itself.
    installs_project:
        Whether the application itself is among them.
    """

    files: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    installs_project: bool = False


def normalised(name: str) -> str:
    """The name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_requirements(source: SourceTree, path: str) -> Listing:
    """Read a file and what it includes.

    Raises
    ------
    PlanError
        An included file or a local folder is missing or outside of the application; both files are named,
        and the line.
    """
    listing = Listing()
    _read(source, path, listing, is_constraint=False)
    return listing


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments, the continued ones joined, each with the number of its first line."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if parts else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts.append(line[:-1])
            continue
        joined = _COMMENT.sub("", "".join([*parts, line])).strip()
        parts = []
        if joined:
            yield start, joined
    rest = _COMMENT.sub("", "".join(parts)).strip()
    if rest:
        yield start, rest


def decoded(data: bytes, path: str) -> str:
    """The text of a file that begins with a byte order mark, or is UTF-8; uv reads no other.

    Raises
    ------
    PlanError
        It is in another encoding; the line is named.
    """
    encoding = next((encoding for mark, encoding in _BOMS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PlanError(
            f"{path} line {line} is not {encoding.upper()}.",
            details=f"The byte 0x{data[error.start]:02x} begins no character.",
            resolution=f"Save it as UTF-8: iconv -f WINDOWS-1252 -t UTF-8 {path} > new.txt",
            slug="requirements-encoding",
        ) from error


def _read(source: SourceTree, path: str, listing: Listing, *, is_constraint: bool) -> None:
    if path in listing.files:
        return
    listing.files.append(path)
    for number, line in logical_lines(decoded(source.read_bytes(path), path)):
        where = f"{path} line {number}"
        found = _OPTION.match(line)
        if found and found["option"] in _INCLUDES:
            included = _included(source, path, found["value"].strip().strip("\"'"), where)
            if included:
                _read(source, included, listing, is_constraint=is_constraint or "c" in found["option"][1:3])
        elif found and found["option"] in ("-f", "--find-links"):
            _folder(source, found["value"].strip().strip("\"'"), where, listing)
        elif (found or not line.startswith("-")) and not is_constraint:
            _requirement(source, found["value"].strip() if found else line, where, listing)


def _included(source: SourceTree, path: str, value: str, where: str) -> str:
    """The path of an included file; empty where only uv can tell (a URL, a variable)."""
    if _URL.match(value) or "${" in value:
        return ""
    included = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
    if included.startswith(("/", "../")):
        raise PlanError(
            f"{where} includes {value}, which is outside of the application.",
            details="Only what was uploaded is there when the application is built.",
            resolution="Put it into the application, and name it relative to the file that includes it.",
            slug="requirements-outside",
        )
    if not source.is_file(included):
        names = source.children(posixpath.dirname(included))
        near = ", ".join(name for name in names if name.endswith(".txt"))
        raise PlanError(
            f"{where} includes {included}, and there is no such file.",
            details=f"Text files in that folder: {near}." if near else "",
            resolution="A relative name is looked up from the folder of the file that includes it. "
            "Is it named in an ignore file?",
            slug="requirements-missing",
        )
    return included


def _requirement(source: SourceTree, text: str, where: str, listing: Listing) -> None:
    # Options of a requirement (--hash=…, --config-settings …) and its marker do not name it.
    text = re.split(r"\s--?[a-z]", text, maxsplit=1)[0].strip().strip("\"'")
    found = _NAME.match(text)
    rest = found[2] if found else ""
    is_named = found is not None and (not rest or rest[0] in "@=<>!~;(")
    if found and is_named:
        listing.names.setdefault(normalised(found[1]), where)
        if rest.startswith("@"):
            _local(source, rest[1:].partition(" ;")[0].strip(), where, listing)
        return
    egg = _EGG.search(text)
    if egg:
        listing.names.setdefault(normalised(egg[1]), where)
    archive = posixpath.basename(text.partition("#")[0].partition("?")[0])
    if archive.endswith(".whl"):
        listing.names.setdefault(normalised(archive.partition("-")[0]), where)
    _local(source, text.partition(" ;")[0].partition("#")[0].strip(), where, listing)


def _local(source: SourceTree, value: str, where: str, listing: Listing) -> None:
    """A requirement that is a file or a folder: ``./package``, ``.[extra]``, ``file:./x``."""
    value = re.sub(r"^file:(?!//)", "", re.sub(r"\[[^]]*\]$", "", value))
    if not value or _URL.match(value) or "${" in value:
        return
    if not (value.startswith((".", "/")) or "/" in value or _ARCHIVE.search(value)):
        return  # not a path: uv says what is the matter with it
    _folder(source, value, where, listing)


def _folder(source: SourceTree, value: str, where: str, listing: Listing) -> None:
    if _URL.match(value) or "${" in value:
        return
    # Like pip, uv takes a relative path from where it is started: from the application.
    path = posixpath.normpath(value)
    if path.startswith(("/", "../")) or path == "..":
        raise PlanError(
            f"{where} names {value}, which is outside of the application.",
            details="Only what was uploaded is there when the application is built.",
            resolution="Put it into the application, or name the package as an index has it.",
            slug="requirements-outside",
        )
    path = "" if path == "." else path
    if path and not source.has(path):
        raise PlanError(
            f"{where} names {value}, and the application has no such file or folder.",
            resolution="A relative path is looked up from the application's root. Is it in an ignore file?",
            slug="requirements-missing",
        )
    if path not in listing.folders:
        listing.folders.append(path)
    listing.installs_project = listing.installs_project or not path


def refuse_missing(source: SourceTree, path: str) -> None:
    """Raise ConfigurationError where ``python_wsgi.requirements`` names no file."""
    if not source.is_file(path):
        there = [name for name in source.children() if "require" in name.lower()]
        raise ConfigurationError(
            f"python_wsgi.requirements names {path}, and there is no such file.",
            details=f"In the application's root: {', '.join(there)}." if there else "",
            resolution="Name it relative to the application's root.",
        )

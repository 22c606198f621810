"""The index of a directory: one walk, a few bytes a file, and nothing read but names, kinds and sizes."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from dataclasses import field
from operator import itemgetter

from stager.archive.allowance import DEFAULT_MAX_SIZE, in_units
from stager.archive.members import leads_out
from stager.errors import SourceUnreadable, StagerError, UnsafeSource
from stager.model.entry import Kind
from stager.model.frozen import dataclass
from stager.source.ignoring import Ignoring

#: Beside the kind, in the same byte: the owner may execute the file.
EXECUTABLE = 4
_KIND = 3
# Looking up a member of an enumeration takes as long as what is done with it, 50,000 times.
_DIRECTORY, _LINK = int(Kind.DIRECTORY), int(Kind.LINK)
#: Of a mode, what decides about the flags of a file; whatever else is there is none.
_DECISIVE = stat.S_IFMT(0o177777) | stat.S_IXUSR
_FLAGS = {stat.S_IFREG: int(Kind.FILE), stat.S_IFREG | stat.S_IXUSR: EXECUTABLE | Kind.FILE}

_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
_MEND = "Remove it, or name it in .stagerignore."


@dataclass(slots=True)
class Index:
    """Everything in a directory, in the order of a tar.

    The children of one directory lie side by side in ``names``, ``flags`` and ``sizes``; ``first`` says
    where, and ``count`` how many. In this shape 50,000 files take 4.5 MB, as objects 25 MB.
    """

    names: list[str] = field(default_factory=list)
    flags: bytearray = field(default_factory=bytearray)
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    numbers: dict[str, int] = field(default_factory=dict)
    first: array[int] = field(default_factory=lambda: array("L"))
    count: array[int] = field(default_factory=lambda: array("L"))
    links: dict[str, str] = field(default_factory=dict)
    files: int = 0
    size: int = 0

    def span(self, directory: str) -> range:
        """The places of a directory's children; empty where there is no such directory."""
        number = self.numbers.get(directory)
        if number is None:
            return range(0)
        return range(self.first[number], self.first[number] + self.count[number])

    def place(self, path: str) -> int | None:
        """The place of a path; None for the root and for what is not there. Links are not followed."""
        parent, _, name = path.rpartition("/")
        span = self.span(parent)
        try:
            return self.names.index(name, span.start, span.stop)
        except ValueError:
            return None

    def kind(self, place: int) -> int:
        """What lies at a place."""
        return self.flags[place] & _KIND

    def directories(self, span: range) -> list[int]:
        """The places of the directories in a span."""
        places: list[int] = []
        place = self.flags.find(_DIRECTORY, span.start, span.stop)
        while place >= 0:
            places.append(place)
            place = self.flags.find(_DIRECTORY, place + 1, span.stop)
        return places

    def walk(self, top: str = "", leave_out: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
        """(path, place) of everything below a directory, each directory before its content.

        ``leave_out`` is not there, nor what is in it.
        """
        names, flags = self.names, self.flags
        prefix = f"{top}/" if top else ""
        waiting = [(prefix, iter(self.span(top)))]
        while waiting:
            prefix, places = waiting[-1]
            for place in places:
                path = prefix + names[place]
                if path in leave_out:
                    continue
                yield path, place
                if flags[place] & _KIND == _DIRECTORY:
                    waiting.append((path + "/", iter(self.span(path))))
                    break
            else:
                waiting.pop()


def index_directory(root: str, ignoring: Ignoring | None, max_size: int | None = None) -> Index:
    """Walk through a directory once.

    Parameters
    ----------
    root:
        On the host; it may be a link to a directory.
    ignoring:
        What is not looked at; None looks at everything.
    max_size:
        Bytes of all files together; None for the default.

    Raises
    ------
    SourceUnreadable
        A directory cannot be listed.
    UnsafeSource
        A device, FIFO or socket; a symbolic link that is absolute or leads out; too many bytes.
    """
    index = Index()
    limit = DEFAULT_MAX_SIZE if max_size is None else max_size
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        index.numbers[directory] = len(index.first)
        index.first.append(len(index.names))
        waiting.extend(_scan(index, root, directory, ignoring))
        index.count.append(len(index.names) - index.first[-1])
        if index.size > limit:
            raise UnsafeSource(
                "The source is too large.",
                details=f"Its files have at least {in_units(index.size)}; {in_units(limit)} are allowed.",
                resolution="Name in .stagerignore what the application does not need, or give a --max-size.",
            )
    for path, target in index.links.items():
        _judge_link(index, path, target)
    return index


def _scan(index: Index, root: str, directory: str, ignoring: Ignoring | None) -> list[str]:
    """Enter the children of one directory; returns the directories among them."""
    prefix = f"{directory}/" if directory else ""
    found: list[tuple[str, str, int, int]] = []
    directories: list[str] = []
    suspects = None if ignoring is None else ignoring.suspects(directory)
    try:
        # An open directory: by their whole paths its children would take a fifth longer to look up.
        place = os.open(f"{root}/{directory}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    name = entry.name
                    is_directory = entry.is_dir(follow_symlinks=False)
                    if (
                        ignoring is not None
                        and (suspects is None or name in suspects)
                        and ignoring.ignores(prefix + name, name, is_directory=is_directory)
                    ):
                        continue
                    if is_directory:
                        directories.append(prefix + name)
                        # A tar sorts by whole paths: what lies in "a" comes behind "a-b" and before "a0".
                        found.append((name + "/", name, _DIRECTORY, 0))
                    elif entry.is_symlink():
                        target = index.links[prefix + name] = os.readlink(name, dir_fd=place)
                        found.append((name, name, _LINK, len(target)))
                    else:
                        status = entry.stat(follow_symlinks=False)
                        flags = _FLAGS.get(status.st_mode & _DECISIVE)
                        if flags is None:
                            raise _special(prefix + name, status.st_mode)
                        found.append((name, name, flags, status.st_size))
                        index.size += status.st_size
                        index.files += 1
        finally:
            os.close(place)
    except OSError as error:
        raise _unreadable(error, root, directory) from error
    found.sort(key=itemgetter(0))
    # Characters come in the order of their bytes, but for those that stand for no character.
    if not "".join(map(itemgetter(0), found)).isascii():
        found.sort(key=lambda child: os.fsencode(child[0]))
    index.names.extend(map(itemgetter(1), found))
    index.flags.extend(map(itemgetter(2), found))
    index.sizes.extend(map(itemgetter(3), found))
    return directories


def _special(path: str, mode: int) -> UnsafeSource:
    what = _SPECIAL.get(stat.S_IFMT(mode), "no file, directory or symbolic link")
    return UnsafeSource(
        f"The source holds {what}.",
        details=f"{path!r} is {what}; only files, directories and symbolic links can be packed.",
        resolution=_MEND,
    )


def _judge_link(index: Index, path: str, target: str) -> None:
    if target.startswith("/"):
        raise UnsafeSource(
            "The source holds a symbolic link to an absolute path.",
            details=f"{path!r} leads to {target!r}, which may be anything where the droplet runs.",
            resolution="Make it relative, put there what it leads to, or name it in .stagerignore.",
        )
    if leads_out(path, target, index.links.get):
        raise UnsafeSource(
            "The source holds a symbolic link that leads out of it.",
            details=f"{path!r} leads to {target!r}.",
            resolution="Let it end inside, put there what it leads to, or name it in .stagerignore.",
        )


def _unreadable(error: OSError, root: str, directory: str) -> StagerError:
    place = f"{root}/{directory}"
    # A child was asked for by its name alone, and a name has no slash.
    if isinstance(error.filename, str) and "/" not in error.filename:
        place = f"{place.rstrip('/')}/{error.filename}"
    return SourceUnreadable(
        "The source cannot be read.",
        details=f"{place.rstrip('/')!r}: {error.strerror}",
        resolution="Make it readable for the user that runs stager, or name it in .stagerignore.",
    )

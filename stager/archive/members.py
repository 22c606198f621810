"""What may be in an archive: one set of rules for uploads (tar and zip) and for droplets.

Python 3.11.2, which Debian 12 ships, has no ``tarfile.data_filter``; and a filter judges one member
at a time, while the questions here (does this link leave the tree *through other links*? was this
path a file a moment ago?) need all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import NamedTuple

from stager.archive.allowance import in_units
from stager.archive.complaint import Complaint
from stager.model.entry import Kind
from stager.model.frozen import dataclass

#: What Linux allows: bytes in one component of a name and in all of it, links on one way.
NAME_MAX = 255
PATH_MAX = 4096
MAX_LINKS = 40
#: Components on one way, links followed: a way of 40 links of 2,000 components each takes 0.8 s to walk.
MAX_STEPS = 1000
#: Bytes of all names together. A name of 4 KiB that has 2,000 parents takes 4 MiB to remember.
MAX_NAMES_SIZE = 256 << 20


class Resolved(NamedTuple):
    """Where a path ends when links are followed: relative to the root, ``""`` is the root itself."""

    path: str
    escapes: bool = False
    is_loop: bool = False


def resolve(path: str, readlink: Callable[[str], str | None]) -> Resolved:
    """Follow every link on the way to ``path``, its last component too, without touching a disk.

    Parameters
    ----------
    path:
        Relative to the root.
    readlink:
        The target of the link at a path relative to the root, or None where there is no link.

    A name that is not there counts as a directory: a dangling link that stays inside is harmless.
    As in Linux, forty links on one way are a loop. A way that is too long to be walked escapes.
    """
    waiting = path.split("/")[::-1]
    done: list[str] = []
    followed = steps = 0
    while waiting:
        steps += 1
        if steps > MAX_STEPS:
            return Resolved("", escapes=True)
        component = waiting.pop()
        if component in ("", "."):
            continue
        if component == "..":
            if not done:
                return Resolved("", escapes=True)
            done.pop()
            continue
        done.append(component)
        target = readlink("/".join(done))
        if target is None:
            continue
        if target.startswith("/"):
            return Resolved("", escapes=True)
        followed += 1
        if followed > MAX_LINKS:
            return Resolved("/".join(done), is_loop=True)
        done.pop()
        waiting.extend(target.split("/")[::-1])
    return Resolved("/".join(done))


def leads_out(path: str, target: str, readlink: Callable[[str], str | None]) -> bool:
    """Whether the link at ``path``, whose parents are directories, ends outside; its target is not absolute.

    Quick for a target that goes up at its beginning alone, and no further than the root: from there it can
    only meet links, each of which is judged by itself. 4,000 links of pnpm's take 3 ms so, and else 60.
    """
    rest = target
    left = path.count("/")
    while left and rest.startswith("../"):
        rest = rest[3:]
        left -= 1
    if rest != ".." and not rest.startswith("../") and not rest.endswith("/..") and "/../" not in rest:
        return False
    return resolve(path, readlink).escapes


#: A directory that no member names, but that a member lies in. Not a Kind: it never leaves this module.
_IMPLIED = -1


@dataclass(slots=True)
class Ledger:
    """Remembers what has been seen of an archive, and refuses what must not be in it."""

    complaint: Complaint
    kinds: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    names_size: int = 0

    def clean(self, name: str) -> str:
        """The path that a member's name stands for (``""``: the root); raises for one that leads out."""
        if "\0" in name:
            raise self.complaint.refused(name, "has a NUL character in its name")
        if name.startswith("/"):
            raise self.complaint.refused(name, "has an absolute name")
        components = [component for component in name.split("/") if component not in ("", ".")]
        if ".." in components:
            raise self.complaint.refused(name, "leads out of the archive: '..' is a part of its name")
        # A character takes four bytes at most.
        if len(name) > NAME_MAX // 4:
            sizes = [len(component.encode("utf-8", "surrogateescape")) for component in components]
            if max(sizes, default=0) > NAME_MAX or sum(sizes) + len(sizes) > PATH_MAX:
                raise self.complaint.refused(
                    f"{name[:NAME_MAX]}…",
                    f"has a name of more than {NAME_MAX} bytes, or {PATH_MAX:,} with its parents",
                )
        return "/".join(components)

    def admit(self, path: str, kind: Kind, target: str = "") -> None:
        """Enter a member under its cleaned path; raises where it contradicts an earlier one."""
        known = self.kinds.get(path)
        if known is not None and not (known == _IMPLIED and kind is Kind.DIRECTORY):
            raise self.complaint.refused(path, f"is there twice, the first time as a {_word(known)}")
        self._admit_parents(path)
        self._remember(path, kind)
        if kind is Kind.LINK:
            self._admit_target(path, target)
            self.links[path] = target

    def hard_link(self, path: str, target: str) -> str:
        """The path of the earlier file that a hard link copies; raises where there is none."""
        if target.startswith("/") or ".." in target.split("/"):
            raise self.complaint.refused(path, f"is a hard link that leads out, to {target!r}")
        original = self.clean(target)
        if self.kinds.get(original) != Kind.FILE:
            raise self.complaint.refused(
                path, f"is a hard link to {target!r}, which is no earlier file of the archive"
            )
        return original

    def finish(self) -> None:
        """Follow every link, now that all are known; raises for one that leads out."""
        for path, target in self.links.items():
            if leads_out(path, target, self.links.get):
                raise self.complaint.refused(
                    path, f"is a symbolic link that leads out, to {target!r}", self.complaint.mend_link
                )

    def _admit_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        while parent:
            known = self.kinds.get(parent)
            if known is None:
                self._remember(parent, _IMPLIED)
            elif known in (Kind.FILE, Kind.LINK):
                raise self.complaint.refused(path, f"lies below {parent!r}, which is a {_word(known)}")
            else:
                return
            parent = parent.rpartition("/")[0]

    def _remember(self, path: str, kind: int) -> None:
        self.kinds[path] = kind
        self.names_size += len(path)
        if self.names_size > MAX_NAMES_SIZE:
            raise self.complaint.oversized(
                f"The names in it take more than {in_units(MAX_NAMES_SIZE)}.", self.complaint.mend_unsafe
            )

    def _admit_target(self, path: str, target: str) -> None:
        if not target or "\0" in target or len(target) >= PATH_MAX:
            raise self.complaint.refused(path, "is a symbolic link whose target is no path")
        if target.startswith("/"):
            raise self.complaint.refused(
                path, f"is a symbolic link to an absolute path, {target!r}", self.complaint.mend_link
            )


def _word(kind: int) -> str:
    if kind == Kind.FILE:
        return "file"
    return "symbolic link" if kind == Kind.LINK else "directory"

"""What is left out of a source: ``.stagerignore`` and its like, and what nobody wants in a droplet."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stager.errors import ConfigurationError, SourceUnreadable
from stager.model.frozen import dataclass
from stager.source.gitignore import Pattern, Patterns, understand

#: In the order in which they are read: of two rules for one path the later decides.
IGNORE_FILES = (".slugignore", ".cfignore", ".stagerignore")
#: Left out wherever they lie, as files too: ``.git`` of a worktree or submodule is one.
ALWAYS = frozenset({
    ".git", ".svn", ".hg", ".bzr", "CVS", "_darcs", ".DS_Store", "__MACOSX", ".stager-cache", "__pycache__",
})  # fmt: skip
#: Left out where they hold a virtual environment: it names its own place, and the interpreter's.
ENVIRONMENTS = frozenset({"venv", ".venv", "env", ".env", "virtualenv"})
_SUSPECTS = ALWAYS | ENVIRONMENTS
#: Left out of the root: what an earlier build put there, or a killed one left half written.
DROPLETS = re.compile(r".*\.droplet\.(tar\.gz|tgz|tar\.zst|tar)(\..*)?", re.DOTALL)
_MAX_BYTES = 1 << 20


class Rule(NamedTuple):
    """One pattern, and where it stands: ``.cfignore line 3``."""

    pattern: str
    origin: str


@dataclass(frozen=True, slots=True)
class Ignoring:
    """Decides what of a source is not looked at.

    Parameters
    ----------
    rules:
        The user's patterns, in order.
    excluded:
        Paths relative to the root: the output, the report and the cache where they lie inside.
    patterns:
        The same, understood; None where there are none.
    root:
        The source's directory on the host.
    """

    rules: tuple[Rule, ...] = ()
    excluded: frozenset[str] = frozenset()
    patterns: Patterns | None = None
    root: str = ""

    def suspects(self, directory: str) -> frozenset[str] | None:
        """The only names in a directory that :meth:`ignores` has to be asked about; None for all of them."""
        return None if not directory or self.patterns or self.excluded else _SUSPECTS

    def ignores(self, path: str, name: str, *, is_directory: bool) -> bool:
        """Whether ``path``, whose last component is ``name``, is left out; its parents are not."""
        if self._is_unwanted(path, name, is_directory=is_directory):
            return True
        if self.patterns is None:
            return False
        place = self.patterns.decisive(path, name, is_directory=is_directory)
        return place is not None and not self.rules[place].pattern.startswith("!")

    def _is_unwanted(self, path: str, name: str, *, is_directory: bool) -> bool:
        """Whether nobody wants it, whatever the patterns say."""
        if name in ALWAYS or path in self.excluded or (path == name and DROPLETS.fullmatch(name)):
            return True
        is_place = is_directory and name in ENVIRONMENTS
        return is_place and os.path.lexists(f"{self.root}/{path}/pyvenv.cfg")

    def reason(self, path: str, *, is_directory: bool) -> str | None:
        """Which rule leaves ``path`` out, or a directory that it lies in: ``.slugignore line 3``."""
        components = path.split("/")
        for count, name in enumerate(components, 1):
            above = name if count == 1 else "/".join(components[:count])
            holds = is_directory or count < len(components)
            if self.ignores(above, name, is_directory=holds):
                return self._rule(above, name, is_directory=holds)
        return None

    def _rule(self, path: str, name: str, *, is_directory: bool) -> str:
        """The rule that decided; called only for a path that is left out."""
        place = None
        if self.patterns is not None and not self._is_unwanted(path, name, is_directory=is_directory):
            place = self.patterns.decisive(path, name, is_directory=is_directory)
        return "stager itself" if place is None else self.rules[place].origin


def ignoring_for(root: str, patterns: Sequence[str] = (), excluded: Sequence[Path] = ()) -> Ignoring:
    """Read the ignore files of a source and add what the settings say.

    Parameters
    ----------
    root:
        The source's directory on the host.
    patterns:
        ``ignore:`` of the settings; they have the last word.
    excluded:
        Host paths that are left out where they lie inside ``root``; they need not exist.

    Raises ConfigurationError for a malformed pattern, SourceUnreadable for an unreadable ignore file.
    """
    rules = [rule for name in IGNORE_FILES for rule in _rules_of(root, name)]
    rules += [
        Rule(pattern, f"ignore: {pattern!r} in the settings")
        for pattern in patterns
        if pattern.strip() and not pattern.startswith("#")
    ]
    inside = frozenset(_inside(root, excluded))
    if not rules:
        return Ignoring(excluded=inside, root=root)
    return Ignoring(tuple(rules), inside, Patterns([_understood(rule) for rule in rules]), root)


def _inside(root: str, excluded: Sequence[Path]) -> list[str]:
    real = os.path.realpath(root)
    start = real.rstrip("/") + "/"
    # The last component is not followed: an output that is a symbolic link is left out as that link.
    places = [os.path.join(os.path.realpath(path.parent), path.name) for path in excluded]
    places += [os.path.realpath(path) for path in excluded]
    return [place[len(start) :] for place in places if place.startswith(start) and place != start]


def _rules_of(root: str, name: str) -> list[Rule]:
    path = os.path.realpath(os.path.join(root, name))
    try:
        # A link that leads out is refused by the walk, unless another rule leaves it out.
        is_inside = path.startswith(os.path.realpath(root).rstrip("/") + "/")
        if not is_inside or not stat.S_ISREG(os.lstat(path).st_mode):
            return []
    except OSError:
        return []  # It is not there; or the directory is closed, and the walk says so.
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SourceUnreadable(
            f"{name} cannot be read.",
            details=f"{path}: {error.strerror}",
            resolution="Make it readable for the user that runs stager, or remove it.",
        ) from error
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(
            f"{name} has more than {_MAX_BYTES >> 20} MiB.",
            resolution="It holds one pattern a line, as a .gitignore does.",
        )
    # Patterns may name what is not UTF-8, and a byte order mark is none of the first pattern.
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    return [
        Rule(line, f"{name} line {number}")
        for number, line in enumerate((line.removesuffix("\r") for line in lines), 1)
        if line.strip() and not line.startswith("#")
    ]


def _understood(rule: Rule) -> Pattern:
    try:
        return understand(rule.pattern)
    except ValueError as error:
        raise ConfigurationError(
            f"The pattern {rule.pattern!r} cannot be understood.",
            details=f"It is {rule.origin}.",
            resolution="Patterns are written as in a .gitignore: docs/  *.psd  /build  !keep.psd",
        ) from error

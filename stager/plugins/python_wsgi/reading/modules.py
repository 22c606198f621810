"""The application's modules as text: parsed, never imported; and from which folder each is imported."""

from __future__ import annotations

import ast
import keyword
import re
import sys
import warnings

from stager.errors import PlanError, SourceUnreadable
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.reading.places import printable

#: Bytes. Larger files are data: one of 480 kB, all of it assignments, took 2.2 s of CPU to read.
LARGEST = 512 << 10
#: Folders, besides the root, from which packages are commonly imported.
FOLDERS = ("src", "lib", "python")
#: The interpreter has these before it looks into any folder of the application's.
_TAKEN = frozenset({"abc", "codecs", "encodings", "io", "os", "site", "stat"}) | frozenset(
    sys.builtin_module_names
)
#: What Python 3.11 cannot read and a later one can: no reason to call the file broken.
_NEWER = re.compile(
    r"^\s*(?:type\s+\w+(?:\[.*\])?\s*=|(?:async\s+)?def\s+\w+\s*\[|class\s+\w+\s*\[|except\*?\s+[\w.]+\s*,)"
    r"""|(?<!\w)(?:[rR]?[tT]|[tT][rR])["']"""
)
#: Since 3.12 any expression may stand in an f-string; before, the parser complained about one like this.
_F_STRING = re.compile(r"""(?<!\w)(?:[rR]?[fF]|[fF][rR])["']""")
_F_STRING_MESSAGE = re.compile(r"unmatched|backslash|expecting|cannot include|unterminated|continuation")
#: Python 3.14 needs no parentheses here.
_EXCEPT = re.compile(r"^(\s*except\*?\s+)([\w.]+\s*,[^:()]*):")
_REPAIRS = 50
#: Lines of a text in three quotes.
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a file could not be read as Python. Where it is ``is_broken`` no Python of that version can."""

    path: str
    line: int
    message: str
    text: str = ""
    is_broken: bool = True

    @property
    def is_newer(self) -> bool:
        """Whether it may be fine for a Python later than the one that reads it."""
        if not self.is_broken:
            return False
        is_f_string = "f-string" in self.message or ("{" in self.text and _F_STRING.search(self.text))
        return bool((is_f_string and _F_STRING_MESSAGE.search(self.message)) or _NEWER.search(self.text))

    def __str__(self) -> str:
        place = f"{printable(self.path)} line {self.line}" if self.line else printable(self.path)
        return f"{place}: {self.message}"

    def error(self) -> PlanError:
        """The error for a file on which the start depends."""
        lines = [str(self)]
        if self.text.strip():
            lines.append(f"    {self.text.strip()[:200]}")
        is_old = "Missing parentheses in call to" in self.message
        return PlanError(
            f"{printable(self.path)} cannot be read as Python.",
            details="\n".join(lines),
            resolution="It is written for Python 2: convert it, for example with 2to3."
            if is_old
            else "Correct the line; `python -m py_compile` shows the same. If it is not part of the start, "
            "name the entry point: python_wsgi.entrypoint in stager.yml.",
            slug="syntax-error",
        )


@dataclass(frozen=True, slots=True)
class Module:
    """One file, parsed."""

    path: str
    tree: ast.Module
    lines: tuple[str, ...]

    def line(self, number: int) -> str:
        """The text of a line, for people: without blanks around it, and not too long."""
        text = self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""
        return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004  a line of a terminal


class Modules:
    """The modules of one source tree; each file is read and parsed once."""

    def __init__(self, source: SourceTree) -> None:
        self.source = source
        self._read: dict[str, Module | Problem] = {}
        self._folders: dict[str, str] = {}

    def read(self, path: str) -> Module | Problem:
        """The file, parsed; or why it is not."""
        if path not in self._read:
            self._read[path] = _read(self.source, path)
        return self._read[path]

    def needed(self, path: str) -> Module | None:
        """The file, parsed; None where it is too large or too deep. Raises PlanError where it is broken."""
        found = self.read(path)
        if isinstance(found, Module):
            return found
        if found.is_broken:
            raise found.error()
        return None

    def find(self, name: str, folders: tuple[str, ...]) -> str | None:
        """The file that ``import name`` finds in the first of the folders that has one."""
        below = name.replace(".", "/")
        if not is_dotted(name):
            return None
        for folder in folders:
            for path in (f"{below}/__init__.py", f"{below}.py"):
                whole = joined(folder, path)
                if self.source.is_file(whole):
                    return whole
        return None

    def is_package(self, name: str, folders: tuple[str, ...]) -> bool:
        """Whether ``name`` is a folder from which modules are imported, with or without __init__.py."""
        return is_dotted(name) and any(
            child.endswith(".py")
            for folder in folders
            for child in self.source.children(joined(folder, name.replace(".", "/")))
        )

    def folder_of(self, path: str) -> str:
        """The folder from which a file has to be imported so that its own imports work.

        Above its packages; but the folder itself where its absolute imports name files beside it, and the
        root where they begin with the folder's name.
        """
        if path not in self._folders:
            self._folders[path] = self._folder_of(path)
        return self._folders[path]

    def _folder_of(self, path: str) -> str:
        directory = path.rpartition("/")[0]
        top = directory
        while top and self.source.is_file(f"{top}/__init__.py"):
            top = top.rpartition("/")[0]
        found = self.read(path)
        if not directory or not isinstance(found, Module):
            return top
        absolute, is_relative = imports_of(found.tree)
        if is_relative and top == directory:
            top = directory.rpartition("/")[0]
        for name in absolute:
            # A plain `import json` is the library's, whatever lies about.
            if name.split(".")[0] in sys.stdlib_module_names:
                continue
            for folder in _upwards(directory):
                if folder == directory and is_relative:
                    break
                if self.find(name, (folder,)) or self.is_package(name, (folder,)):
                    return folder
        return top

    def name_of(self, path: str, folder: str) -> str | None:
        """The name under which a file is imported from ``folder``; None where no import finds it."""
        inside = path[len(folder) + 1 :] if folder else path
        name = inside.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        if not inside.endswith(".py") or not is_dotted(name) or name.split(".")[0] in _TAKEN:
            return None
        return name if self.find(name, (folder,)) == path else None


def joined(folder: str, name: str) -> str:
    """A path in a folder that may be the root."""
    return f"{folder}/{name}" if folder else name


def is_dotted(name: str) -> bool:
    """Whether it can stand in an import."""
    return bool(name) and all(
        part.isidentifier() and not keyword.iskeyword(part) and not _has_surrogate(part)
        for part in name.split(".")
    )


def imports_of(tree: ast.Module) -> tuple[list[str], bool]:
    """The names of modules that a module imports absolutely, and whether it imports relatively too."""
    names: list[str] = []
    is_relative = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            is_relative = True
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return list(dict.fromkeys(names)), is_relative


def _upwards(directory: str) -> list[str]:
    """The root, and every folder down to ``directory``."""
    parts = directory.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _read(source: SourceTree, path: str) -> Module | Problem:
    try:
        data = source.read_bytes(path, limit=LARGEST + 1)
    except SourceUnreadable as error:
        return Problem(path, 0, error.brief, is_broken=False)
    if len(data) > LARGEST:
        return Problem(path, 0, "larger than 512 KiB, not looked at", is_broken=False)
    text = data.decode("utf-8-sig", "replace")
    lines = tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    first = parsed = _parse(data, path, lines)
    for _ in range(_REPAIRS):
        if isinstance(parsed, Module):
            return parsed
        shorter = _without(lines, parsed.line) if parsed.is_newer else None
        if shorter is None:
            break
        lines = shorter
        parsed = _parse("\n".join(lines).encode("utf-8", "replace"), path, lines)
    return parsed if isinstance(parsed, Module) else first


def _parse(data: bytes, path: str, lines: tuple[str, ...]) -> Module | Problem:
    try:
        with warnings.catch_warnings():
            # Invalid escapes and the like are the application's own affair.
            warnings.simplefilter("ignore")
            # Not compile(): its checks of what is inside functions are for the version that will run it.
            return Module(path, ast.parse(data), lines)
    except SyntaxError as error:
        line = error.lineno or 0
        text = lines[line - 1] if 0 < line <= len(lines) else error.text or ""
        return Problem(path, line, f"{type(error).__name__}: {error.msg}", text)
    except (RecursionError, MemoryError):
        return Problem(path, 0, "nested too deeply, not looked at", is_broken=False)
    except (ValueError, LookupError, OverflowError) as error:
        # A zero byte, or bytes that are none of the declared encoding.
        return Problem(path, 0, str(error))


def _without(lines: tuple[str, ...], number: int) -> tuple[str, ...] | None:
    """The lines less the statement, by indentation, that has line ``number`` in it."""
    if not 0 < number <= len(lines):
        return None
    last = number
    for first in range(number, max(0, number - _LONGEST), -1):
        if _NEWER.search(lines[first - 1]) or _F_STRING.search(lines[first - 1]):
            number = first
            break
    while number > 1 and lines[number - 2].count("(") > lines[number - 2].count(")"):
        number -= 1
    tuple_of = _EXCEPT.sub(r"\1(\2):", lines[number - 1])
    if tuple_of != lines[number - 1]:
        return (*lines[: number - 1], tuple_of, *lines[number:])
    depth = _indent(lines[number - 1])
    end = last
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > depth):
        end += 1
    kept = list(lines)
    kept[number - 1 : end] = [" " * depth + "pass"] + [""] * (end - number)
    return tuple(kept) if kept != list(lines) else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())

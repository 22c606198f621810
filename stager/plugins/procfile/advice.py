"""What the author of a command should know before it runs on another host."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

from stager.model.plan import Command, Shell
from stager.model.source_tree import SourceTree

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
#: Enough to see how a script begins, and how its lines end.
_START = 1 << 16


def warnings(source: SourceTree, processes: Mapping[str, Command]) -> tuple[str, ...]:
    """Return what will not run as it was meant, by process type, once for each script."""
    found: dict[str, str] = {}
    for type_, command in processes.items():
        for path, is_run_by_shell in _scripts(source, command):
            text = _problem(source, path, is_run_by_shell=is_run_by_shell)
            if text:
                found.setdefault(path, f"{type_}: {ascii(path)[1:-1]} {text}")
    return tuple(found.values())


def _scripts(source: SourceTree, command: Command) -> Iterator[tuple[str, bool]]:
    """The files of the application that a command runs, and whether a shell is named that reads them."""
    if isinstance(command, Shell):
        groups = [_words(part) for part in re.split(r"&&|\|\||[|;&\n]", command.text)]
    else:
        groups = [list(command)]
    for group in groups:
        words = [word for word in group if not _ASSIGNED.match(word)]
        while words and words[0] in {"exec", "nohup", "time", "env", "nice"}:
            words = words[1:]
        is_run_by_shell = bool(words) and posixpath.basename(words[0]) in _SHELLS
        if is_run_by_shell:
            words = [word for word in words[1:] if not word.startswith("-")]
        is_named = bool(words) and (is_run_by_shell or "/" in words[0])
        path = posixpath.normpath(words[0]) if is_named else ""
        if path and not path.startswith(("/", "../")) and source.is_file(path):
            yield path, is_run_by_shell


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return text.split()


def _problem(source: SourceTree, path: str, *, is_run_by_shell: bool) -> str:
    start = source.read_bytes(path, limit=_START)
    if start.startswith(b"\x7fELF"):
        return "" if source.is_executable(path) else "has no execute bit: chmod +x it."
    if b"\r\n" in start:
        first = start.split(b"\n", 1)[0]
        what = "interpreter" if first.startswith(b"#!") and not is_run_by_shell else "shell"
        return f"has the line ends of Windows: the {what} will not find what it names. Save it with LF."
    if is_run_by_shell:
        return ""
    if not source.is_executable(path):
        return "has no execute bit: chmod +x it, or name the program that runs it."
    if start and not start.startswith(b"#!"):
        return "begins with no #! line: which program runs it is left to the shell."
    return ""

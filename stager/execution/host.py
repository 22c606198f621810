"""Looks for host tools: on the PATH and in the sbin folders, or as files."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import threading
from collections.abc import Iterable

from stager.execution.probe import probe
from stager.model.host import HostTool, ToolFact

#: Debian's ordinary users do not have these on their PATH, and apache2 and php-fpm live there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_PARTS = re.compile(r"(\D*)(\d*)")


def ask(tool: HostTool, marker: str = "") -> ToolFact:
    """Find ``tool`` on this host and, where it is declared how, ask for its version.

    ``marker`` (``NAME=value``) is put into the environment of the program that is asked.
    """
    matches = tuple(_programs(tool.programs)) + tuple(_files(tool.files))
    if not matches:
        return ToolFact(tool.name)
    # Not the caller's environment: PHPRC or PHP_INI_SCAN_DIR would make PHP speak of another set-up than the
    # one that a droplet will meet.
    clean = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
    if marker:
        name, _, value = marker.partition("=")
        clean[name] = value
    if tool.is_each_asked:
        matches = _real(matches)
    asked = matches if tool.is_each_asked else matches[:1]
    outputs = [""] * len(asked)
    if tool.version_arguments:
        outputs = [probe([path, *tool.version_arguments], environment=clean).output for path in asked]
    versions = tuple(_version(tool, path, output) for path, output in zip(asked, outputs, strict=True))
    return ToolFact(
        tool.name, matches[0], versions[0], outputs[0], matches, versions if tool.is_each_asked else ()
    )


def _version(tool: HostTool, path: str, output: str) -> str:
    found = re.search(tool.version_pattern, output or path) if tool.version_pattern else None
    return found.group(1) if found else ""


def _real(matches: tuple[str, ...]) -> tuple[str, ...]:
    """Each program once; nobody's venv, and no shim: pyenv's take 80 ms to say that they are nothing."""
    programs = [path for path in matches if not _stands_in(os.path.dirname(path))]
    by_file = {os.path.realpath(path): path for path in reversed(programs)}
    return tuple(path for path in programs if by_file[os.path.realpath(path)] == path) or matches


def _stands_in(folder: str) -> bool:
    is_environment = os.path.exists(os.path.join(os.path.dirname(folder), "pyvenv.cfg"))
    return is_environment or os.path.basename(folder) == "shims"


class Questions:
    """Asks about tools, some of them ahead: while PHP says what it has loaded, the source is indexed.

    Parameters
    ----------
    marker:
        Marks the programs that are asked.
    """

    def __init__(self, marker: str) -> None:
        self._marker = marker
        self._ahead: dict[HostTool, _Question] = {}

    def ask_ahead(self, tools: Iterable[HostTool]) -> None:
        """Begin to ask about what a plan is sure to want: programs of the build that have to be started."""
        for tool in tools:
            if tool.when == "build" and tool.version_arguments and tool not in self._ahead:
                self._ahead[tool] = _Question(tool, self._marker)

    def __call__(self, tool: HostTool) -> ToolFact:
        """The answer, which may have come already."""
        question = self._ahead.get(tool)
        return question.answer() if question else ask(tool, self._marker)


class _Question(threading.Thread):
    def __init__(self, tool: HostTool, marker: str) -> None:
        super().__init__(daemon=True)
        self._tool, self._marker = tool, marker
        self._fact: ToolFact | None = None
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # it is asked again, where the error can be seen
            self._fact = ask(self._tool, self._marker)

    def answer(self) -> ToolFact:
        self.join()
        return self._fact or ask(self._tool, self._marker)


def _programs(names: tuple[str, ...]) -> list[str]:
    # A relative folder would mean another one where the program is run: in the application's.
    folders = [path for path in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(path)]
    found: list[str] = []
    for name in names:
        for folder in dict.fromkeys([*folders, *SBIN]):
            pattern = os.path.join(glob.escape(folder), name)
            paths = _newest_first(glob.glob(pattern)) if "*" in name else [pattern]
            found += [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]
    return list(dict.fromkeys(found))


def _files(patterns: tuple[str, ...]) -> list[str]:
    return [path for pattern in patterns for path in _newest_first(glob.glob(os.path.expanduser(pattern)))]


def _newest_first(paths: list[str]) -> list[str]:
    """By the numbers in them: python3.11 comes before python3.9."""

    def parts(path: str) -> list[tuple[str, int]]:
        return [(text, int(number or 0)) for text, number in _PARTS.findall(path)]

    return sorted(paths, key=parts, reverse=True)

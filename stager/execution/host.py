"""Looks for host tools: on the PATH and in the sbin folders, or as files."""

from __future__ import annotations

import glob
import os
import re

from stager.execution.probe import probe
from stager.model.host import HostTool, ToolFact

#: Debian's ordinary users do not have these on their PATH, and apache2 and php-fpm live there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_PARTS = re.compile(r"(\D*)(\d*)")


def ask(tool: HostTool) -> ToolFact:
    """Find ``tool`` on this host and, where it is declared how, ask for its version."""
    matches = tuple(_programs(tool.programs)) + tuple(_files(tool.files))
    if not matches:
        return ToolFact(tool.name)
    path, output = matches[0], ""
    if tool.version_arguments:
        # Not the caller's environment: PHPRC or PHP_INI_SCAN_DIR would make PHP speak of another set-up
        # than the one that a droplet will meet.
        clean = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        output = probe([path, *tool.version_arguments], environment=clean).output
    found = re.search(tool.version_pattern, output or path) if tool.version_pattern else None
    return ToolFact(tool.name, path, found.group(1) if found else "", output, matches)


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
    return [path for pattern in patterns for path in _newest_first(glob.glob(pattern))]


def _newest_first(paths: list[str]) -> list[str]:
    """By the numbers in them: python3.11 comes before python3.9."""

    def parts(path: str) -> list[tuple[str, int]]:
        return [(text, int(number or 0)) for text, number in _PARTS.findall(path)]

    return sorted(paths, key=parts, reverse=True)

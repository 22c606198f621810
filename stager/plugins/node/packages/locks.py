"""Lock files: whose they are, whether they contradict each other, and in which format they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping

from stager.errors import ConfigurationError, ConflictingLockFiles
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree

#: Lock file -> who writes it. The first of one manager is the one that it reads itself.
LOCKS: Mapping[str, str] = {
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
    "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm",
    "bun.lock": "bun",
    "bun.lockb": "bun",
}
#: What makes a lock anew.
REMEDIES: Mapping[str, str] = {
    "npm": "npm install --package-lock-only",
    "yarn": "yarn install",
    "pnpm": "pnpm install --lockfile-only",
    "bun": "bun install --lockfile-only",
}
#: A lock is read whole: the largest known have some 3 MB.
LARGEST = 64 << 20
#: How much of a lock says which format it is in.
_HEAD = 4096
_CONFLICT = re.compile(r"(?m)^(?:<{7}|>{7}) ")


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock file that counts.

    Parameters
    ----------
    path:
        Its name; empty where there is none.
    tool:
        Who writes it.
    format:
        The version of the format, as it says: ``3``, ``9.0``; ``1`` for yarn's old one, and its number for
        the one of yarn 2 and later.
    is_berry:
        Whether yarn 2 or later wrote it.
    unused:
        A second lock of the same manager, which it does not read.
    """

    path: str = ""
    tool: str = ""
    format: str = ""
    is_berry: bool = False
    unused: str = ""


def find_lock(source: SourceTree, wanted: str) -> Lock:
    """Return the lock of the application's root.

    Parameters
    ----------
    wanted:
        The manager that ``packageManager`` names; empty for none.

    Raises
    ------
    ConflictingLockFiles
        There are locks of several managers, or of another one than the manifest names.
    """
    found = [path for path in LOCKS if source.is_file(path)]
    tools = list(dict.fromkeys(LOCKS[path] for path in found))
    if len(tools) > 1:
        raise _several(found, tools, wanted)
    if wanted and tools and wanted != tools[0]:
        raise ConflictingLockFiles(
            f"package.json says packageManager {wanted}, and {found[0]} is of {tools[0]}.",
            details=f"{wanted} does not read {found[0]}; what it would install is not what is locked.",
            resolution=f"Make the lock with {wanted}, and remove the other one:\n"
            f"  {REMEDIES[wanted]}\n  git rm {' '.join(found)}\n"
            f"or name {tools[0]} in package.json: npm pkg delete packageManager",
        )
    if not found:
        return Lock()
    text = source.read_text(found[0], limit=LARGEST) if found[0] != "bun.lockb" else ""
    _refuse_conflict(found[0], tools[0], text)
    format_, is_berry = _format(found[0], text[:_HEAD])
    return Lock(found[0], tools[0], format_, is_berry, found[1] if len(found) > 1 else "")


def _several(found: list[str], tools: list[str], wanted: str) -> ConflictingLockFiles:
    def removal(keep: str) -> str:
        return f"git rm {' '.join(path for path in found if LOCKS[path] != keep)}"

    if wanted in tools:
        resolution = f"package.json says packageManager {wanted}: {removal(wanted)}"
    else:
        width = max(len(removal(tool)) for tool in tools)
        lines = (f"  {removal(tool):{width}}    # keeps {tool}" for tool in tools)
        resolution = "Keep the one that you work with, and remove the others:\n" + "\n".join(lines)
    return ConflictingLockFiles(
        f"Lock files of {len(tools)} package managers: {', '.join(found)}.",
        details="Each says which versions are installed, and only one can be right.",
        resolution=resolution,
    )


def _refuse_conflict(path: str, tool: str, text: str) -> None:
    conflict = _CONFLICT.search(text)
    if conflict:
        raise ConfigurationError(
            f"{path} line {text.count(chr(10), 0, conflict.start()) + 1}: a merge conflict is not resolved.",
            details="Nothing can be installed from it as it is.",
            resolution=f"Take one side (git checkout --theirs {path}), and complete it: {REMEDIES[tool]}",
        )


def _format(path: str, head: str) -> tuple[str, bool]:
    if path == "yarn.lock":
        found = re.search(r"(?m)^__metadata:\s+version: (\d+)", head)
        return (found[1], True) if found else ("1", False)
    pattern = (
        r"(?m)^lockfileVersion: '?([\d.]+)" if path == "pnpm-lock.yaml" else r'"lockfileVersion":\s*(\d+)'
    )
    found = re.search(pattern, head)
    return found[1] if found else "", False

"""`npm run other`, `yarn workspace web start`, `pnpm -F web start`: which script of which package it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """What a package manager is asked to run.

    Parameters
    ----------
    kind:
        A script; a program; a script if there is one of that name, else a program; or a task of every
        package (``turbo run start``).
    name:
        Of the script or program.
    arguments:
        What it is given.
    workspace, folder:
        In which package; empty for the one that says so.
    """

    kind: Literal["script", "program", "either", "task"]
    name: str
    arguments: tuple[str, ...] = ()
    workspace: str = ""
    folder: str = ""
    is_optional: bool = False


#: Options that are followed by a value, by manager: what the value is.
_VALUES: Mapping[str, Mapping[str, str]] = {
    "npm": {
        "--prefix": "folder",
        "-C": "folder",
        "-w": "workspace",
        "--workspace": "workspace",
        "--loglevel": "",
    },
    "yarn": {"--cwd": "folder"},
    "pnpm": {"-C": "folder", "--dir": "folder", "-F": "workspace", "--filter": "workspace", "--loglevel": ""},
    "bun": {"--cwd": "folder", "-F": "workspace", "--filter": "workspace", "--env-file": ""},
    "npx": {"-p": "", "--package": "", "-w": "workspace"},
    "turbo": {"--filter": "workspace", "-F": "workspace", "--scope": "workspace", "--concurrency": ""},
    "lerna": {"--scope": "workspace", "--concurrency": ""},
    "nx": {"-c": "", "--configuration": "", "--project": "workspace", "-p": "workspace"},
}
_ALIKE = {"pnpx": "npx", "bunx": "npx"}
_LIFECYCLE = frozenset({"start", "test", "stop", "restart", "t", "tst"})
_RUN = frozenset({"run", "run-script", "rum", "urn"})


def read_call(words: tuple[str, ...]) -> Call | None:
    """Return what a command asks a package manager to run; None where it asks for something else."""
    tool = _ALIKE.get(words[0], words[0])
    if tool not in _VALUES:
        return None
    said: dict[str, str] = {}
    rest = _options(list(words[1:]), tool, said)
    if tool == "npx":
        return _call("program", rest, said)
    if not rest:
        return None
    if tool in ("turbo", "lerna", "nx"):
        return _task(tool, rest, said)
    if tool == "yarn" and rest[0] == "workspace" and len(rest) > 1:
        said["workspace"] = rest[1]
        rest = _options(rest[2:], tool, said)
        if not rest:
            return None
    return _managed(tool, rest, said)


def _managed(tool: str, rest: list[str], said: dict[str, str]) -> Call | None:
    command = rest[0]
    if command in _RUN:
        arguments = _options(rest[1:], tool, said)
        # bun runs a file, too.
        return _call("either" if tool == "bun" else "script", _passed(tool, arguments, said), said)
    if command in _LIFECYCLE:
        return _call("script", _passed(tool, rest, said), said)
    if command in ("exec", "x"):
        arguments = _options(rest[1:], tool, said)
        return _call("program", arguments[1:] if arguments[:1] == ["--"] else arguments, said)
    if tool == "npm" or command in _BUILT_IN:
        return None
    return _call("either", _passed(tool, rest, said), said)


#: Commands of yarn, pnpm and bun that run nothing of the application's.
_BUILT_IN = frozenset({
    "install", "i", "add", "remove", "dlx", "create", "init", "config", "cache", "ci", "deploy", "why",
    "list", "workspaces", "dedupe", "rebuild", "prune", "update", "upgrade", "link", "unlink", "publish",
    "pack",
})  # fmt: skip


def _task(tool: str, rest: list[str], said: dict[str, str]) -> Call | None:
    if rest[0] in ("run", "run-many", "exec") and len(rest) > 1:
        rest = _options(rest[1:], tool, said)
    if not rest or rest[0] in ("exec", "build", "prune"):
        return None
    name, _, target = rest[0].partition(":")
    if tool == "nx" and target:
        return Call("task", target.split(":")[0], (), name)
    if tool == "nx" and len(rest) > 1 and not rest[1].startswith("-"):
        said["workspace"] = rest[1]
    if "#" in rest[0]:
        said["workspace"], _, name = rest[0].partition("#")
        return Call("task", name, (), said["workspace"])
    return Call("task", rest[0], (), said.get("workspace", ""))


def _options(words: list[str], tool: str, said: dict[str, str]) -> list[str]:
    """Take the manager's own options from the front; what is left begins with no option."""
    values = _VALUES[tool]
    while words and words[0].startswith("-") and words[0] != "--":
        name, is_joined, value = words.pop(0).partition("=")
        if name in values:
            if not is_joined and words:
                value = words.pop(0)
            if values[name]:
                said[values[name]] = value
        elif name == "--if-present":
            said["optional"] = "1"
    return words


def _passed(tool: str, words: list[str], said: dict[str, str]) -> list[str]:
    """The script, and what it is given: npm keeps every option before ``--`` for itself."""
    if not words:
        return []
    name, rest = words[0], words[1:]
    if tool != "npm":
        return [name, *(rest[1:] if rest[:1] == ["--"] else rest)]
    given = []
    while rest and rest[0] != "--":
        rest = _options(rest, tool, said)
        if rest and rest[0] != "--":
            given.append(rest.pop(0))
    return [name, *given, *rest[1:]]


def _call(
    kind: Literal["script", "program", "either"], words: list[str], said: dict[str, str]
) -> Call | None:
    if not words:
        return None
    workspace, folder = said.get("workspace", ""), said.get("folder", "")
    return Call(kind, words[0], tuple(words[1:]), workspace, folder, "optional" in said)

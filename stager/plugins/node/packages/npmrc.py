"""Settings with secrets in them: .npmrc and .yarnrc.yml serve the build and stay out of the droplet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree

NPMRC = ".npmrc"
_FILES = (NPMRC, ".yarnrc.yml", ".yarnrc", "bunfig.toml")
#: Names of settings whose value is a secret (npm's, yarn's, bun's).
_SECRET = re.compile(
    r"(?im)^[ \t]*\"?(?P<name>[^#;\s=][^\n=]*?(?:auth[_-]?token|_auth|password|npmAuthIdent|token))"
    r"\"?[ \t]*[=:][ \t]*(?P<value>[^\n]*)$"
)
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)[^}]*\}|\$(?P<plain>\w+)")


@dataclass(frozen=True, slots=True)
class Secret:
    """A line with a secret: its place, and the variables that it is taken from; none where it is there."""

    path: str
    line: int
    variables: tuple[str, ...]


def read_secrets(source: SourceTree, folders: tuple[str, ...] = ()) -> tuple[Secret, ...]:
    """Return the secrets in the settings of the application's root and of some folders."""
    found: list[Secret] = []
    for folder in ("", *folders):
        for name in _FILES:
            path = f"{folder}/{name}".lstrip("/")
            if source.is_file(path):
                found += _secrets(path, source.read_text(path))
    return tuple(found)


def _secrets(path: str, text: str) -> Iterator[Secret]:
    for match in _SECRET.finditer(text):
        value = match["value"].strip().strip("\"'")
        if value:
            names = tuple(one["name"] or one["plain"] for one in _VARIABLE.finditer(value))
            yield Secret(path, text.count("\n", 0, match.start()) + 1, names)


def secret_advice(secrets: tuple[Secret, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return warnings: secrets that stand in a file, and variables that nobody sets.

    ``environment`` is what the user gave for the steps.
    """
    notes = []
    for one in secrets:
        if not one.variables:
            notes.append(
                f"{one.path} line {one.line} holds a secret in plain text. It does not get into the droplet, "
                "but whoever has the source has it: write ${NPM_TOKEN}, and say --build-env NPM_TOKEN=…"
            )
        notes += [
            f"{one.path} line {one.line} takes a secret from {name}, which is not set: --build-env {name}=…"
            for name in one.variables
            if name not in environment
        ]
    return tuple(dict.fromkeys(notes))

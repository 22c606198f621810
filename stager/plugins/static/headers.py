"""``_headers``: headers for paths, as Netlify has them."""

from __future__ import annotations

import re

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.plugins.static.paths import Pattern, pattern_of

NAME = "_headers"
_TOKEN = re.compile(r"[A-Za-z0-9!#$&'*+.^_`|~-]+")
#: They say how an answer is sent, which is the server's business.
_SERVERS = frozenset(
    {
        "accept-ranges", "age", "allow", "alt-svc", "connection", "content-encoding", "content-length",
        "content-range", "date", "keep-alive", "location", "server", "te", "trailer", "transfer-encoding",
        "upgrade",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """Headers for what a pattern of paths matches: (name, value as mod_headers writes it)."""

    pattern: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Headers:
    """All rules in order: all that match count, and of two values for one name the later."""

    rules: tuple[HeaderRule, ...] = ()
    warnings: tuple[str, ...] = ()


def read_headers(text: str, name: str = NAME) -> Headers:
    """Read the rules; what cannot be done is left out with a warning that names the line.

    Raises
    ------
    ConfigurationError
        A path asks for a password: without it everybody would be let in.
    """
    rules: list[tuple[str, dict[str, tuple[str, str]]]] = []
    warnings: list[str] = []
    pattern: Pattern | str = "no path stands before it"
    for number, line in enumerate(text.splitlines(), 1):
        where, content = f"{name} line {number}", line.strip()
        if not content or content.startswith("#"):
            continue
        is_path = content.startswith(("/", "http://", "https://"))
        if is_path and (line[0] not in " \t" or ": " not in content):
            pattern = pattern_of(content) if content.startswith("/") else "it is for another host"
            if isinstance(pattern, str):
                warnings.append(f"{where}: this path gets no headers: {pattern}.")
            else:
                rules.append((pattern.expression, {}))
            continue
        if isinstance(pattern, str):
            if not rules and pattern.startswith("no path"):
                warnings.append(f"{where}: this header is left out: {pattern}.")
            continue
        header = _header(content, where)
        if isinstance(header, str):
            warnings.append(f"{where}: this header is left out: {header}.")
            continue
        known = rules[-1][1]
        before = known.get(header[0].lower())
        known[header[0].lower()] = (before[0], f"{before[1]}, {header[1]}") if before else header
    made = (HeaderRule(pattern, tuple(_written(headers))) for pattern, headers in rules if headers)
    return Headers(tuple(made), tuple(warnings))


def _header(content: str, where: str) -> tuple[str, str] | str:
    name, colon, value = content.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _TOKEN.fullmatch(name):
        return "it is not `Name: value`"
    if name.lower() == "basic-auth":
        raise ConfigurationError(
            f"{where}: passwords in _headers are not supported.",
            details="Without one, everybody would see what it is to protect.",
            resolution="Put the passwords into Staticfile.auth (`htpasswd -cB Staticfile.auth NAME`), which "
            "protects all of the site, or remove the line.",
        )
    if name.lower() in _SERVERS:
        return f"the server itself says {name}"
    if not value.isprintable() or not value:
        return "it has no value that can be sent"
    if value.startswith("expr="):
        return "mod_headers would take its value for an expression"
    return name, value


def _written(headers: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    # mod_headers takes % and a backslash for its own.
    return [(name, value.replace("\\", "\\\\").replace("%", "%%")) for name, value in headers.values()]

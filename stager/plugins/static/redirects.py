"""``_redirects``: Netlify's rules, as what mod_rewrite does."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

from stager.model.frozen import dataclass
from stager.plugins.static.paths import Pattern, literal, pattern_of

NAME = "_redirects"
Kind = Literal["away", "moved", "rewritten", "status"]

#: A percent sign that is not the beginning of mod_rewrite's own %1: the value of a variable.
PERCENT = "%{ENV:STAGER_PERCENT}"
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/?#&=+,;:@!*()'[]")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUSES = frozenset({403, 404, 410, 451})
#: What a parameter may be that becomes a part of Location, or of a file's path. Neither leads elsewhere: the
#: one begins with no slash, the other holds none, nor dots where it begins.
_SENT, _FOUND = "[A-Za-z0-9%_~.+-][^&]*", "[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Parameters
    ----------
    kind:
        Sent ``away`` to another host, ``moved`` within the site, ``rewritten`` without the browser's knowing,
        or a ``status`` with a page.
    pattern:
        Of the decoded path.
    query:
        Pattern of the query; empty where it does not matter.
    target:
        As mod_rewrite substitutes it; for a ``status`` the page's path without its slash, or nothing.
    is_forced:
        Whether it counts where there is such a file, too.
    line:
        Where it stands.
    """

    kind: Kind
    pattern: str
    query: str
    target: str
    status: int
    is_forced: bool
    line: int


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in order; ``fallback`` is the page that a last rule for everything names."""

    rules: tuple[Rule, ...] = ()
    fallback: str = ""
    warnings: tuple[str, ...] = ()


def read_redirects(text: str, name: str = NAME) -> Rules:
    """Read the rules; what cannot be done is left out with a warning that names the line."""
    rules: list[Rule] = []
    warnings: list[str] = []
    fallback = ""
    for number, line in enumerate(text.splitlines(), 1):
        words = re.sub(r"(?:^|\s)#.*", "", line).split()
        if not words:
            continue
        if words in (["/*", "/index.html", "200"], ["/*", "/200.html", "200"]) and not fallback:
            # What comes after it would never be reached.
            fallback = words[1].removeprefix("/")
            continue
        made = _rule(words, number)
        if isinstance(made, str):
            warnings.append(f"{name} line {number}: this rule does nothing here: {made}.")
        elif not fallback:
            rules.append(made)
        else:
            warnings.append(f"{name} line {number}: the rule for /* before it leaves nothing over for it.")
    return Rules(tuple(rules), fallback, tuple(warnings))


def _rule(words: list[str], line: int) -> Rule | str:
    origin, *rest = words
    query: list[tuple[str, str]] = []
    while rest and re.fullmatch(r"[^/:=]+=\S*", rest[0]):
        key, _, value = rest.pop(0).partition("=")
        query.append((unquote(key), value))
    if not rest:
        return "it says not where to"
    target, *rest = rest
    status, is_forced = 301, False
    if rest and (found := re.fullmatch(r"(\d{3})(!?)", rest[0])):
        status, is_forced = int(found[1]), bool(found[2])
        rest = rest[1:]
    if rest:
        return f"conditions such as {rest[0]!a} are not known here"
    wrong = _impossible(origin, target, status)
    if wrong:
        return wrong
    pattern = pattern_of(origin)
    if isinstance(pattern, str):
        return pattern
    return _made(pattern, query, target, status, is_forced=is_forced, line=line)


def _impossible(origin: str, target: str, status: int) -> str:
    is_away = bool(re.match(r"https?://", target))
    if not origin.startswith("/"):
        return "rules for other hosts are the router's"
    if origin.startswith("/.netlify/") or target.startswith("/.netlify/"):
        return "there are no functions of Netlify's here"
    if not is_away and not re.match(r"/(?!/)", target):
        return "it leads neither to a path nor to http:// or https://"
    if is_away and status not in _REDIRECTS:
        return f"another host's answers are not fetched (status {status})"
    if status not in {200, *_REDIRECTS, *_STATUSES}:
        return f"the status {status} is not known here"
    return ""


def _made(
    pattern: Pattern,
    query: list[tuple[str, str]],
    target: str,
    status: int,
    *,
    is_forced: bool,
    line: int,
) -> Rule | str:
    kind: Kind = "moved"
    if status in _STATUSES:
        kind = "status"
    elif status == 200:  # noqa: PLR2004
        kind = "rewritten"
    elif not target.startswith("/"):
        kind = "away"
    if kind == "status":
        page = target.removeprefix("/")
        if not re.fullmatch(r"[\w./-]+", page, re.ASCII):
            return "the page's name may hold letters, digits and _ . / -"
        return Rule(kind, pattern.expression, _query(query, _SENT)[0], page, status, is_forced, line)
    wanted, names = _query(query, _FOUND if kind == "rewritten" else _SENT)
    if not wanted and query:
        return "it has more than 9 parameters, or one that no rule of Apache's can hold"
    known = {name: f"%{number}" for number, name in enumerate(names, 1)}
    known |= {name: f"${number}" for number, name in enumerate(pattern.groups, 1)}
    substitution = _path(target, known) if kind == "rewritten" else _location(target, known)
    return Rule(kind, pattern.expression, wanted, substitution, status, is_forced, line)


def _query(query: list[tuple[str, str]], value: str) -> tuple[str, list[str]]:
    """A pattern of the query in whatever order, and the names of its groups."""
    names: list[str] = []
    parts: list[str] = []
    for key, wanted in query:
        if not key.isprintable() or not {'"', "\\", "^"}.isdisjoint(key + wanted):
            return "", []
        if placeholder := re.fullmatch(r":([A-Za-z_]\w*)", wanted):
            names.append(placeholder[1])
            expression = f"({value})"
        else:
            expression = literal(wanted)
        parts.append(f"(?=(?:.*&)?{literal(key)}={expression}(?:&|$))")
    if len(names) > 9:  # noqa: PLR2004  mod_rewrite has %1 to %9
        return "", []
    return ("^" + "".join(parts) if parts else ""), names


def _pieces(target: str, known: dict[str, str]) -> list[tuple[str, str]]:
    """The target in pieces: (``text``, characters) or (``group``, its reference)."""
    pieces: list[tuple[str, str]] = []
    end = 0
    for found in re.finditer(r"(?<=[/=&?:._-]):([A-Za-z_]\w*)", target):
        if found[1] in known:
            pieces += [("text", target[end : found.start()]), ("group", known[found[1]])]
            end = found.end()
    return [*pieces, ("text", target[end:])]


def _location(target: str, known: dict[str, str]) -> str:
    """The target as a URL that is sent: everything in it is escaped, once."""
    written = []
    for kind, piece in _pieces(target, known):
        if kind == "group":
            # What comes out of a path is decoded, what comes out of a query is not.
            written.append(f"${{stager_escape:{piece}}}" if piece.startswith("$") else piece)
            continue
        for char in re.findall(r"%[0-9A-Fa-f]{2}|.", piece, re.DOTALL):
            if char in _PLAIN:
                written.append(char)
            elif len(char) > 1:
                written.append(PERCENT + char[1:])
            else:
                written += [f"{PERCENT}{byte:02X}" for byte in char.encode(errors="surrogateescape")]
    return "".join(written)


def _path(target: str, known: dict[str, str]) -> str:
    """The target as the path of a file; a query would mean nothing to one."""
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    written = []
    for kind, piece in _pieces(path, known):
        if kind == "group":
            written.append(piece)
            continue
        for char in unquote(piece):
            if char == "%":
                written.append(PERCENT)
            elif char in '$"\\' or not char.isprintable():
                written.append("_")
            else:
                written.append(char)
    return "".join(written)

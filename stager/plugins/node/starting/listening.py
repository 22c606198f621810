"""Servers of packages that do not read PORT, or listen on one address only: how each is told."""

from __future__ import annotations

from collections.abc import Mapping

from stager.model.frozen import dataclass
from stager.plugins.node.toolkits.toolkit import HOST, LISTEN, PORT


@dataclass(frozen=True, slots=True)
class _Telling:
    """The options in which a server is told (those that a user gave are dropped), or variables."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


_LISTEN = tuple(LISTEN.items())
#: By program and command; "" is any command.
_SERVERS: Mapping[tuple[str, str], _Telling] = {
    # next start: -p and -H; without -H it listens on every address.
    ("next", "start"): _Telling(("-H", HOST, "-p", PORT), ("-H", "--hostname", "-p", "--port")),
    ("vite", "preview"): _Telling(
        ("--host", HOST, "--port", PORT, "--strictPort"), ("--host", "--port", "--strictPort")
    ),
    ("astro", "preview"): _Telling(("--host", HOST, "--port", PORT), ("--host", "--port")),
    ("nuxt", "preview"): _Telling(("--host", HOST, "--port", PORT), ("--host", "-h", "--port", "-p")),
    ("nuxt", "start"): _Telling(environment=(*_LISTEN, ("NUXT_HOST", HOST), ("NUXT_PORT", PORT))),
    ("nuxi", "preview"): _Telling(("--host", HOST, "--port", PORT), ("--host", "-h", "--port", "-p")),
    ("gatsby", "serve"): _Telling(("-H", HOST, "-p", PORT), ("-H", "--host", "-p", "--port")),
    ("docusaurus", "serve"): _Telling(
        ("--host", HOST, "--port", PORT, "--no-open"), ("--host", "-h", "--port", "-p", "--no-open")
    ),
    ("vitepress", "preview"): _Telling(("--host", HOST, "--port", PORT), ("--host", "--port")),
    ("fastify", "start"): _Telling(("-a", HOST, "-p", PORT), ("-a", "--address", "-p", "--port")),
    ("serve", ""): _Telling(("-l", f"tcp://{HOST}:{PORT}"), ("-l", "--listen", "-p", "--port")),
    ("http-server", ""): _Telling(("-a", HOST, "-p", PORT), ("-a", "--address", "-p", "--port")),
    ("json-server", ""): _Telling(("--host", HOST, "--port", PORT), ("--host", "-H", "--port", "-p")),
    ("remix-serve", ""): _Telling(environment=_LISTEN),
    ("react-router-serve", ""): _Telling(environment=_LISTEN),
    ("strapi", "start"): _Telling(environment=_LISTEN),
}
#: Options of theirs that have no value after them.
_BARE = frozenset({"--strictPort", "--no-open"})


def told(words: tuple[str, ...]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the command with the address and the port that startup gives, and variables that say them."""
    first = next((word for word in words[1:] if not word.startswith("-")), "")
    telling = _SERVERS.get((words[0], first)) or _SERVERS.get((words[0], ""))
    if telling is None:
        return words, {}
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = word.partition("=")[0]
        if name not in telling.drop:
            kept.append(word)
        elif "=" not in word and name not in _BARE and rest and not rest[0].startswith("-"):
            rest.pop(0)
    return (*kept, *telling.add), dict(telling.environment)

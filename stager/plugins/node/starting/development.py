"""Watchers and daemons around a program: what they watch is run itself."""

from __future__ import annotations

from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.starting.shell_words import parse

#: Options of nodemon's that are followed by a value.
_NODEMON = frozenset(
    {"-w", "--watch", "-i", "--ignore", "-e", "--ext", "-d", "--delay", "-s", "--signal", "--config"}
)
_TS_NODE_DEV = frozenset({
    "--respawn", "--transpile-only", "--transpileOnly", "-T", "--clear", "--cls", "--no-notify", "--poll",
    "--rs", "--exit-child", "--quiet", "--notify", "--files",
})  # fmt: skip
_WATCHING = frozenset({"--watch", "--watch-preserve-output", "--hot"})


def unwatched(words: tuple[str, ...], package: Package) -> tuple[str, ...]:
    """Return the command without what only restarts it when a file changes; the same where nothing does."""
    program = words[0]
    if program in ("nodemon", "node-dev", "supervisor"):
        return _nodemon(words, package)
    if program in ("tsx", "ts-node-dev", "tsnd"):
        return _typescript(words, package)
    if program in ("node", "nodejs", "bun"):
        return _without_watching(words)
    # They end when the program runs, and leave it to nobody.
    if program in ("pm2", "forever") and words[1:2] == ("start",):
        return ("pm2-runtime", *words[1:]) if program == "pm2" else ("forever", *words[2:])
    return words


def _typescript(words: tuple[str, ...], package: Package) -> tuple[str, ...]:
    if words[0] != "tsx":
        kept = tuple(word for word in words[1:] if word.partition("=")[0] not in _TS_NODE_DEV)
        return (_runner(package), *kept)
    if words[1:2] == ("watch",):
        told = ("--clear-screen", "--include", "--ignore")
        return ("tsx", *(word for word in words[2:] if not word.startswith(told)))
    return _without_watching(words)


def _without_watching(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        word
        for word in words
        if word.partition("=")[0] not in _WATCHING and not word.startswith("--watch-path")
    )


def _runner(package: Package) -> str:
    return next((one for one in ("tsx", "ts-node") if package.has(one)), "ts-node")


def _nodemon(words: tuple[str, ...], package: Package) -> tuple[str, ...]:
    rest = list(words[1:])
    program: tuple[str, ...] = ()
    kept: list[str] = []
    while rest:
        word = rest.pop(0)
        name, is_joined, value = word.partition("=")
        if name in ("-x", "--exec"):
            text = value if is_joined else rest.pop(0) if rest else ""
            lines = parse(text.replace("$$", "$"))
            if lines is None or len(lines) != 1:
                return words
            program = lines[0].words
        elif name in _NODEMON:
            if not is_joined and rest:
                rest.pop(0)
        elif (
            word.startswith("-")
            and not kept
            and not word.startswith(("--inspect", "--require", "-r", "--import", "--loader"))
        ):
            continue
        else:
            kept.append(word)
    files = tuple(kept)
    if not files and not program:
        files = (package.main or "index.js",)
    if program:
        return (*program, *files)
    is_typescript = files[-1].endswith((".ts", ".mts", ".tsx"))
    return (_runner(package) if is_typescript else "node", *files)

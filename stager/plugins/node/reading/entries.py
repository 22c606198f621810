"""Files by which an application is started where no script says so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stager.errors import NoStartCommand
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.environment import NODE
from stager.plugins.node.reading.configuration import folder_of, without_comments
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import inside, literal, printable

NAMES = ("server", "app", "index", "main")
SUFFIXES = (".js", ".cjs", ".mjs")
TYPESCRIPT = (".ts", ".mts", ".cts", ".tsx")
_LIMIT = 256 << 10
#: What a program that answers requests, or waits for work, has in it.
_SERVES = re.compile(
    r"\.listen\s*\(|\bcreateServer\s*\(|\bserve\s*\(|"
    r"""(?:require\s*\(|from|import)\s*["'](?:node:)?(?:https?|http2|net|express|koa|fastify|restify|polka|"""
    r"""h3|hono|@hapi/hapi|hapi|@hono/node-server|socket\.io|ws|apollo-server|@apollo/server|micro|"""
    r"""discord\.js|telegraf|bullmq|amqplib|kafkajs|@nestjs/core|next|nuxt|@adonisjs/\w+|moleculer|sails)["']"""
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is started: its command in the package's folder, and why it is that one."""

    words: tuple[str, ...]
    why: str
    path: str = ""
    others: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def serves(source: SourceTree, path: str) -> bool:
    """Whether a file looks like a program that stays: not like a module, or a page's script."""
    return bool(_SERVES.search(source.read_text(path, limit=_LIMIT)))


def resolved(source: SourceTree, folder: str, name: str) -> str:
    """The file that `node NAME` runs, from the root; empty where there is none."""
    path = inside(folder, name)
    if path is None:
        return ""
    for suffix in ("", *SUFFIXES, ".json"):
        if path and source.is_file(path + suffix) and not (suffix == "" and source.is_directory(path)):
            return path + suffix
    for suffix in SUFFIXES:
        index = f"{path}/index{suffix}".lstrip("/")
        if source.is_file(index):
            return index
    return ""


def find_entry(source: SourceTree, package: Package, *, only_servers: bool = False) -> Entry | None:
    """Return what `main` names, else the first of the usual names; None where there is none.

    ``only_servers`` passes over files that do not look like one.

    Raises
    ------
    NoStartCommand
        It is TypeScript, and nothing compiles or runs that.
    """
    if package.main:
        path = resolved(source, package.folder, package.main)
        if path and (not only_servers or serves(source, path)):
            return _typescript(source, package, path) or _entry(package, path, f"main of {_shown(package)}")
        if not path and not only_servers and "build" in package.scripts and _is_built(source, package):
            name = package.main.removeprefix("./")
            return Entry(
                (NODE, literal(name)), f"{printable(name)}, main of {_shown(package)}, after the build", name
            )
    there = [path for path in _usual(source, package) if not only_servers or serves(source, path)]
    if not there:
        return None
    path = there[0]
    found = _typescript(source, package, path) or _entry(package, path, "because of its name")
    return Entry(found.words, found.why, found.path, tuple(map(printable, there[1:])), found.warnings)


def usual_names() -> str:
    """What is looked for, for people."""
    return f"{{{','.join(NAMES)}}}{{{','.join((*SUFFIXES, '.ts'))}}}"


def file_entry(source: SourceTree, package: Package, path: str, why: str) -> Entry:
    """Return how a file of the package is started; raises NoStartCommand as :func:`find_entry` does."""
    return _typescript(source, package, path) or _entry(package, path, why)


def _entry(package: Package, path: str, why: str) -> Entry:
    name = _relative(package, path)
    # `node -x.js` would be an option.
    name = f"./{name}" if name.startswith("-") else name
    return Entry((NODE, literal(name)), f"{printable(path)}, {why}", path)


def _relative(package: Package, path: str) -> str:
    return path.removeprefix(f"{package.folder}/") if package.folder else path


def _shown(package: Package) -> str:
    return printable(package.path)


def _usual(source: SourceTree, package: Package) -> Iterator[str]:
    for folder in ("", "src"):
        for suffixes in (SUFFIXES, TYPESCRIPT[:3]):
            for name in NAMES:
                for suffix in suffixes:
                    path = "/".join(filter(None, (package.folder, folder, name + suffix)))
                    if source.is_file(path):
                        yield path


def _is_built(source: SourceTree, package: Package) -> bool:
    """Whether `main` lies in a folder that a build makes."""
    first = package.main.removeprefix("./").split("/")[0]
    output = _output_folder(source, package)
    return bool(first) and first in {output.split("/")[0], "dist", "build", "lib", "out", ".output", "output"}


def _typescript(source: SourceTree, package: Package, path: str) -> Entry | None:
    if not path.endswith(TYPESCRIPT):
        return None
    name = _relative(package, path)
    compiled = compiled_name(source, package, name)
    if compiled:
        return Entry(
            (NODE, literal(compiled)),
            f"{printable(compiled)}, which the build makes of {printable(path)}",
            path,
        )
    runner = next((one for one in ("tsx", "ts-node") if package.has(one)), "")
    if runner:
        return Entry((runner, literal(name)), f"{printable(path)}, through {runner}", path)
    raise NoStartCommand(
        f"{printable(path)} is TypeScript, and nothing here compiles or runs that.",
        details=f"{_shown(package)} has no script `build` that compiles into the outDir of a tsconfig.json, "
        "and depends on neither tsx nor ts-node.",
        resolution=f'npm install tsx, and write "start": "tsx {printable(name)}" into the scripts.',
    )


def compiled_name(source: SourceTree, package: Package, name: str) -> str:
    """The file that a script `build` with tsc makes of ``src/server.ts``; empty where it does not."""
    build = package.scripts.get("build", "")
    if not re.search(r"\b(?:tsc|swc|tsup|ncc|esbuild|babel|tsdown|unbuild)\b", build):
        return ""
    output = _output_folder(source, package)
    if not output:
        return ""
    inner = name.partition("/")[2] if name.startswith(f"{_root_folder(source, package)}/") else name
    base, _, suffix = inner.rpartition(".")
    return f"{output}/{base}.{suffix.replace('ts', 'js').replace('jsx', 'js')}"


def _tsconfig(source: SourceTree, package: Package) -> str:
    texts = []
    for name in ("tsconfig.build.json", "tsconfig.json"):
        path = f"{package.folder}/{name}".lstrip("/")
        if source.is_file(path):
            texts.append(without_comments(source.read_text(path, limit=_LIMIT)))
    return "\n".join(texts)


def _output_folder(source: SourceTree, package: Package) -> str:
    build = package.scripts.get("build", "")
    named = re.search(r"(?:--outDir|--out-dir|-d|--outdir[= ])\s*=?\s*([\w./-]+)", build)
    if named:
        return named[1].removeprefix("./").strip("/")
    return folder_of(
        _tsconfig(source, package), "outDir", "dist" if re.search(r"\bts(up|down)\b", build) else ""
    )


def _root_folder(source: SourceTree, package: Package) -> str:
    """From where paths are kept in the output: rootDir, else what all files have in common, as a rule src."""
    return folder_of(_tsconfig(source, package), "rootDir", "src")

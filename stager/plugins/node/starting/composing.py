"""Commands that were found, made into the one that is started."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from stager.errors import NoStartCommand
from stager.model.frozen import dataclass
from stager.model.plan import Argv, Shell
from stager.model.source_tree import SourceTree
from stager.plugins.node.environment import NODE, heap_environment
from stager.plugins.node.reading.entries import compiled_name, resolved
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import literal, printable
from stager.plugins.node.starting.development import unwatched
from stager.plugins.node.starting.following import Part
from stager.plugins.node.starting.listening import told
from stager.plugins.node.starting.programs import packages_of
from stager.plugins.node.starting.shell_words import as_shell, plain
from stager.plugins.node.toolkits.toolkit import HOST, Toolkit

#: What startup cannot hand over as a variable of the process: bash's own, and those that it needs itself.
_OWN = frozenset(
    {"BASHOPTS", "BASHPID", "BASH_VERSINFO", "EUID", "HOME", "PATH", "PPID", "SHELLOPTS", "TMPDIR", "UID"}
)
_HEAP = re.compile(r"--max[-_]old[-_]space[-_]size=(\d+)")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
#: Options of node's that are followed by a module that is loaded first.
_LOADING = frozenset({"-r", "--require", "--import", "--loader", "--experimental-loader"})


#: Its arguments are the folder and the command. `env -C` is not everywhere (BusyBox).
_IN_FOLDER = 'cd -- "$$0" && PATH=$$PWD/node_modules/.bin:$$PATH && exec "$$@"'


@dataclass(frozen=True, slots=True)
class Composed:
    """The command, the variables of its process, what to tell, and which devDependencies it needs."""

    command: Argv | Shell
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def composed(
    source: SourceTree, parts: Sequence[Part], toolkit: Toolkit | None, *, is_told: bool = False
) -> Composed:
    """Return one command: an argv where it is one program, else a text for a shell.

    ``is_told`` says that the command has the address and the port already.
    """
    warnings: list[str] = []
    needed: list[str] = []
    done = [_Command(source, part, warnings, needed).done(is_told=is_told) for part in parts]
    environment = {**(toolkit.environment if toolkit else {}), **done[-1].environment}
    known = tuple(dict.fromkeys(needed))
    if len(done) > 1:
        texts = [_as_text(part, is_last=part is done[-1]) for part in done]
        outer = toolkit.environment if toolkit else {}
        return Composed(Shell(" && ".join(texts)), outer, tuple(warnings), known)
    # What startup sets is not set by the text again; what it cannot set is.
    hidden = {name: value for name, value in environment.items() if _is_own(name)}
    rest = {name: value for name, value in environment.items() if name not in hidden}
    one = replace(done[0], environment=hidden)
    command = _in_folder(one.words, one.folder, hidden) if one.words else Shell(_as_text(one, is_last=True))
    return Composed(command, rest, tuple(warnings), known)


def _is_own(name: str) -> bool:
    return name in _OWN or name.lower().startswith("stager_")


def _in_folder(words: Argv, folder: str, hidden: Mapping[str, str]) -> Argv:
    pairs = [f"{name}={value}" for name, value in hidden.items()]
    if not folder:
        return ("env", *pairs, *words) if pairs else words
    return (*(("env", *pairs) if pairs else ()), "sh", "-c", _IN_FOLDER, literal(folder), *words)


def _as_text(part: Part, *, is_last: bool) -> str:
    """A command as shell text; what changes the folder or the variables changes them for nobody else."""
    moves = f"cd {shlex.quote(part.folder)} && PATH=$PWD/node_modules/.bin:$PATH && " if part.folder else ""
    if not part.words:
        body = f"{moves}{part.text}"
        if is_last and not part.environment:
            return body
        sets = "".join(
            f"export {as_shell((f'{name}={value}',))}; " for name, value in part.environment.items()
        )
        return f"{sets}{body}" if is_last else f"({sets}{body}\n)"
    sets = "".join(f"{name}={as_shell((value,))} " for name, value in part.environment.items())
    words = as_shell(part.words)
    if is_last:
        return f"{moves}{sets}exec {words}"
    return f"({moves}{sets}{words})" if moves else f"{sets}{words}"


class _Command:
    """One command, on its way."""

    def __init__(self, source: SourceTree, part: Part, warnings: list[str], needed: list[str]) -> None:
        self._source, self._part = source, part
        self._package: Package = part.package
        self._warnings, self._needed = warnings, needed

    def done(self, *, is_told: bool) -> Part:
        part = self._part
        if not part.words:
            self._needs_of_text(part.text)
            return Part(part.package, part.folder, (), part.text, self._environment())
        words = self._unwatched(part.words)
        environment: dict[str, str] = {}
        if not is_told:
            words, listening = told(words)
            environment |= listening
        words = self._program(words)
        self._look_at(words)
        return Part(part.package, part.folder, words, "", {**environment, **self._environment()})

    def _environment(self) -> dict[str, str]:
        found = dict(self._part.environment)
        if "PORT" in found and found["PORT"] != "${PORT}":
            port = found.pop("PORT")
            self._warnings.append(f"The start script sets PORT to {plain(port)}; it is the droplet's to say.")
        if "NODE_OPTIONS" in found:
            # Set as it stands, it would take the place of what the heap may grow to.
            found |= heap_environment(found["NODE_OPTIONS"])
        for name in ("HOST", "HOSTNAME"):
            if found.get(name) in _LOCAL:
                found[name] = HOST
                self._warnings.append(
                    f"The start script sets {name} to the host itself; nobody else could ask it."
                )
        return found

    def _unwatched(self, words: Argv) -> Argv:
        found = unwatched(words, self._package)
        if found != words:
            self._warnings.append(
                f"The start script uses {words[0]}, which is for development; started is "
                f"`{plain(' '.join(found))}`. Write that into scripts.start."
            )
        return found

    def _program(self, words: Argv) -> Argv:
        if words[0] in ("node", "nodejs"):
            return (NODE, *words[1:])
        if words[0] == "bun" and not self._package.has("bun"):
            return self._of_bun(words)
        if words[0] in ("ts-node", "tsx") and not self._package.has(words[0]):
            file = next((word for word in words[1:] if word.endswith((".ts", ".mts", ".tsx"))), "")
            compiled = compiled_name(self._source, self._package, file.removeprefix("./")) if file else ""
            if compiled:
                return (NODE, compiled, *words[words.index(file) + 1 :])
            raise _lacking(self._package, words[0], f"npm install {words[0]}")
        if words[0] == "deno":
            raise _lacking(self._package, "deno", "Start it with node, or bring deno along as a dependency")
        self._needs(words[0])
        return words

    def _of_bun(self, words: Argv) -> Argv:
        rest = tuple(word for word in words[1:] if not word.startswith("--")) or ("",)
        file = rest[1] if rest[0] == "run" and len(rest) > 1 else rest[0]
        if file.endswith((".js", ".mjs", ".cjs")):
            return (NODE, *rest[rest.index(file) :])
        compiled = compiled_name(self._source, self._package, file.removeprefix("./"))
        if compiled:
            return (NODE, compiled, *rest[rest.index(file) + 1 :])
        raise _lacking(self._package, "bun", "npm install bun, and the droplet has it")

    def _needs(self, program: str) -> None:
        """Note a package without which the program is not there: pruning would take it."""
        package = self._package
        if "/" in program and not program.startswith("@"):
            return
        names = packages_of(program)
        if not package.keeps(*names):
            self._needed += [name for name in names if name in package.dev_dependencies][:1]

    def _needs_of_text(self, text: str) -> None:
        for word in re.findall(r"(?:^|[;&|(]\s*|\bexec\s+|\bnpx\s+)([\w@./-]+)", text):
            self._needs(word)

    def _look_at(self, words: Argv) -> None:
        heap = _HEAP.search(" ".join([*words, *self._part.environment.values()]))
        if heap:
            self._warnings.append(
                f"The start script lets the heap grow to {heap[1]} MiB, whatever memory there is. "
                "Leave it out: it is set to what the droplet is given."
            )
        if words[0] != NODE:
            return
        rest = list(words[1:])
        while rest and rest[0].startswith("-"):
            name, is_joined, value = rest.pop(0).partition("=")
            if name in _LOADING:
                module = value if is_joined else rest.pop(0) if rest else ""
                self._needs_module(plain(module))
        if rest:
            self._look_for(plain(rest[0]))

    def _needs_module(self, module: str) -> None:
        parts = module.split("/")
        name = "/".join(parts[:2]) if module.startswith("@") else parts[0]
        if name in self._package.dev_dependencies and not self._package.keeps(name):
            self._needed.append(name)

    def _look_for(self, file: str) -> None:
        """Tell of a file that is not there, and that nothing could make."""
        package = self._package
        makes = any(
            name in package.scripts for name in ("build", "prepare", "postinstall", "prestart", "install")
        )
        if makes or file.startswith(("node_modules/", "./node_modules/", "/")) or "${" in file:
            return
        if file.endswith((".ts", ".mts", ".cts")) or resolved(self._source, self._part.folder, file):
            return
        self._warnings.append(
            f"The start script runs {printable(file)}, which is not there, and nothing builds it."
        )


def _lacking(package: Package, program: str, remedy: str) -> NoStartCommand:
    return NoStartCommand(
        f"{printable(package.path)} is started with {program}, which would not be there.",
        details=f"{program} is none of its dependencies, and a droplet finds only Node on its host.",
        resolution=f"{remedy}.",
    )

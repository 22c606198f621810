"""What a script really runs: through `npm run`, `cross-env`, `cd` and `&&`, down to the programs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import field, replace

from stager.errors import NoStartCommand
from stager.model.frozen import dataclass
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.manifest import Package, read_package
from stager.plugins.node.reading.names import inside, printable
from stager.plugins.node.reading.workspaces import find_workspace, workspace_packages
from stager.plugins.node.starting.runners import Call, read_call
from stager.plugins.node.starting.shell_words import Line, as_shell, assignment, parse, plain


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a start: words as in an argv, or a text for a shell where ``words`` is empty."""

    package: Package
    folder: str
    words: tuple[str, ...] = ()
    text: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a command stands: in a script of a package, in a folder, with variables set before."""

    package: Package
    folder: str
    environment: Mapping[str, str]


class Following:
    """Follows scripts of one application.

    ``built`` collects what a start would build and the build has built already.
    """

    def __init__(self, source: SourceTree, root: Package) -> None:
        self._source, self._root = source, root
        self._packages: tuple[Package, ...] | None = None
        self.built: list[str] = []

    @property
    def packages(self) -> tuple[Package, ...]:
        """The packages of the monorepo, if it is one."""
        if self._packages is None:
            self._packages = workspace_packages(self._source, self._root)
        return self._packages

    def script(
        self, package: Package, name: str, arguments: tuple[str, ...] = (), above: tuple[str, ...] = ()
    ) -> list[Part]:
        """Return the commands that a script runs, with those of its ``pre`` and ``post``.

        Raises
        ------
        NoStartCommand
            It is not there, or runs itself.
        """
        here = f"{package.path}#{name}"
        if here in above:
            raise _circle(package, (*above, here))
        if name not in package.scripts:
            raise _missing(package, name, above)
        place = _Place(package, package.folder, {})
        texts = [
            package.scripts.get(f"pre{name}", ""),
            package.scripts[name],
            package.scripts.get(f"post{name}", ""),
        ]
        parts: list[Part] = []
        for number, text in enumerate(texts):
            if text.strip():
                last = number == 1 and not texts[2].strip()
                parts += self._text(
                    place, text, arguments if number == 1 else (), (*above, here), is_last=last
                )
        return parts

    def command(self, package: Package, text: str) -> list[Part]:
        """Return the commands of a text that is no script's."""
        return self._text(_Place(package, package.folder, {}), text, (), (), is_last=True)

    def _text(
        self, place: _Place, text: str, arguments: tuple[str, ...], above: tuple[str, ...], *, is_last: bool
    ) -> list[Part]:
        lines = parse(text)
        if lines is None:
            whole = f"{text} {as_shell(arguments)}" if arguments else text
            return [Part(place.package, place.folder, (), whole.strip(), dict(place.environment))]
        parts: list[Part] = []
        for number, line in enumerate(lines):
            if number == len(lines) - 1:
                line = replace(line, words=(*line.words, *arguments))  # noqa: PLW2901  (the last one alone)
            if (not is_last or number < len(lines) - 1) and self._is_built(place.package, line):
                self.built.append(plain(as_shell(line.words)))
                continue
            moved = _moved(place, line.words)
            if moved is not None:
                place = moved
                continue
            parts += self._line(place, line, above)
        return parts

    def _line(self, place: _Place, line: Line, above: tuple[str, ...]) -> list[Part]:
        environment, words = unwrapped(line)
        inner = replace(place, environment={**place.environment, **environment})
        if not words:
            return []
        call = read_call(words)
        if call is None:
            return [Part(inner.package, inner.folder, words, "", dict(inner.environment))]
        return self._called(inner, call, words, above)

    def _called(
        self, place: _Place, call: Call, words: tuple[str, ...], above: tuple[str, ...]
    ) -> list[Part]:
        if call.kind == "task":
            found = self.task(call.name, call.workspace, above)
            return [replace(one, environment={**place.environment, **one.environment}) for one in found]
        package = self._package(place, call)
        folder = package.folder if call.workspace or call.folder else place.folder
        if call.kind == "program" or (call.kind == "either" and call.name not in package.scripts):
            # `yarn node x.js`, `npx serve`, `bun server.js`.
            inner = _Place(package, folder, place.environment)
            program = (call.name, *call.arguments)
            if words[0] == "bun" and call.kind == "either":
                return [Part(package, folder, ("bun", *program), "", dict(place.environment))]
            return self._line(inner, Line(program), above)
        if call.is_optional and call.name not in package.scripts:
            return []
        found = self.script(package, call.name, call.arguments, above)
        return [replace(one, environment={**place.environment, **one.environment}) for one in found]

    def task(self, name: str, workspace: str, above: tuple[str, ...] = ()) -> list[Part]:
        """Return what a task of the monorepo runs: the script of the one package that has it."""
        having = [one for one in self.packages if name in one.scripts]
        if workspace:
            chosen = find_workspace(self.packages, plain(workspace))
            having = [chosen] if chosen else []
        if len(having) != 1:
            listed = ", ".join(printable(one.folder) for one in having) or "none"
            raise NoStartCommand(
                f"The task {printable(name)} starts {'several packages' if having else 'nothing'}.",
                details=f"Packages with a script of that name: {listed}.",
                resolution="Say which one: `node: {workspace: FOLDER}` in stager.yml.",
            )
        return self.script(having[0], name, (), above)

    def _package(self, place: _Place, call: Call) -> Package:
        if call.workspace:
            found = find_workspace(self.packages, plain(call.workspace))
            if found is None:
                listed = ", ".join(printable(one.name or one.folder) for one in self.packages) or "none"
                raise NoStartCommand(
                    f"{printable(place.package.path)} starts the workspace {printable(call.workspace)}, "
                    "which is not there.",
                    details=f"There are: {listed}.",
                    resolution="Correct its name, or add it to `workspaces`.",
                )
            return found
        folder = inside(place.folder, plain(call.folder)) if call.folder else place.folder
        if folder is None or folder == place.package.folder:
            return place.package
        path = f"{folder}/package.json".lstrip("/")
        return read_package(self._source, path) or place.package

    @staticmethod
    def _is_built(package: Package, line: Line) -> bool:
        """Whether it is what the build does: then it has been done when the droplet starts."""
        if "build" not in package.scripts:
            return False
        words = unwrapped(line)[1]
        call = read_call(words) if words else None
        if call is not None:
            name = call.name
            return not call.workspace and not call.folder and (name == "build" or name.startswith("build:"))
        lines = parse(package.scripts["build"]) or ()
        return any(words and unwrapped(one)[1] == words for one in lines)


def unwrapped(line: Line) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the variables and the words of a command without what only sets variables."""
    environment = dict(line.environment)
    words = line.words
    while words:
        program = words[0].removeprefix("./").removeprefix("node_modules/.bin/")
        words = (program, *words[1:]) if words[0] != f"./{program}" else words
        if program == "exec" or (program in ("cross-env", "env") and len(words) > 1):
            words = words[1:]
            while program != "exec" and words and (pair := assignment(words[0])):
                environment[pair[0]] = pair[1]
                words = words[1:]
            if program == "env" and words[:1] and words[0].startswith("-"):
                return environment, ("env", *words)
        else:
            break
    return environment, words


def _moved(place: _Place, words: tuple[str, ...]) -> _Place | None:
    """Where the next command stands after a `cd`, or after variables were set; None for any other."""
    if len(words) == 2 and words[0] == "cd":  # noqa: PLR2004  (cd and a folder)
        folder = inside(place.folder, plain(words[1]))
        return replace(place, folder=folder) if folder is not None else None
    # `set PORT=1` is how Windows says it; sh does nothing about it.
    if len(words) > 1 and words[0] in ("export", "set", "SET"):
        pairs = [pair for word in words[1:] if (pair := assignment(word))]
        if len(pairs) == len(words) - 1:
            return replace(place, environment={**place.environment, **dict(pairs)})
    return None


def _circle(package: Package, names: tuple[str, ...]) -> NoStartCommand:
    path = " -> ".join(printable(one.rpartition("#")[2]) for one in names)
    return NoStartCommand(
        f"{printable(package.path)}: the scripts run each other in a circle.",
        details=path,
        resolution="Let one of them run the program itself: `node server.js`.",
    )


def _missing(package: Package, name: str, above: tuple[str, ...]) -> NoStartCommand:
    names = sorted(package.scripts)
    near = difflib.get_close_matches(name, names, 1)
    listed = ", ".join(printable(one) for one in names) or "none"
    where = f"scripts.{above[-1].rpartition('#')[2]} runs it" if above else "it is asked for"
    return NoStartCommand(
        f"{printable(package.path)} has no script {printable(name)}, and {printable(where)}.",
        details=f"Its scripts: {listed}.",
        resolution=f"Did you mean {printable(near[0])}?" if near else "Add it, or correct the name.",
    )

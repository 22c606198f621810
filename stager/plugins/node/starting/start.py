"""What is started: the start script without npm around it, `main`, the usual files, a toolkit's server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from stager.errors import ConfigurationError, NoStartCommand
from stager.model.frozen import dataclass
from stager.model.plan import Argv, Shell
from stager.model.source_tree import SourceTree
from stager.plugins.node.reading.entries import Entry, file_entry, find_entry, resolved, usual_names
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.reading.names import inside, literal, printable
from stager.plugins.node.reading.workspaces import find_workspace
from stager.plugins.node.starting.composing import composed
from stager.plugins.node.starting.following import Following, Part
from stager.plugins.node.starting.programs import is_development, is_preview
from stager.plugins.node.toolkits.recognition import find_toolkit
from stager.plugins.node.toolkits.toolkit import Toolkit

START = "start"
#: It says itself that it "does not work" with `output: standalone`, and needs all of node_modules.
_NEXT = ("next", "start")
#: Scripts that start what `start` only tries out: Nest's template has the first.
_PRODUCTION = ("start:prod", "start:production", "start-prod", "production", "prod", "serve:prod")


@dataclass(frozen=True, slots=True)
class Start:
    """How the application is started.

    Parameters
    ----------
    command:
        An argv, or what the user wrote where a shell has to run it.
    why:
        For people.
    others:
        What could have been started and was not.
    environment:
        For this process.
    warnings:
        What the user should know.
    folder:
        Of the package that is started; empty for the root.
    needed:
        Packages of devDependencies without which it does not start.
    """

    command: Argv | Shell
    why: str
    others: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    folder: str = ""
    needed: tuple[str, ...] = ()


def find_start(
    source: SourceTree,
    package: Package | None,
    toolkit: Toolkit | None,
    *,
    entrypoint: str | None = None,
    workspace: str | None = None,
) -> Start:
    """Return how the application is started.

    Parameters
    ----------
    source, package, toolkit:
        The upload, its package.json (None: only files), and what makes it.
    entrypoint, workspace:
        ``node.entrypoint`` and ``node.workspace`` of the settings.

    Raises
    ------
    NoStartCommand
        Nothing says so; the error says what was looked at.
    ConfigurationError
        What the settings name is not there.
    """
    root = package or Package({})
    finding = _Finding(source, Following(source, root), root, toolkit)
    if workspace:
        finding = finding.within(_workspace(finding.following.packages, workspace))
    if entrypoint:
        return finding.named(entrypoint)
    return finding.found()


def _workspace(packages: tuple[Package, ...], wanted: str) -> Package:
    found = find_workspace(packages, wanted)
    if found is None:
        listed = ", ".join(printable(one.folder) for one in packages) or "none"
        raise ConfigurationError(
            f"node.workspace: there is no workspace {printable(wanted)}.",
            details=f"Workspaces of this application: {listed}.",
            resolution="Name one of them, by folder or by name.",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Finding:
    """Looks at one package."""

    source: SourceTree
    following: Following
    package: Package
    toolkit: Toolkit | None

    def within(self, package: Package) -> _Finding:
        return _Finding(self.source, self.following, package, find_toolkit(self.source, package))

    def named(self, entrypoint: str) -> Start:
        """What the settings name: a script, or a file."""
        if entrypoint in self.package.scripts:
            parts = self.following.script(self.package, entrypoint)
            return self._start(parts, f"scripts.{entrypoint}, because node.entrypoint says so")
        path = resolved(self.source, self.package.folder, entrypoint) or inside(
            self.package.folder, entrypoint
        )
        if path and self.source.is_file(path):
            return self._of_entry(
                file_entry(self.source, self.package, path, "because node.entrypoint says so")
            )
        if path and entrypoint.endswith((".js", ".mjs", ".cjs")) and "build" in self.package.scripts:
            why = f"{printable(entrypoint)}, after the build, because node.entrypoint says so"
            return self._of_entry(Entry(("node", literal(entrypoint)), why))
        scripts = ", ".join(map(printable, self.package.scripts)) or "none"
        raise ConfigurationError(
            f"node.entrypoint: {printable(entrypoint)} is neither a script nor a file of the application.",
            details=f"Scripts of {printable(self.package.path)}: {scripts}.",
            resolution="Name one of them, or a file, relative to package.json.",
        )

    def found(self, *, only_servers: bool = False) -> Start:
        """What is found; of files, only those that look like servers where ``only_servers``."""
        if self.package.scripts.get(START, "").strip():
            return self._of_scripts()
        toolkit = self.toolkit
        serves = bool(toolkit and toolkit.command)
        # A toolkit's own configuration may be called app.js: beside one, only a server is taken for one.
        entry = find_entry(self.source, self.package, only_servers=only_servers or toolkit is not None)
        if entry is not None:
            return self._of_entry(entry)
        if toolkit is not None and serves:
            return self.of_toolkit(toolkit, f"{toolkit.name}'s own server; there is no scripts.start")
        return self._below() or self._production("there is no scripts.start") or self._nothing("")

    def _of_scripts(self) -> Start:
        parts = self.following.script(self.package, START)
        last = parts[-1] if parts else None
        text = printable(self.package.scripts[START].strip())
        shown = text if len(text) < 100 else f"{text[:97]}..."  # noqa: PLR2004  (a line of a terminal)
        is_tried = last is not None and bool(last.words) and is_development(last.words)
        toolkit = self._toolkit_of(last)
        is_shown = last is not None and is_preview(last.words)
        is_refused = bool(toolkit and toolkit.standalone) and last is not None and last.words[:2] == _NEXT
        if (
            toolkit is not None
            and toolkit.command
            and last is not None
            and (is_tried or is_shown or is_refused)
        ):
            reason = "a server for development" if is_tried else "one for looking at the build"
            reason = "not for `output: standalone`" if is_refused else reason
            return self.within_part(last).of_toolkit(
                toolkit, f"{toolkit.name}'s own server, as {self._called(START)} is {reason}: {shown}"
            )
        if last is not None and not is_tried:
            return self._start(parts, f"{self._called(START)}: {shown}")
        called = self._called(START)
        reason = f"{called} is for development: {shown}" if parts else f"{called} runs nothing"
        found = self._production(reason)
        if found is None and (entry := find_entry(self.source, self.package, only_servers=True)):
            found = self._of_entry(entry)
        return found or self._nothing(reason)

    def _called(self, script: str) -> str:
        """A script as people find it."""
        return f"scripts.{script}" + (f" of {printable(self.package.folder)}" if self.package.folder else "")

    def _toolkit_of(self, part: Part | None) -> Toolkit | None:
        if part is None or part.package.path == self.package.path:
            return self.toolkit
        return find_toolkit(self.source, part.package)

    def within_part(self, part: Part) -> _Finding:
        """The same for the package in which a command runs."""
        return self if part.package.path == self.package.path else self.within(part.package)

    def _production(self, reason: str) -> Start | None:
        for name in _PRODUCTION:
            if self.package.scripts.get(name, "").strip():
                parts = self.following.script(self.package, name)
                if parts and not (parts[-1].words and is_development(parts[-1].words)):
                    return self._start(parts, f"scripts.{name}, as {reason}")
        return None

    def _below(self) -> Start | None:
        """The one package of a monorepo that can be started."""
        if self.package.folder:
            return None
        found: list[Start] = []
        for package in self.following.packages:
            try:
                # Most packages beside the one that is started are libraries, and `main` is where they begin.
                found.append(self.within(package).found(only_servers=True))
            except NoStartCommand:
                continue
        if len(found) > 1:
            raise NoStartCommand(
                "Several packages of this monorepo can be started.",
                details="\n".join(f"{printable(one.folder)}: {one.why}" for one in found),
                resolution=f"Say which: `node: {{workspace: {printable(found[0].folder)}}}` in stager.yml.",
            )
        return found[0] if found else None

    def of_toolkit(self, toolkit: Toolkit, why: str) -> Start:
        return self._start([Part(self.package, self.package.folder, toolkit.command)], why, told=True)

    def _of_entry(self, entry: Entry) -> Start:
        found = self._start([Part(self.package, self.package.folder, entry.words)], entry.why)
        return Start(
            found.command, found.why, entry.others, found.environment,
            (*found.warnings, *entry.warnings), found.folder, found.needed,
        )  # fmt: skip

    def _start(self, parts: list[Part], why: str, *, told: bool = False) -> Start:
        if not parts:
            return self._nothing("what it names runs nothing")
        result = composed(self.source, parts, self._toolkit_of(parts[-1]), is_told=told)
        built = tuple(dict.fromkeys(self.following.built))
        note = f" ({', '.join(built)}: done by the build)" if built else ""
        return Start(
            result.command,
            why + note,
            environment=result.environment,
            warnings=result.warnings,
            folder=parts[-1].package.folder,
            needed=result.needed,
        )

    def _nothing(self, reason: str) -> Start:
        toolkit, package = self.toolkit, self.package
        if toolkit is not None and toolkit.problem:
            raise NoStartCommand(toolkit.problem, details=reason, resolution=toolkit.resolution)
        if toolkit is not None and toolkit.is_static:
            raise NoStartCommand(
                f"{toolkit.name} builds files, and no server that Node would run.",
                details=f"They are built into {toolkit.outputs[0]}/." + (f" {reason}." if reason else ""),
                resolution="Let the static runtime serve them: --runtime node --runtime static.",
            )
        scripts = ", ".join(map(printable, package.scripts)) or "none"
        main = package.main or "says nothing"
        folder = f"{package.folder}/" if package.folder else ""
        raise NoStartCommand(
            "Nothing says how this application is started.",
            details=f"Looked at, in {printable(folder) or 'the root'}:\n"
            f"  scripts.start: {reason or 'not there'} (scripts: {scripts})\n"
            f"  main: {printable(main)}{' (there is no such file)' if package.main else ''}\n"
            f"  {usual_names()}, and the same in src/: none\n"
            f"  a toolkit with a server: {toolkit.name + ', which has none' if toolkit else 'none'}",
            resolution='Write it into package.json: "scripts": {"start": "node server.js"}; '
            "or into a Procfile: web: node server.js",
        )

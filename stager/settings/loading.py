"""All sources of settings, laid over each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stager.errors import ConfigurationError, PluginBroken, StagerError
from stager.model.frozen import dataclass
from stager.model.plan import Command, Health, Limits
from stager.settings.definition import Definition, HealthKeys, Hooks, define
from stager.settings.environment import read_environment
from stager.settings.files import RootFiles, text_at, text_in_source
from stager.settings.flags import read_flags
from stager.settings.procfile import read_procfile
from stager.settings.values import EMPTY, Section, merge, origins

FILE = "stager.yml"
PROCFILE = "Procfile"
_NEAR_FILES = dict.fromkeys(("stager.yaml", "stager.yml", ".stager.yaml", ".stager.yml"), FILE)
_NEAR_FILES["procfile"] = PROCFILE
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user decided; what nobody decided has its default.

    Parameters
    ----------
    runtimes:
        In order, by their canonical names; empty where they are to be detected.
    limits:
        Of one instance.
    processes:
        By type.
    environment:
        Of the running application. It may hold secrets, so it has no repr.
    build_environment:
        Of build steps only; no repr either.
    ignore:
        Patterns in the syntax of .gitignore.
    health:
        How to tell that the application is ready.
    hooks:
        The user's shell text; empty for none.
    grace:
        Seconds for the requests in flight.
    options:
        The options of each runtime, as its own dataclass. One that cannot be made, and that nobody asked
        for, is missing here; :meth:`options_for` says why.
    origins:
        Where each key that was set came from: ``{"memory": "stager.yml line 4", "grace": "environment
        STAGER_GRACE", "php.server": "--set php.server"}``.
    """

    runtimes: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    processes: Mapping[str, Command] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    build_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    ignore: tuple[str, ...] = ()
    health: Health = field(default_factory=Health)
    hooks: Hooks = field(default_factory=Hooks)
    grace: float = 10.0
    options: Mapping[str, object] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, StagerError] = field(default_factory=dict, repr=False)

    def options_for(self, runtime: str) -> Any:
        """The options of a runtime.

        Raises ConfigurationError where one that has no default is not set, PluginBroken where its
        dataclass cannot be read or made.
        """
        if runtime in self.problems:
            raise self.problems[runtime]
        return self.options[runtime]


def load_settings(
    source: RootFiles,
    *,
    options_by_runtime: Mapping[str, type],
    aliases: Mapping[str, str] | None = None,
    flags: Mapping[str, object] = _NOTHING,
    environment: Mapping[str, str] = _NOTHING,
    config: Path | None = None,
) -> tuple[Settings, tuple[str, ...]]:
    """Read the settings of an application, and what the user should be warned of.

    Flags win over ``STAGER_*`` variables, these over stager.yml, stager.yml over the Procfile. Each of
    them is checked as a whole, so that a mistake does not hide below a flag.

    Parameters
    ----------
    source:
        The application.
    options_by_runtime:
        The dataclass of options of each installed runtime.
    aliases:
        Other names of runtimes: ``{"python": "python_wsgi"}``; see :func:`stager.settings.definition.define`.
    flags:
        Values by dotted key, see :func:`stager.settings.flags.read_flags`.
    environment:
        The environment of the caller; only ``STAGER_*`` is looked at.
    config:
        A file that is read instead of the application's stager.yml.

    Raises ConfigurationError naming where the offending value stands.
    """
    definition = define(options_by_runtime, aliases)
    variables, warnings = read_environment(environment, definition)
    layers = (_procfile(source), _file(source, config, definition), variables, read_flags(flags, definition))
    merged = EMPTY
    for layer in layers:
        definition.root.check(layer, "")
        merged = merge(merged, layer)
    return _settings(merged, definition), (*_near_files(source), *warnings)


def _procfile(source: RootFiles) -> Section:
    text = text_in_source(source, PROCFILE)
    return EMPTY if text is None else read_procfile(text)


def _file(source: RootFiles, config: Path | None, definition: Definition) -> Section:
    text = text_in_source(source, FILE) if config is None else text_at(config)
    if text is None:
        return EMPTY
    from stager.settings.yaml_file import read_yaml

    return definition.canonical(read_yaml(text, FILE if config is None else str(config)))


def _near_files(source: RootFiles) -> tuple[str, ...]:
    near = [(name, _NEAR_FILES.get(name.lower(), name)) for name in source.children()]
    return tuple(f"{name} is not read; rename it to {meant}." for name, meant in near if meant != name)


def _settings(merged: Section, definition: Definition) -> Settings:
    core = Section({k: v for k, v in merged.entries.items() if k not in definition.runtimes}, merged.origin)
    keys = definition.root.read_fields(core, "")
    defaults = {name: key.default for name, key in definition.root.fields.items()}
    values: dict[str, Any] = defaults | keys
    options = {name: _options(name, merged, definition) for name in definition.runtimes}
    return Settings(
        runtimes=tuple(dict.fromkeys(definition.aliases.get(name, name) for name in values["runtime"])),
        limits=Limits(values["memory"], values["disk"], values["fds"]),
        processes=values["processes"],
        environment=values["env"],
        build_environment=values["build_env"],
        ignore=values["ignore"],
        health=Health(**{key: getattr(values["health"], key) for key in HealthKeys.__dataclass_fields__}),
        hooks=values["hooks"],
        grace=values["grace"],
        options={name: made for name, made in options.items() if not isinstance(made, StagerError)},
        origins=dict(origins(merged)),
        problems={name: made for name, made in options.items() if isinstance(made, StagerError)},
    )


def _options(runtime: str, merged: Section, definition: Definition) -> object:
    """The runtime's options; the error instead where nobody mentioned the runtime, who may not be needed."""
    is_set = runtime in merged.entries
    try:
        return definition.root.fields[runtime].kind.read(merged.entries.get(runtime, EMPTY), runtime)
    except (ConfigurationError, PluginBroken) as error:
        if is_set:
            raise
        return error
    except Exception as error:  # a plugin's __post_init__ may raise anything
        broken = PluginBroken(
            f"The options of the runtime {runtime} cannot be made.",
            details=f"{type(error).__name__}: {error}",
            resolution="Tell the plugin's author, or uninstall the plugin.",
        )
        if is_set:
            raise broken from error
        return broken

"""Which Python of this host an application is planned for, and what the droplet looks for when it starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec

from stager.errors import HostToolMissing, UnsupportedVersion
from stager.model.frozen import dataclass
from stager.model.host import HostFacts, HostTool
from stager.model.wanted import Wanted, as_numbers, asked_and_there, not_exactly, versions_there
from stager.plugins.python_wsgi.packages.versions import exact_version, is_allowed, wanted_versions

__all__ = ["PYTHONS", "UV", "Interpreter", "Wanted", "choose_interpreter", "wanted_versions"]


def _own_uv() -> tuple[str, ...]:
    """Where the installed `uv` package has its program: beside the package, without importing it."""
    spec = find_spec("uv")
    if spec is None or not spec.origin:
        return ()
    # <prefix>/lib/python3.N/site-packages/uv/__init__.py
    folder = os.path.dirname(spec.origin)
    prefix = os.path.normpath(os.path.join(folder, "../../../.."))
    return (os.path.join(prefix, "bin/uv"), os.path.normpath(os.path.join(folder, "../bin/uv")))


UV = HostTool(
    name="uv",
    purpose="installs an application's packages",
    package="pipx && pipx install uv",
    programs=(*_own_uv(), "uv"),
    when="build",
)

#: Where Pythons live that are not on the PATH: of the system, of pyenv, of uv.
_FOLDERS = (
    "/usr/local/bin",
    "/usr/bin",
    "/opt/python*/bin",
    "/opt/python/*/bin",
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/cpython-*/bin",
)
_ASK = "import sys\nif sys.implementation.name == 'cpython': print('cpython=%d.%d.%d' % sys.version_info[:3])"
PYTHONS = HostTool(
    name="python",
    purpose="runs Python applications",
    package="python3",
    programs=("python3", "python3.[0-9]", "python3.[0-9][0-9]"),
    files=tuple(
        f"{folder}/{name}" for folder in _FOLDERS for name in ("python3.[0-9]", "python3.[0-9][0-9]")
    ),
    version_arguments=("-I", "-S", "-c", _ASK),
    version_pattern=r"(?m)^cpython=(\S+)",
    when="build",
    is_each_asked=True,
)
#: Debian's python3.N-minimal is a Python without most of its library.
_START = (
    "import os, sys\n"
    "version = '%d.%d.%d' % sys.version_info[:3]\n"
    "library = os.path.dirname(os.__file__)\n"
    "if version.rpartition('.')[0] != '{minor}' or sys.implementation.name != 'cpython':\n"
    "    print('is ' + sys.implementation.name.replace('cpython', 'Python') + ' ' + version)\n"
    "elif os.path.isdir(library) and not os.path.exists(os.path.join(library, 'asyncio')):\n"
    "    print('is Python ' + version + ' without its library')\n"
    "else:\n"
    "    print(os.path.realpath(getattr(sys, '_base_executable', sys.executable)))\n"
    "    sys.exit(0)\n"
    "sys.exit(1)\n"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that a droplet is planned for.

    Parameters
    ----------
    path:
        Of the program on this host.
    version, minor:
        ``3.11.2`` and ``3.11``.
    note:
        What people should know about the choice; empty where it is just what was asked for.
    """

    path: str
    version: str
    minor: str
    note: str = ""

    def run_tools(self, is_system: bool = False) -> HostTool:  # noqa: FBT001, FBT002
        """What the droplet looks for when it starts: a Python of that minor version, wherever it is.

        ``is_system`` puts the system's own first: the one that Apache's mod_wsgi is built for.
        """
        name = f"python{self.minor}"
        system = (f"/usr/bin/{name}",) if is_system else ()
        return HostTool(
            name=f"python {self.minor}",
            purpose="runs the application",
            package=name,
            programs=(*system, name, "python3", "python"),
            # Not those of a user's home: a droplet is not started by who built it.
            files=tuple(f"{folder}/{name}" for folder in _FOLDERS if folder.startswith("/")),
            variable="STAGER_PYTHON",
            folder_variable="STAGER_PYTHON_FOLDER",
            start_arguments=("-I", "-S", "-c", _START.replace("{minor}", self.minor)),
            # Debian packs a Python without most of its library, too.
            start_landmarks=tuple(f"../lib/{name}/{module}" for module in ("os.py", "asyncio/__init__.py")),
            when="run",
        )


def choose_interpreter(
    host: HostFacts, wanted: Sequence[Wanted], only_minor: str = "", because: str = ""
) -> Interpreter:
    """Return the Python that satisfies all who ask: the host's default one, else the newest.

    Parameters
    ----------
    host:
        Has the answer to :data:`PYTHONS`.
    wanted:
        From :func:`wanted_versions`.
    only_minor, because:
        The one minor version that something else needs (``3.11``), and a clause that says what.

    Raises
    ------
    UnsupportedVersion
        None does: it names what was asked, where, and what is there.
    HostToolMissing
        The host has no Python at all.
    """
    there = [
        Interpreter(path, version, version.rpartition(".")[0])
        for path, version in versions_there(host[PYTHONS.name])
    ]
    if not there:
        raise HostToolMissing(
            "This host has no Python 3.",
            details="Looked for python3 and python3.N on the PATH, and in " + ", ".join(_FOLDERS) + ".",
            resolution="Install it: apt-get install -y --no-install-recommends python3",
        )
    asked = [*wanted, Wanted(only_minor, because)] if only_minor else list(wanted)
    fitting = [one for one in there if all(is_allowed(one.version, ask) for ask in asked)]
    if fitting:
        # uv installs for no older one, and neither do the servers that are added.
        asked.append(Wanted(f">={OLDEST}", "stager"))
        fitting = [one for one in fitting if is_allowed(one.version, asked[-1])]
    if not fitting:
        raise _unsupported(asked, there)
    default = there[0]
    newest = max(fitting, key=lambda one: as_numbers(one.version))
    chosen = default if default in fitting else newest
    return replace(chosen, note=_note(chosen, asked))


def _note(chosen: Interpreter, asked: Sequence[Wanted]) -> str:
    other = not_exactly(asked, chosen.version, exact_version)
    if other is None:
        return ""
    where, exact = other
    return (
        f"{where} asks for Python {exact}; this host has {chosen.version}, "
        f"and every {chosen.minor} runs what another {chosen.minor} does."
    )


def _unsupported(asked: Sequence[Wanted], there: Sequence[Interpreter]) -> UnsupportedVersion:
    in_order = sorted(there, key=lambda one: as_numbers(one.version), reverse=True)
    details = asked_and_there(asked, ((one.path, one.version) for one in in_order))
    possible = [
        minor
        for minor in (f"3.{number}" for number in range(40, -1, -1))
        if all(is_allowed(f"{minor}.{patch}", ask) for ask in asked for patch in (_patch(ask, minor),))
    ]
    if not possible and len(asked) > 1:
        return UnsupportedVersion(
            "No version of Python is all that this application asks for.",
            details=details,
            resolution="Make them agree, or say which one counts: `python_wsgi: {version: …}` in stager.yml.",
        )
    newest_release = next((m for m in possible if int(m[2:]) <= _NEWEST), possible[0] if possible else "")
    package = f"python{newest_release}" if newest_release else "it"
    return UnsupportedVersion(
        "This host has no Python that the application's files would accept."
        if len(asked) > 1
        else f"This host has no Python {asked[0].constraint}, which {asked[0].where} asks for.",
        details=details,
        resolution=f"Install {package} here and where the droplet runs, or ask for one that is there.",
    )


#: The oldest minor version that packages are installed for.
OLDEST = "3.8"
#: The newest minor version that has been released; only advice depends on it.
_NEWEST = 14


def _patch(ask: Wanted, minor: str) -> str:
    """A patch number of ``minor`` that may do: a range may begin in the middle of a minor version."""
    return next((str(patch) for patch in range(40) if is_allowed(f"{minor}.{patch}", ask)), "0")

"""The steps that install an application's packages, so that they can be moved and are the same every time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from stager.model.plan import RunCommand
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.packages.dependencies import Dependencies
from stager.plugins.python_wsgi.packages.failures import FAILURES
from stager.plugins.python_wsgi.packages.interpreters import UV, Interpreter
from stager.plugins.python_wsgi.packages.manifests import read_toml, table

ENVIRONMENT = "../build/python"
INSTALLED = "../deps/python"
EXPORTED = "../build/requirements.txt"
OUTPUT = "deps/python"
PYTHON = f"{ENVIRONMENT}/bin/python"
OFFLINE = {"UV_OFFLINE": "1"}

_INSTALL = ("pip", "install", "--python", ENVIRONMENT)
_UV_EXPORT = (
    *("export", "--locked", "--no-dev", "--no-editable", "--no-annotate", "--no-header", "--quiet"),
    *("--format", "requirements.txt", "--output-file", EXPORTED, "--python", ENVIRONMENT),
)
#: Pinned: an exporter that is another one tomorrow writes another list.
_POETRY = ("tool", "run", "--from", "poetry==2.5.1", "--with", "poetry-plugin-export==1.10.1", "poetry")
_POETRY_EXPORT = (
    *(*_POETRY, "export", "--no-interaction", "--only", "main"),
    *("--format", "requirements.txt", "--output", EXPORTED),
)
_PDM = ("tool", "run", "--from", "pdm==2.29.3", "pdm")
_PDM_EXPORT = (*_PDM, "export", "--prod", "--format", "requirements", "--output", EXPORTED)
#: pdm would make a virtual environment in the application, and ask whether it is the newest pdm.
_PDM_QUIET = {"PDM_USE_VENV": "0", "PDM_CHECK_UPDATE": "0"}


def install_steps(
    source: SourceTree, dependencies: Dependencies, interpreter: Interpreter, pins: tuple[str, ...]
) -> tuple[RunCommand, ...]:
    """Return the steps; none where nothing is to be installed.

    Parameters
    ----------
    source:
        The upload.
    dependencies, interpreter:
        What is installed, for which Python.
    pins:
        Requirements of the server, which the application does not name. They go first: what the
        application asks for is installed over them.
    """
    if not (dependencies.installs_anything or pins):
        return ()
    uv = _Uv(source, dependencies)
    steps = [uv.step("uv venv", "venv", "--no-project", "--quiet", "--python", interpreter.path, ENVIRONMENT)]
    if pins:
        steps.append(uv.step("install the server", *_INSTALL, *pins))
    if dependencies.installs_anything:
        steps += _exported(uv, dependencies)
        steps += _installed(uv, dependencies)
    steps.append(
        _script(
            "make packages movable, compile bytecode", "settle", (ENVIRONMENT, INSTALLED), outputs=(OUTPUT,)
        )
    )
    return tuple(steps)


def ignored_settings(names: Collection[str]) -> tuple[str, ...]:
    """A sentence for each variable of a build that pip would heed, and uv does not; never its value."""
    instead = {
        "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
        "PIP_EXTRA_INDEX_URL": "UV_INDEX",
        "PIP_FIND_LINKS": "UV_FIND_LINKS",
        "PIP_NO_INDEX": "UV_NO_INDEX",
        "PIP_CONSTRAINT": "UV_CONSTRAINT",
    }
    return tuple(
        f"{old} is not read: uv installs the packages, and reads {new}."
        for old, new in instead.items()
        if old in names and new not in names
    )


class _Uv:
    """What all calls of uv have in common."""

    def __init__(self, source: SourceTree, dependencies: Dependencies) -> None:
        self._environment = {
            "UV_CACHE_DIR": "{cache}/uv",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            # Copying 7,000 files takes 2 to 3 s, linking them 0.5. Nothing of ours writes into a file where
            # it is: what is changed is written anew. Where the cache is on another disk, uv copies.
            "UV_LINK_MODE": "hardlink",
            "UV_NO_EDITABLE": "1",
            # The host knows its own mirrors' authorities; uv brings a list of its own.
            "UV_SYSTEM_CERTS": "1",
            **_configuration(source),
            # Debugging information holds the path of the folder in which something was compiled.
            "CFLAGS": "-g0",
            "CXXFLAGS": "-g0",
        }
        self._inputs = tuple(dict.fromkeys((*dependencies.files, *dependencies.folders)))

    def step(
        self, name: str, *arguments: str, reads: bool = False, environment: Mapping[str, str] | None = None
    ) -> RunCommand:
        return RunCommand(
            name=name,
            tool=UV.name,
            arguments=arguments,
            environment={**self._environment, **(environment or {})},
            inputs=self._inputs if reads else (),
            is_confined=True,
            failures=FAILURES,
            offline_environment=OFFLINE,
        )


def _script(
    name: str,
    script: str,
    arguments: tuple[str, ...],
    inputs: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
) -> RunCommand:
    return RunCommand(
        name=name,
        tool=PYTHON,
        script=f"python_wsgi/{script}.py.j2",
        arguments=arguments,
        inputs=inputs,
        outputs=outputs,
        is_confined=True,
    )


def _exported(uv: _Uv, dependencies: Dependencies) -> Iterator[RunCommand]:
    """What turns a lock that uv cannot install from into a file of requirements."""
    match dependencies.manager:
        case "uv":
            yield uv.step("uv export", *_UV_EXPORT, reads=True)
        case "poetry":
            yield uv.step("poetry export", *_POETRY_EXPORT, reads=True)
        case "pdm":
            # `export` only warns of a lock that is another manifest's.
            yield uv.step("pdm lock --check", *_PDM, "lock", "--check", reads=True, environment=_PDM_QUIET)
            yield uv.step("pdm export", *_PDM_EXPORT, reads=True, environment=_PDM_QUIET)
        case "pipenv":
            yield _script(
                "read Pipfile.lock", "pipfile", ("Pipfile.lock", EXPORTED), inputs=("Pipfile.lock",)
            )
        case _:
            return


def _installed(uv: _Uv, dependencies: Dependencies) -> Iterator[RunCommand]:
    """What the application asks for itself."""
    manager, files = dependencies.manager, dependencies.files
    if manager in {"pyproject", "setup"} and dependencies.installs_project:
        yield uv.step("uv pip install", *_INSTALL, ".", reads=True)
    elif manager in {"requirements", "pyproject", "pylock"}:
        yield uv.step("uv pip install", *_INSTALL, "--requirements", files[0], reads=True)
    else:
        # A lock is complete; what it says is not to be resolved again.
        yield uv.step("uv pip install", *_INSTALL, "--no-deps", "--requirements", EXPORTED, reads=True)
    # `uv export` lists the application itself.
    if dependencies.installs_project and manager in {"poetry", "pdm", "pylock"}:
        yield uv.step("install the application", *_INSTALL, "--no-deps", ".", reads=True)


def _configuration(source: SourceTree) -> dict[str, str]:
    """The application's settings of uv count, indexes among them; those of the host do not."""
    if source.is_file("uv.toml"):
        return {"UV_CONFIG_FILE": "uv.toml"}
    if source.is_file("pyproject.toml") and table(read_toml(source, "pyproject.toml"), "tool", "uv"):
        return {"UV_NO_SYSTEM_CONFIG": "1"}
    return {"UV_NO_CONFIG": "1"}

"""The virtual environment that a droplet makes when it starts, around the interpreter that it finds."""

from __future__ import annotations

from collections.abc import Mapping

from stager.model.plan import PrivateFile
from stager.servers.python_application import ENVIRONMENT

#: Where the installed packages lie, in the droplet.
INSTALLED = "deps/python"
_FOLDER = ENVIRONMENT.rpartition("/")[2]


def private_files(minor: str) -> tuple[PrivateFile, ...]:
    """Return its files, for an interpreter of ``minor`` (``3.11``).

    A virtual environment that is packed names the interpreter's path, and that of its own packages; one
    that is made at start finds both wherever they are.
    """
    packages = f"lib/python{minor}/site-packages"
    programs = ("python", "python3", f"python{minor}")
    return (
        PrivateFile(
            f"{_FOLDER}/pyvenv.cfg",
            "home = ${STAGER_PYTHON_FOLDER}\ninclude-system-site-packages = false\n",
        ),
        *(PrivateFile(f"{_FOLDER}/bin/{program}", link="${STAGER_PYTHON}") for program in programs),
        # Not PYTHONPATH, with which .pth files would not be read; not a link, with which paths in them and in
        # tracebacks would be of here instead of the droplet's.
        PrivateFile(
            f"{_FOLDER}/{packages}/stager.pth",
            f'import site; site.addsitedir("${{STAGER_ROOT}}/{INSTALLED}/{packages}")\n',
        ),
        # What packages look for below sys.prefix.
        *(
            PrivateFile(f"{_FOLDER}/{name}", link=f"${{STAGER_ROOT}}/{INSTALLED}/{name}")
            for name in ("etc", "share")
        ),
    )


def process_environment(python_path: tuple[str, ...]) -> Mapping[str, str]:
    """Return what every process gets, those of a Procfile too."""
    environment = {
        "PATH": f"{ENVIRONMENT}/bin:${{STAGER_ROOT}}/{INSTALLED}/bin:${{PATH}}",
        "VIRTUAL_ENV": ENVIRONMENT,
        "PYTHONUNBUFFERED": "1",
        # A droplet does not change: what it would write into app/ depends on who starts it first.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if python_path:
        folders = ":".join(f"${{STAGER_ROOT}}/app/{path}".rstrip("/") for path in python_path)
        environment["PYTHONPATH"] = f"{folders}:${{PYTHONPATH}}"
    return environment

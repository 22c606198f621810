"""What a Python server loads: the application itself, or a generated module around what there is to serve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stager.errors import ConfigurationError
from stager.model.frozen import dataclass
from stager.model.plan import RenderedFile
from stager.servers.python_application import PROXIES, Interface, Mount, PythonApplication, PythonServer

FOLDER = "python"
MODULE = "stager_site"
#: Sends the static files, where the server does not.
STATIC: Mapping[Interface, str] = {"wsgi": "whitenoise", "asgi": "servestatic"}
#: Servers that send static files themselves.
SENDS_FILES = frozenset({"mod_wsgi"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a server has to load.

    Parameters
    ----------
    module, callable:
        What is imported, and the name in it, which may be dotted.
    is_factory:
        Whether that is to be called, without arguments.
    folders:
        Relative to the droplet: what has to be on ``sys.path``, the first one first, besides the
        application's root (the working directory).
    """

    module: str
    callable: str
    is_factory: bool = False
    folders: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``module:callable``."""
        return f"{self.module}:{self.callable}"

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders as words of an argv."""
        return tuple("${STAGER_ROOT}/" + folder for folder in self.folders)


def needs_site(application: PythonApplication) -> bool:
    """Whether a server cannot load the application as it is."""
    mount = application.mounts[0]
    return (
        len(application.mounts) > 1
        or bool(application.static)
        or mount.url != "/"
        or mount.is_file
        or not mount.callable.isidentifier()
    )


def target(application: PythonApplication, *, is_site: bool = False) -> Target:
    """Return what the server loads.

    Parameters
    ----------
    application:
        What is served.
    is_site:
        Whether the server needs the site in any case: one that can call no factory, or has no way to
        put folders on ``sys.path`` but one.
    """
    if is_site or needs_site(application):
        return Target(MODULE, "application", folders=(FOLDER,))
    (mount,) = application.mounts
    return Target(mount.module, mount.callable, mount.is_factory, _folders(application))


def load_values(application: PythonApplication) -> dict[str, Any]:
    """Return the values of ``waitress/load.py.j2``: what is loaded, and whom it believes about a request."""
    loaded = target(application)
    return {
        "module": loaded.module,
        "callable": loaded.callable,
        "is_factory": loaded.is_factory,
        "folders": loaded.folders,
        "proxies": ",".join(PROXIES),
    }


def site_files(application: PythonApplication, *, is_site: bool = False) -> tuple[RenderedFile, ...]:
    """Return the generated module, if it is needed; ``is_site`` as for :func:`target`."""
    if not is_site and not needs_site(application):
        return ()
    values: dict[str, Any] = {
        "mounts": [_mount_values(number, mount) for number, mount in enumerate(application.mounts)],
        "is_alone": len(application.mounts) == 1 and application.mounts[0].url == "/",
        "static": [{"url": one.url, "directory": one.directory} for one in application.static],
        "folders": (*_folders(application), "app"),
    }
    template = f"python_site/{application.interface}.py.j2"
    return (RenderedFile(f"{FOLDER}/{MODULE}.py", template, values),)


def distributions(server: PythonServer, application: PythonApplication) -> tuple[str, ...]:
    """Return what has to be installed for a server and an application, as :func:`pins_for` takes it."""
    found = tuple(server.distributions.get(application.interface, ()))
    if application.static and server.name not in SENDS_FILES:
        found += (STATIC[application.interface],)
    return found


def refuse_two_projects(application: PythonApplication) -> None:
    """Refuse what one interpreter cannot hold.

    Raises
    ------
    ConfigurationError
        Two Django projects, or two modules of one name in different folders.
    """
    resolution = (
        "Say server: mod_wsgi below python_wsgi: in stager.yml, which runs each in processes of its own."
        if application.interface == "wsgi"
        else "Make a droplet of each, and let the router choose by URL."
    )
    projects = [mount for mount in application.mounts if mount.is_django]
    if len(projects) > 1:
        raise ConfigurationError(
            f"The server cannot run {len(projects)} Django projects in one process.",
            details=_listed(projects),
            resolution=resolution,
        )
    by_name: dict[str, list[Mount]] = {}
    for mount in application.mounts:
        if not mount.is_file:
            by_name.setdefault(mount.module.partition(".")[0], []).append(mount)
    for name, mounts in by_name.items():
        if len({mount.folder for mount in mounts}) > 1:
            raise ConfigurationError(
                f"The server cannot run different modules of the name {name} in one process.",
                details=_listed(mounts),
                resolution=f"Rename one of them. Or: {resolution[0].lower()}{resolution[1:]}",
            )


def _listed(mounts: list[Mount]) -> str:
    return ", ".join(
        f"{mount.url}: {mount.module}" + (f" in {mount.folder}/" if mount.folder else "") for mount in mounts
    )


def _folders(application: PythonApplication) -> tuple[str, ...]:
    folders = dict.fromkeys(mount.folder for mount in application.mounts if mount.folder)
    return tuple(f"app/{folder}" for folder in folders)


def _mount_values(number: int, mount: Mount) -> dict[str, Any]:
    return {
        "prefix": "" if mount.url == "/" else mount.url,
        "module": f"stager_mount_{number}" if mount.is_file else mount.module,
        "path": f"app/{mount.module}" if mount.is_file else "",
        "callable": mount.callable,
        "is_factory": mount.is_factory,
    }

"""What of the upload is run: one application, several on several URLs, a script, or what a Procfile says."""

from __future__ import annotations

from collections.abc import Mapping

from stager.errors import ConfigurationError, NoStartCommand
from stager.model.frozen import dataclass
from stager.model.plan import Command
from stager.model.source_tree import SourceTree
from stager.plugins.python_wsgi.options import PythonOptions
from stager.plugins.python_wsgi.reading.django import DjangoProject, find_projects
from stager.plugins.python_wsgi.reading.entrypoint import (
    Found,
    find_application,
    read_entrypoint,
    read_mounts,
)
from stager.servers.python_application import Interface, Mount, StaticFolder


@dataclass(frozen=True, slots=True)
class Application:
    """What was found.

    Parameters
    ----------
    found:
        The applications, the longest URL first; one script; or nothing, where the user's own commands are all
        that is run.
    projects:
        The Django projects whose files are collected.
    """

    found: tuple[Found, ...]
    projects: tuple[DjangoProject, ...]

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What a server serves; empty for a script."""
        return tuple(found.mount for found in self.found if found.mount is not None)

    @property
    def script(self) -> Found | None:
        """The script that is run instead."""
        return next((found for found in self.found if found.mount is None), None)

    @property
    def interface(self) -> Interface:
        """What the mounts speak."""
        return self.found[0].interface


def read_application(
    source: SourceTree, options: PythonOptions, processes: Mapping[str, Command]
) -> Application:
    """Return what is run.

    Raises
    ------
    ConfigurationError
        An entry point of the settings is not there.
    NoStartCommand
        Nothing is, and no process of the user's either.
    """
    if options.mounts and options.entrypoint:
        raise ConfigurationError(
            "python_wsgi has both an entrypoint and mounts.",
            details=f"entrypoint: {options.entrypoint}; mounts: {', '.join(options.mounts)}",
            resolution="Write the entry point as a mount of its own: mounts: {/: …}.",
        )
    if "web" in processes:
        return Application((), find_projects(source))
    if options.mounts:
        found = read_mounts(source, options.mounts)
    elif options.entrypoint:
        found = (read_entrypoint(source, options.entrypoint),)
    else:
        try:
            found = (find_application(source),)
        except NoStartCommand:
            if not processes:
                raise
            return Application((), find_projects(source))
        if not found[0].is_web and processes:
            # What to run besides the web is the user's to say, and was said.
            return Application((), ())
    projects = tuple(one.project for one in found if one.project is not None)
    return Application(found, tuple(dict.fromkeys(projects)))


def static_folders(
    source: SourceTree, application: Application, options: PythonOptions
) -> tuple[tuple[StaticFolder, ...], tuple[str, ...]]:
    """Return the folders that the server sends itself (the user's, and what Django collects), and warnings.

    Raises
    ------
    ConfigurationError
        A folder is not there, or leaves the application.
    """
    folders: dict[str, str] = {}
    warnings = []
    for url, path in options.static.items():
        folder = path.strip("/").removeprefix("./")
        if not source.is_directory(folder) or ".." in folder.split("/"):
            made = ", ".join(name for name in source.children() if source.is_directory(name))
            raise ConfigurationError(
                f"python_wsgi.static: there is no folder {path!r} in the application.",
                details=f"It has: {made or 'no folders'}.",
                resolution=f"Correct the line for {url}, or add the folder.",
            )
        folders.setdefault(_normal(url), f"app/{folder}".rstrip("/"))
    for found in application.found:
        url, directory = _collected(found, options)
        before = folders.setdefault(url, directory) if url else directory
        if before != directory and directory.removeprefix("app/") not in options.static.values():
            warnings.append(
                f"{url}/ is already taken for {before}/: files of {directory}/ are not sent from there. Give "
                'the project another STATIC_URL, such as "static/" without a slash before it.'
            )
    ordered = sorted(folders.items(), key=lambda item: (-len(item[0]), item[0]))
    return tuple(StaticFolder(url=url, directory=path) for url, path in ordered if url), tuple(warnings)


def _collected(found: Found, options: PythonOptions) -> tuple[str, str]:
    """The URL of a Django project's collected files, and their folder; empty where nobody sends them."""
    project = found.project
    if project is None or found.mount is None or project.serves_static_itself:
        return "", ""
    if not (options.collectstatic and project.collects and project.static_root and project.static_url):
        return "", ""
    url = project.static_url
    # Django puts the mount's URL before one that does not begin with a slash.
    if not url.startswith("/"):
        url = f"{found.mount.url.rstrip('/')}/{url}"
    return _normal(url), f"app/{project.static_root}"


def _normal(url: str) -> str:
    return "/" + url.strip("/") if url.strip("/") else ""

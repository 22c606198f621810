"""A Python web application as its servers see it: one model, from which each makes its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from stager.model.frozen import dataclass
from stager.model.host import HostTool
from stager.model.plan import Process, RenderedFile

Interface = Literal["wsgi", "asgi"]
#: Whose word about a request's scheme and origin is taken: the addresses of the proxies that Apache's
#: configuration names too.
PROXIES = (
    "127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
    "127.0.0.0/8", "fc00::/7", "fe80::/10",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One application and the URL below which it answers.

    Parameters
    ----------
    url:
        ``/``, or a path without a trailing slash: ``/api``. It becomes ``SCRIPT_NAME``.
    module:
        What is imported: ``shop.wsgi``; or, where ``is_file``, a file relative to the application that no
        import finds (``hello.wsgi``, ``my-app.py``).
    callable:
        The name in it: ``application``.
    is_factory:
        Whether that is a function without arguments that returns the application.
    is_file:
        Whether ``module`` is a file's path.
    folder:
        Directory, relative to the application, from which ``module`` is imported; empty for its root.
    is_django:
        Whether it is a Django project, of which one interpreter can hold a single one.
    """

    url: str = "/"
    module: str
    callable: str
    is_factory: bool = False
    is_file: bool = False
    folder: str = ""
    is_django: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFolder:
    """Files that the server sends itself.

    ``url`` begins with ``/`` and has no trailing slash; ``directory`` is relative to the droplet:
    ``app/static``.
    """

    url: str
    directory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonApplication:
    """What is served, and how.

    Parameters
    ----------
    mounts:
        At least one, the longest URL first.
    interface:
        What all of them speak.
    static:
        The longest URL first.
    minor:
        The interpreter's version: ``3.11``.
    request_seconds:
        What one request may take before its worker is given up.
    grace:
        Seconds that requests in flight get when the droplet is stopped.
    python_path:
        Directories, relative to the application, that are on ``PYTHONPATH``, besides its root.
    user_configuration:
        Files of the user's for the server, relative to the application, in order (``gunicorn.conf.py``).
    """

    mounts: tuple[Mount, ...]
    interface: Interface
    minor: str
    static: tuple[StaticFolder, ...] = ()
    request_seconds: int = 60
    grace: float = 10.0
    python_path: tuple[str, ...] = ()
    user_configuration: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a server needs in a plan: its process, its files, its host tools.

    ``notes`` are what the user should know of it, and that ends nothing.
    """

    process: Process
    files: tuple[RenderedFile, ...] = ()
    tools: tuple[HostTool, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonServer:
    """A server for Python applications.

    Parameters
    ----------
    name:
        What ``python_wsgi.server`` says.
    interfaces:
        What it speaks.
    distributions:
        By interface, what has to be installed: normalised names that :data:`stager.servers.pins.PINS` has.
    serve:
        Makes the plan parts.
    """

    name: str
    interfaces: tuple[Interface, ...]
    serve: Callable[[PythonApplication], Served]
    distributions: Mapping[Interface, tuple[str, ...]] = field(default_factory=dict)


#: Where the interpreter of a started droplet is: a virtual environment that ``startup`` makes in its private
#: directory, around the interpreter that it found and the packages in ``deps/python``.
ENVIRONMENT = "${STAGER_SOCKETS}/python"
PYTHON = f"{ENVIRONMENT}/bin/python"
#: Threads of one worker, and workers of each mounted application.
THREADS_VARIABLE = "STAGER_THREADS"
GROUP_VARIABLE = "STAGER_PROCESSES"

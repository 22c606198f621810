"""How a callable that was found is imported."""

from __future__ import annotations

from stager.plugins.python_wsgi.reading.callables import Callable
from stager.plugins.python_wsgi.reading.modules import Modules
from stager.servers.python_application import Mount


def mount_of(modules: Modules, one: Callable) -> Mount:
    """The mount of a callable; by its file where no import finds the module (``my-app.py``, ``x.wsgi``)."""
    folder = modules.folder_of(one.path)
    name = modules.name_of(one.path, folder)
    if name is None:
        return Mount(module=one.path, callable=one.name, is_factory=one.is_factory, is_file=True)
    is_django = "get_wsgi_application" in one.why or "get_asgi_application" in one.why
    return Mount(
        module=name, callable=one.name, is_factory=one.is_factory, folder=folder, is_django=is_django
    )

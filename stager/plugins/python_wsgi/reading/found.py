"""What was found to be started."""

from __future__ import annotations

from stager.model.frozen import dataclass
from stager.plugins.python_wsgi.reading.django import DjangoProject
from stager.servers.python_application import Interface, Mount


@dataclass(frozen=True, slots=True)
class Found:
    """One application or program of a tree.

    Parameters
    ----------
    mount:
        The WSGI or ASGI application; None for a script.
    interface:
        What the application speaks; of a script, what its server serves as far as it can be told.
    script:
        The path of ``app.sh``, of a module that starts its own server, or of a plain program.
    is_web:
        False for a plain program, which listens nowhere.
    project:
        The Django project that it belongs to.
    why:
        For people: ``shop/wsgi.py line 12: application = get_wsgi_application()``.
    others:
        What else could have been meant, in the documented order.
    """

    mount: Mount | None
    interface: Interface
    script: str = ""
    is_web: bool = True
    project: DjangoProject | None = None
    why: str = ""
    others: tuple[str, ...] = ()

"""A stop that comes while workers are still being started: none of them is waited for until it is killed."""

from __future__ import annotations

import time

import pytest

from stager.servers.granian import GRANIAN
from stager.servers.gunicorn import GUNICORN
from stager.servers.python_application import Mount, PythonApplication

SOURCES = {
    "wsgi": """
        def application(environ, start_response):
            start_response("200 OK", [("Content-Length", "5")])
            return [b"hello"]
    """,
    "asgi": """
        async def application(scope, receive, send):
            if scope["type"] == "lifespan":
                raise RuntimeError("it has none")
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
            await send({"type": "http.response.body", "body": b"hello"})
    """,
}
CASES = [(GUNICORN, "wsgi"), (GUNICORN, "asgi"), (GRANIAN, "asgi")]


@pytest.mark.parametrize(
    ("server", "interface"),
    # granian forgets a TERM that comes between a WSGI worker's handler and its first connection.
    [pytest.param(one, name, id=f"{one.name}-{name}") for one, name in CASES],
)
def test_workers_that_have_only_just_been_started_end_too(droplet_of, server, interface):
    # A grace that nobody waits for: PATIENCE is less.
    mounts = (Mount(module="web", callable="application"),)
    application = PythonApplication(mounts=mounts, interface=interface, minor="3.11", grace=60)
    droplet = droplet_of(server, application, {"web.py": SOURCES[interface]})
    for number in range(4):
        with droplet.started(WEB_CONCURRENCY="6") as process:
            assert droplet.ask().text == "hello"
            time.sleep(0.02 * number)
            process.terminate()
            droplet.ends(0)

"""What waitress promises alone; what it promises as others do is in test_wsgi_servers.py."""

from __future__ import annotations

import signal

import pytest

from stager.servers.python_application import Mount, PythonApplication
from stager.servers.waitress import WAITRESS

APP = """
    import time

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            open("started", "w").close()
            time.sleep(SECONDS)
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]
"""


@pytest.fixture
def droplet(droplet_of):
    mount = Mount(module="web", callable="application")
    application = PythonApplication(mounts=(mount,), interface="wsgi", minor="3.11", grace=60)
    return lambda seconds=1: droplet_of(
        WAITRESS, application, {"web.py": APP.replace("SECONDS", str(seconds))}
    )


def test_a_second_term_ends_it_at_once(droplet):
    served = droplet(seconds=60)
    with served.started() as process:
        served.connect().request("GET", "/slow")
        served.wait_until((served.root / "app/started").exists)
        process.terminate()
        served.wait_until(lambda: process.terminate() or process.poll() is not None)
        assert served.ends() == -signal.SIGTERM


def test_what_waits_for_a_thread_is_answered_too(droplet, wait_until_read):
    served = droplet()
    with served.started(STAGER_THREADS="1") as process:
        connections = [served.connect() for _ in range(3)]
        for connection in connections:
            connection.request("GET", "/slow")
        served.wait_until((served.root / "app/started").exists)
        wait_until_read(*(connection.sock for connection in connections))
        process.terminate()
        assert [connection.getresponse().read() for connection in connections] == [b"hello"] * 3
        served.ends(0)


def test_it_has_one_process(droplet):
    served = droplet().served
    assert served.process.workers.most == 1
    assert "one process" in served.notes[0]

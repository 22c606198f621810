"""What granian, uwsgi and waitress promise alike: started, asked over HTTP, signalled."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys

import pytest

from stager.servers.granian import GRANIAN
from stager.servers.python_application import Mount, PythonApplication
from stager.servers.uwsgi import UWSGI
from stager.servers.waitress import WAITRESS

APP = """
    import json, sys, time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/crash":
            raise RuntimeError("a request of death")
        if path == "/slow":
            open("started", "w").close()
            time.sleep(1)
        body = b"x" * 8_000_000 if path == "/large" else b"hello"
        if path == "/length":
            body = str(len(environ["wsgi.input"].read())).encode()
        if path == "/seen":
            seen = [sys.prefix, sys.executable, sys.path, environ["wsgi.url_scheme"]]
            body = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def make():
        return application
"""
INNER = """
    def app(environ, start_response):
        body = (environ["SCRIPT_NAME"] + " " + environ["PATH_INFO"]).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""


def application(*mounts, grace=60):
    """An application with a grace that no test waits for: what ends in time has not waited for it."""
    mounts = mounts or (Mount(module="web", callable="application"),)
    return PythonApplication(mounts=mounts, interface="wsgi", minor="3.11", grace=grace)


@pytest.fixture(params=[GRANIAN, UWSGI, WAITRESS], ids=lambda server: server.name)
def server(request):
    return request.param


@pytest.fixture
def droplet(server, droplet_of):
    return droplet_of(server, application(), {"web.py": APP})


@contextlib.contextmanager
def serving(droplet, **variables):
    with droplet.started(**variables) as process:
        assert droplet.ask().text == "hello"
        # A worker that has not begun to serve overlooks what its parent tells it.
        if sign := {"uwsgi": "WSGI app 0", "granian": "Started worker-"}.get(droplet.server.name):
            droplet.wait_until(lambda: droplet.log().count(sign) == 2)
        yield process


def test_what_is_in_flight_is_finished_when_it_is_stopped(droplet, wait_until_read):
    with serving(droplet) as process:
        slow, half, large, idle = (droplet.connect() for _ in range(4))
        assert droplet.ask_on(idle).text == "hello"
        slow.request("GET", "/slow")
        half.putrequest("POST", "/length")
        half.putheader("Content-Length", "6")
        half.endheaders(b"abc")
        large.request("GET", "/large")
        droplet.wait_until((droplet.root / "app/started").exists)
        wait_until_read(half.sock, large.sock)
        process.send_signal(getattr(signal, f"SIG{droplet.served.process.stop_signal}"))
        answers = [large.getresponse().read()]
        half.send(b"def")
        answers += [connection.getresponse().read() for connection in (half, slow)]
        assert answers == [b"x" * 8_000_000, b"6", b"hello"], droplet.log()
        droplet.ends(0)
    assert droplet.served.process.drains


def test_an_idle_connection_does_not_delay_the_stop(droplet):
    with serving(droplet) as process:
        assert droplet.ask_on(droplet.connect()).text == "hello"
        process.terminate()
        droplet.ends(0)


@pytest.mark.parametrize("name", ["HUP", "USR1", "USR2", "KILL"])
def test_no_signal_to_the_first_process_leaves_others_behind(server, droplet_of, name):
    # A worker that is just being replaced may overlook TERM: it is killed after the grace.
    droplet = droplet_of(server, application(grace=5), {"web.py": APP})
    with serving(droplet, GRANIAN_RESPAWN_INTERVAL="0.1") as process:
        process.send_signal(getattr(signal, f"SIG{name}"))
        if name == "KILL":
            assert droplet.ends() == -signal.SIGKILL
        if name in droplet.served.process.ignored_signals:
            assert droplet.ask().text == "hello"
            assert process.poll() is None
        process.terminate()
        droplet.ends()


def test_an_application_that_cannot_be_imported_ends_it_with_the_reason(server, droplet_of):
    broken = droplet_of(server, application(), {"web.py": "raise RuntimeError('no database')"})
    with broken.started():
        assert broken.ends() != 0
        assert "RuntimeError: no database" in broken.log()


def test_it_sees_the_packages_of_the_droplet_only(droplet):
    with serving(droplet):
        prefix, executable, path, _ = json.loads(droplet.ask("/seen").text)
    assert prefix == f"{droplet.sockets}/python"
    assert executable == f"{droplet.sockets}/python/bin/python"
    assert [one for one in path if "site-packages" in one or "dist-packages" in one] == [
        f"{droplet.sockets}/python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    ]


def test_a_proxy_may_say_that_a_request_was_https_and_a_stranger_may_not(droplet):
    said = {"X-Forwarded-Proto": "https"}
    with serving(droplet):
        assert '"https"' in droplet.ask("/seen", headers=said).text
        assert '"http"' in droplet.ask("/seen").text
    with droplet.started(FORWARDED_ALLOW_IPS="192.0.2.1"):
        assert '"http"' in droplet.ask("/seen", headers=said).text


def test_requests_of_every_form_are_answered(droplet):
    with serving(droplet, STAGER_THREADS="1") as process:
        assert droplet.ask(headers={"X-Large": "a" * 30000}).status == 200
        assert droplet.ask("/crash").status == 500
        assert droplet.ask("/length", "POST", body=iter([b"abcde", b"fgh"])).text == "8"
        assert droplet.ask("/", "POST", body=b"z" * 300000).text == "hello"
        # What a worker has answered is written a moment later.
        droplet.wait_until(lambda: '"POST / HTTP/1.1" 200 ' in droplet.log("out"))
        process.terminate()
        droplet.ends()
        out = droplet.log("out")
        assert "127.0.0.1 - - [" in out, "the log of requests is on stdout"
        assert '"POST /length HTTP/1.1" 200 ' in out
        assert '"GET /crash HTTP/1.1" 500 ' in out
        assert "a request of death" in droplet.log()


def test_it_listens_on_an_address_of_ipv6_and_calls_a_factory(server, droplet_of):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    mount = Mount(module="web", callable="make", is_factory=True)
    droplet = droplet_of(server, application(mount), {"web.py": APP})
    with droplet.started(VCAP_APP_HOST="::1"):
        assert droplet.ask().text == "hello"


def test_mounts_and_folders_are_found(server, droplet_of):
    mounts = (
        Mount(url="/api", module="api", callable="app", folder="inner"),
        Mount(module="web", callable="application"),
    )
    droplet = droplet_of(server, application(*mounts), {"web.py": APP, "inner/api.py": INNER})
    with droplet.started():
        assert droplet.ask("/api/items").text == "/api /items"
        assert droplet.ask().text == "hello"

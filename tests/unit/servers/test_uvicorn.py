"""uvicorn as it is started: asked over HTTP, signalled."""

from __future__ import annotations

import http.client
import signal
import socket
import time

import pytest

from stager.servers.python_application import Mount, PythonApplication, StaticFolder
from stager.servers.uvicorn import UVICORN

APP = """
    import asyncio, ctypes, os

    STARTED = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            STARTED.append(True)
            scope["state"]["name"] = __name__
            await send({"type": "lifespan.startup.complete"})
            await receive()
            open("shut-down-" + __name__, "w").close()
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            open("started", "w").close()
            await asyncio.sleep(0.6)
        if scope["path"] == "/busy":
            ctypes.PyDLL(None).usleep(60000000)  # no other thread runs meanwhile
        shown = [os.getpid(), len(STARTED), scope["root_path"], scope["path"], scope["state"]["name"]]
        body = " ".join(map(str, [*shown, scope["scheme"], scope["client"][0]])).encode()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""
FAILING = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "there is no database"})
"""
ASGI = PythonApplication(
    mounts=(Mount(module="web", callable="app"),), interface="asgi", minor="3.11", grace=60
)


@pytest.fixture
def droplet(droplet_of):
    return lambda application, sources: droplet_of(UVICORN, application, sources)


# ---- serving


@pytest.mark.parametrize(("workers", "processes"), [("1", 1), ("2", 4)])
def test_as_many_workers_serve_as_startup_says(droplet, workers, processes):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        assert served.ask("/a%20b/%C3%A9").text.split(" ", 1)[1] == "1  /a b/é web http 127.0.0.1"
        # With several there are a parent and Python's resource tracker.
        served.wait_until(lambda: len(served.members()) == processes)
        process.terminate()
        served.ends()
    assert (served.root / "app/shut-down-web").exists()


def test_a_router_is_believed_who_asked_and_how(droplet):
    served = droplet(ASGI, {"web.py": APP})
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9, 198.51.100.7, 10.1.2.3"}
    with served.started(WEB_CONCURRENCY="1"):
        assert served.ask(headers=said).text.split(" ")[-2:] == ["https", "198.51.100.7"]


def test_it_listens_by_ipv6_where_startup_says_so(droplet):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    served = droplet(ASGI, {"web.py": APP})
    with served.started(VCAP_APP_HOST="::1", WEB_CONCURRENCY="1"):
        assert served.ask().status == 200


def test_a_factory_in_a_folder_needs_no_generated_module(droplet):
    mount = Mount(module="web", callable="make", is_factory=True, folder="site")
    application = PythonApplication(mounts=(mount,), interface="asgi", minor="3.11")
    served = droplet(application, {"site/web.py": APP + "\n    def make():\n        return app\n"})
    with served.started():
        assert served.ask().status == 200
    assert not (served.root / "python").exists()


def test_mounts_files_and_static_files_are_served_together_and_every_lifespan_is_run(droplet):
    application = PythonApplication(
        mounts=(
            Mount(url="/api", module="my-api.py", callable="app", is_file=True),
            Mount(module="web", callable="app"),
        ),
        interface="asgi",
        minor="3.11",
        static=(StaticFolder(url="/static", directory="app/assets"),),
    )
    served = droplet(application, {"web.py": APP, "my-api.py": APP, "assets/a b.txt": "static"})
    with served.started(WEB_CONCURRENCY="1") as process:
        assert served.ask("/api/x").text.split(" ")[1:5] == ["1", "/api", "/api/x", "stager_mount_0"]
        assert served.ask("/apis").text.split(" ")[1:5] == ["1", "", "/apis", "web"]
        assert served.ask("/static/a%20b.txt").text == "static"
        assert served.ask("/static/missing").text.split(" ")[3] == "/static/missing"
        process.terminate()
        served.ends()
    assert {path.name for path in (served.root / "app").glob("shut-down-*")} == {
        "shut-down-web",
        "shut-down-stager_mount_0",
    }


def test_an_application_that_does_not_start_ends_the_server_and_says_why(droplet):
    application = PythonApplication(
        mounts=(Mount(url="/api", module="api", callable="app"), Mount(module="web", callable="app")),
        interface="asgi",
        minor="3.11",
    )
    served = droplet(application, {"web.py": APP, "api.py": FAILING})
    with served.started(WEB_CONCURRENCY="1"):
        assert served.ends() != 0
    assert "there is no database" in served.log()


def test_a_worker_is_given_up_after_the_time_that_a_request_may_take_and_not_before(droplet):
    application = PythonApplication(mounts=ASGI.mounts, interface="asgi", minor="3.11", request_seconds=4)
    served = droplet(application, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="2"):
        served.ask()
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            served.ask("/busy")
    assert UVICORN.serve(ASGI).process.environment["UVICORN_TIMEOUT_WORKER_HEALTHCHECK"] == "60"


def test_the_check_says_whether_it_can_be_run(droplet):
    served = droplet(ASGI, {"web.py": "raise RuntimeError\n"})
    assert served.check().returncode == 0


# ---- stopping


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("signals", [["TERM"], ["TERM", "TERM"]], ids="-".join)
def test_a_request_in_flight_is_answered_and_nothing_is_left(droplet, workers, signals):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        served.ask()
        with served.asking_slowly() as answer:
            for name in signals:
                process.send_signal(getattr(signal, f"SIG{name}"))
                time.sleep(0.2)
            assert answer.result().status == 200
        served.ends(0, -signal.SIGTERM)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_hup_usr1_and_usr2_end_nothing(droplet, workers):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY=workers) as process:
        served.ask()
        for name in served.served.process.ignored_signals:
            process.send_signal(getattr(signal, f"SIG{name}"))
            time.sleep(0.3)  # of what it dies, it dies soon
            assert served.ask().status == 200
        process.terminate()
        served.ends()


def test_several_workers_answer_at_once_and_do_not_wait_for_acknowledgements(droplet):
    served = droplet(ASGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="2"):
        served.ask()
        connection = served.connect()
        spent = []
        for _ in range(40):
            begin = time.monotonic()
            served.ask_on(connection)
            spent.append(time.monotonic() - begin)
        # A delayed acknowledgement takes 40 ms, each; the first ones are never delayed.
        assert min(spent[20:]) < 0.03

"""gunicorn as it is generated: started, asked over HTTP, signalled."""

from __future__ import annotations

import signal
import socket
import time
from dataclasses import replace

import pytest

from stager.errors import ConfigurationError
from stager.servers.gunicorn import GUNICORN, stop_seconds
from stager.servers.python_application import Mount, PythonApplication, StaticFolder

APP = """
    import os, time

    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/slow":
            open("started", "w").close()
            time.sleep(0.6)
        start_response("200 OK", [("Content-Type", "text/plain")])
        said = environ["wsgi.multithread"], environ["wsgi.url_scheme"]
        return [" ".join(map(str, [os.getpid(), environ["SCRIPT_NAME"], path, *said])).encode("latin-1")]
"""
ASYNC_APP = """
    import asyncio, os

    STARTED = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            STARTED.append(True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            open("shut-down", "w").close()
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            open("started", "w").close()
            await asyncio.sleep(0.6)
        body = b"%d %d" % (os.getpid(), len(STARTED))
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
"""
WSGI = PythonApplication(
    mounts=(Mount(module="web", callable="application"),), interface="wsgi", minor="3.11", grace=60
)
ASGI = PythonApplication(
    mounts=(Mount(module="web", callable="app"),), interface="asgi", minor="3.11", grace=60
)


@pytest.fixture
def droplet(droplet_of):
    return lambda application, sources: droplet_of(GUNICORN, application, sources)


# ---- serving


def test_a_wsgi_application_is_served_by_threads_of_as_many_processes_as_startup_says(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="3"):
        answer = served.ask("/a%20b/%C3%A9?x=1")
        assert answer.status == 200
        assert answer.text.split(" ", 1)[1] == " /a b/é True http"
        served.wait_until(lambda: len(served.members()) == 4)
        assert "Using worker: gthread" in served.log()
        served.wait_until(lambda: '"GET /a%20b/%C3%A9?x=1 HTTP/1.1" 200' in served.log("out"))
    assert sorted(path.name for path in (served.root / "app").iterdir()) == ["web.py"]


def test_connections_are_kept_longer_than_a_router_keeps_them_and_share_the_threads(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(WEB_CONCURRENCY="1", STAGER_THREADS="2"):
        served.ask()
        idle = [served.connect() for _ in range(8)]
        names = []
        for pause in (2.5, 0):  # gunicorn's own keepalive is 2 s
            for connection in idle:
                assert served.ask_on(connection).status == 200
            names.append([connection.sock.getsockname() for connection in idle])
            time.sleep(pause)
        assert names[0] == names[1]


def test_it_listens_by_ipv6_where_startup_says_so(droplet):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    served = droplet(WSGI, {"web.py": APP})
    with served.started(VCAP_APP_HOST="::1", WEB_CONCURRENCY="1"):
        assert served.ask().status == 200


def test_factories_folders_files_mounts_and_static_files_are_served_together(droplet):
    application = PythonApplication(
        mounts=(
            Mount(url="/shop/api", module="api.views", callable="make", is_factory=True, folder="back/end"),
            Mount(url="/shop", module="the-shop.wsgi", callable="application", is_file=True),
            Mount(module="web", callable="application"),
        ),
        interface="wsgi",
        minor="3.11",
        static=(StaticFolder(url="/static", directory="app/assets"),),
    )
    sources = {
        "web.py": APP,
        "the-shop.wsgi": APP,
        "back/end/api/views.py": APP + "\n    def make():\n        return application\n",
        "assets/a b.txt": "static",
    }
    served = droplet(application, sources)
    with served.started():
        assert served.ask("/shop/api/x").text.split(" ")[1:3] == ["/shop/api", "/x"]
        assert served.ask("/shop/apis").text.split(" ")[1:3] == ["/shop", "/apis"]
        assert served.ask("/shops").text.split(" ")[1:3] == ["", "/shops"]
        assert served.ask("/static/a%20b.txt").text == "static"
        assert served.ask("/static/missing").text.split(" ")[2] == "/static/missing"


def test_a_factory_in_a_folder_needs_no_generated_module(droplet):
    mount = Mount(module="web", callable="make", is_factory=True, folder="site")
    application = PythonApplication(mounts=(mount,), interface="wsgi", minor="3.11")
    served = droplet(application, {"site/web.py": APP + "\n    def make():\n        return application\n"})
    with served.started():
        assert served.ask().status == 200
    assert not (served.root / "python").exists()


def test_an_asgi_application_is_served_with_its_lifespan(droplet):
    served = droplet(ASGI, {"web.py": ASYNC_APP})
    with served.started() as process:
        assert served.ask().text.endswith(" 1")
        assert "Using worker: uvicorn_worker.UvicornWorker" in served.log()
        process.terminate()
        served.ends(0)
    assert (served.root / "app/shut-down").exists()


def test_a_router_is_believed_that_the_request_was_https_and_nobody_about_the_path(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started():
        said = {"X-Forwarded-Proto": "https", "SCRIPT_NAME": "/x", "PATH_INFO": "/y"}
        assert served.ask("/z", headers=said).text.split(" ")[1:] == ["", "/z", "True", "https"]
    with served.started(FORWARDED_ALLOW_IPS="192.0.2.1"):
        assert served.ask("/z", headers=said).text.endswith("http")


# ---- what the user says


def test_every_setting_of_the_users_wins_but_where_it_listens(droplet):
    application = PythonApplication(
        mounts=WSGI.mounts,
        interface="wsgi",
        minor="3.11",
        user_configuration=("gunicorn.conf.py", ".stager/gunicorn.conf.py"),
    )
    sources = {
        "web.py": APP,
        "other.py": APP.replace('"200 OK"', '"203 Other"'),
        "gunicorn.conf.py": """
            import os
            workers, bind, worker_class, wsgi_app = 3, "127.0.0.1:1", "gevent", "other:application"
            raw_env = ["SAID=by the user"]
            WHERE = os.path.join(os.path.dirname(__file__), "forked")
            def post_fork(server, worker):
                with open(WHERE, "a") as out:
                    out.write(os.environ["SAID"] + "\\n")
        """,
        ".stager/gunicorn.conf.py": 'worker_class = "sync"\n',
    }
    served = droplet(application, sources)
    with served.started(WEB_CONCURRENCY="1"):
        answer = served.ask()
        assert answer.status == 203
        assert " False " in answer.text  # sync
        forked = served.root / "app/forked"
        served.wait_until(lambda: forked.read_text().splitlines() == ["by the user"] * 3)
        assert len(served.members()) == 4
        assert "app/gunicorn.conf.py: bind is left to startup" in served.log()


def test_gunicorns_own_variable_is_heard(droplet):
    served = droplet(WSGI, {"web.py": APP})
    with served.started(GUNICORN_CMD_ARGS="--workers 1 --threads 1 --worker-class sync"):
        assert " False " in served.ask().text
        assert len(served.members()) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workers = -1", "app/.stager/gunicorn.conf.py: gunicorn does not take workers = -1: "),
        ("timeout = 'soon'", "app/.stager/gunicorn.conf.py: gunicorn does not take timeout = 'soon': "),
        ("worker_class = 'gevnt'", "app/.stager/gunicorn.conf.py: "),
        ("import missing_module", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
        ("workers =", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
        ("import sys; sys.exit()", "app/.stager/gunicorn.conf.py cannot be read as settings of gunicorn"),
    ],
)
def test_the_check_fails_for_a_wrong_setting_and_names_its_file(droplet, text, said):
    application = PythonApplication(
        mounts=WSGI.mounts,
        interface="wsgi",
        minor="3.11",
        user_configuration=("gunicorn.conf.py", ".stager/gunicorn.conf.py"),
    )
    served = droplet(application, {"gunicorn.conf.py": "", ".stager/gunicorn.conf.py": text})
    done = served.check()
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_the_check_does_not_load_the_application(droplet, application):
    served = droplet(application, {"web.py": "open('loaded', 'w').close()\nraise RuntimeError\n"})
    done = served.check()
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert not (served.root / "app/loaded").exists()


def test_an_application_that_cannot_be_loaded_ends_the_start_with_its_traceback(droplet):
    served = droplet(WSGI, {"web.py": "import missing_module\n"})
    with served.started():
        assert served.ends() != 0
    assert "No module named 'missing_module'" in served.log()
    assert 'web.py", line 1' in served.log()


def test_two_django_projects_are_refused():
    mounts = tuple(
        Mount(url=url, module=f"{name}.wsgi", callable="application", is_django=True)
        for url, name in (("/a", "a"), ("/b", "b"))
    )
    with pytest.raises(ConfigurationError) as raised:
        GUNICORN.serve(PythonApplication(mounts=mounts, interface="wsgi", minor="3.11"))
    assert "mod_wsgi" in raised.value.resolution


# ---- stopping


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("signals", [["TERM"], ["TERM", "TERM"], ["HUP", "TERM"]], ids="-".join)
def test_a_request_in_flight_is_answered_and_nothing_is_left(droplet, application, signals):
    served = droplet(application, {"web.py": APP if application is WSGI else ASYNC_APP})
    with served.started() as process:
        served.ask()
        with served.asking_slowly() as answer:
            for name in signals:
                process.send_signal(getattr(signal, f"SIG{name}"))
                time.sleep(0.2)
            assert answer.result().status == 200
        served.ends(0)


@pytest.mark.parametrize("application", [WSGI, ASGI], ids=["wsgi", "asgi"])
def test_hup_makes_new_workers_usr1_keeps_them_and_quit_ends_all(droplet, application):
    # A worker of uvicorn's overlooks QUIT: it is waited for, until it is killed.
    served = droplet(replace(application, grace=5), {"web.py": APP if application is WSGI else ASYNC_APP})
    with served.started() as process:
        served.ask()
        served.wait_until(lambda: len(served.members()) == 3)
        before = served.members()
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.3)  # if it made new ones, that would be seen a moment later
        assert served.ask().status == 200
        assert served.members() == before
        process.send_signal(signal.SIGHUP)
        served.wait_until(lambda: len(served.members()) == 3 and served.members() & before == {process.pid})
        assert served.ask().status == 200
        process.send_signal(signal.SIGQUIT)
        served.ends(0)


def test_the_server_gives_up_before_stop_does():
    assert [stop_seconds(grace) for grace in (0.1, 1, 2.5, 10, 30)] == [1, 1, 1, 9, 29]

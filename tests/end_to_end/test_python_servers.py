"""One application under every server: the same answers, the same surroundings, the same end."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
WSGI_SERVERS = ["gunicorn", "mod_wsgi", "waitress", "uwsgi", "granian"]
ASGI_SERVERS = ["gunicorn", "uvicorn", "granian"]
EVERY_BYTE = bytes(range(256)) * 300
AWKWARD = {
    "VCAP_SERVICES": '{"db": [{"name": "a  b", "password": "it\'s \\"quoted\\" $HOME `id`"}]}' + " " * 20_000,
    "VCAP_APPLICATION": "żółć ☃ \U0001f600",
    "LINES_OF": "first\nsecond\n\n",
    "NOTHING": "",
    "PERCENT": "100% %{HOME} ;<Directory> # ! \\n \\",
    "NO_UTF8": b"\xff\xfe\x80".decode("utf-8", "surrogateescape"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where droplets are kept that several tests start."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def archive(kept, build):
    """The droplet of a fixture for a server, built once."""

    def do(name, server):
        path = kept / f"{name}-{server}.tar.gz"
        if not path.exists():
            source = FIXTURES / f"python_wsgi_{name}"
            _, seen = build(source, "--set", f"python_wsgi.server={server}", name=path)
            assert f"server: {server}" in seen
            assert "because python_wsgi.server says so" in seen
        return path

    return do


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_flask_is_the_same_under_every_server(archive, unpack, start, account, server):
    droplet = unpack(archive("flask", server), account=account)
    site = start(droplet, account=account, environment=AWKWARD)
    assert_answers(site)
    if server != "granian":  # which makes an empty text of such a value
        assert echo(site, "/echo/x", headers={"X-Custom": "caf\xe9"})["custom"] == "caf\xe9"
    assert_environment(site)
    assert_isolated(site, droplet)
    assert_request_in_flight_finishes(site)
    assert "the reason why" in site.said()
    assert "password" not in site.said()


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_signals_leave_nothing(archive, unpack, start, account, server):
    site = start(unpack(archive("flask", server), account=account), account=account)
    private = Path(json.loads(site.get("/facts").text)["prefix"]).parent
    assert private.name.startswith("stager.")
    for number in (signal.SIGHUP, signal.SIGUSR1):
        if site.process.poll() is None:
            site.process.send_signal(number)
            time.sleep(0.4)
    # Loading the application anew takes its time; a signal that comes meanwhile may end it.
    deadline = time.monotonic() + 60
    while not (is_serving := answers(site)) and site.process.poll() is None:
        assert time.monotonic() < deadline, site.said()
        time.sleep(0.1)
    if is_serving:
        site.begin("/slow")
        for _ in range(2):
            site.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
    # granian overlooks TERM while it replaces its workers.
    while site.process.poll() is None and time.monotonic() < deadline:
        site.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            site.process.wait(2)
    assert site.process.poll() is not None, site.said()
    # Before ./stop has a chance to look for anything.
    deadline = time.monotonic() + 30
    while not site.is_port_free() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert site.is_port_free()
    assert site.stop().returncode == 0
    assert not private.exists()
    assert not (site.directory / "run.pid").exists()


@pytest.mark.parametrize("server", ASGI_SERVERS)
def test_fastapi_is_the_same_under_every_server(archive, unpack, start, account, server):
    site = start(unpack(archive("fastapi", server), account=account), account=account)
    assert json.loads(site.get("/").text) == {"message": "Hello from FastAPI", "started": 1}
    item = site.get("/items/caf%C3%A9?q=a%20b", headers={"X-Forwarded-Proto": "https"})
    assert json.loads(item.text) == {"name": "café", "q": "a b", "scheme": "https"}
    headers = {"Content-Type": "application/json"}
    made = site.get("/items", "POST", headers, b'{"name": "book", "price": 3}')
    assert (made.status, json.loads(made.text)) == (201, {"name": "book", "price": 3.0})
    assert site.get("/items", "POST", headers, b'{"name": 1}').status == 422
    assert site.get("/nothing").status == 404
    assert_request_in_flight_finishes(site, '"finished"')


def test_started_as_root_mod_wsgi_drops_its_privileges(archive, unpack, start, unprivileged_user):
    site = start(unpack(archive("flask", "mod_wsgi")))
    facts = json.loads(site.get("/facts").text)
    assert (facts["user"], facts["uid"]) == ("www-data", facts["uid"])
    assert facts["uid"] != 0


def test_started_as_root_gunicorn_warns_and_serves(archive, unpack, start, unprivileged_user):
    site = start(unpack(archive("flask", "gunicorn")))
    assert json.loads(site.get("/facts").text)["user"] == "root"
    site.stop()
    site.process.wait(20)
    assert "root" in site.said()


@pytest.mark.parametrize("server", ["gunicorn", "mod_wsgi"])
def test_processes_come_from_the_memory_and_web_concurrency_wins(archive, unpack, start, account, server):
    droplet = unpack(archive("flask", server), account=account)
    cores = len(os.sched_getaffinity(0))
    for given, expected in (
        ({"MEMORY_LIMIT": "1G"}, min(4, 2 * cores + 1)),
        ({"MEMORY_LIMIT": "512M", "WEB_CONCURRENCY": "3"}, 3),
    ):
        site = start(droplet, account=account, environment=given)
        assert json.loads(site.get("/facts").text)["environment"]["WEB_CONCURRENCY"] == str(expected)
        deadline = time.monotonic() + 60
        while count_workers(site, server) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        assert count_workers(site, server) == expected, given
        assert site.stop().returncode == 0
        site.process.wait(20)


@pytest.mark.parametrize("server", WSGI_SERVERS)
def test_a_droplet_runs_at_a_path_of_odd_characters_and_read_only(
    archive, unpack, start, tmp_path, account, server
):
    name = """o'dd "pa:th" $HOME & café\n;#"""
    droplet = unpack(archive("flask", server), name)
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    before = sorted(str(path) for path in droplet.rglob("*"))
    site = start(droplet, account=account, environment={"STAGER_RUN_DIR": str(state)})
    facts = json.loads(site.get("/facts").text)
    assert facts["environment"]["HOME"] == f"{droplet}/app"
    assert "/deps/python/lib/" in facts["flask"]
    assert facts["child"] == [facts["flask"], facts["prefix"]], facts["child_error"]
    assert site.get("/static/site.css").status == 200
    assert sorted(str(path) for path in droplet.rglob("*")) == before


def assert_answers(site):
    front = site.get("/")
    assert front.status == 200
    assert header(front, "Content-Type") == "text/html; charset=utf-8"
    head = site.get("/", "HEAD")
    assert (head.status, head.body, header(head, "Content-Length")) == (200, b"", str(len(front.body)))
    assert site.get("/static/site.css").text == "h1 { color: teal }\n"

    query = "x=1&x=2&empty=&plus=a+b&percent=%2F%3D%25&caf%C3%A9=%E2%98%83"
    got = echo(site, f"/echo/a?{query}")
    assert got["query"] == query
    assert got["arguments"] == {
        "x": ["1", "2"], "empty": [""], "plus": ["a b"], "percent": ["/=%"], "café": ["☃"]
    }  # fmt: skip
    for path, rest in {
        "/echo/caf%C3%A9/%E2%98%83": "café/☃",
        "/echo/a%2Fb": "a/b",
        "/echo/a%20b+c": "a b+c",
        "/echo/100%25": "100%",
        "/echo/semi;colon=1,2": "semi;colon=1,2",
        "/echo/": "",
        "/echo/.hidden": ".hidden",
        "/echo/file.php": "file.php",
    }.items():
        assert echo(site, path)["rest"] == rest, path

    for method in ("POST", "PUT", "PATCH", "DELETE"):
        got = echo(site, "/echo/body", method, {"Content-Type": "application/x-own"}, EVERY_BYTE)
        assert (got["method"], got["type"]) == (method, "application/x-own")
        assert base64.b64decode(got["body"]) == EVERY_BYTE
    got = echo(site, "/echo/body", "POST", {"Content-Type": "a/b"}, iter([EVERY_BYTE, b"end"]))
    assert base64.b64decode(got["body"]) == EVERY_BYTE + b"end", "chunked"

    got = echo(site, "/echo/x", headers={"X-Custom": 'it is "quoted"; {x} %41', "Cookie": "a=1; b=2"})
    assert got["custom"] == 'it is "quoted"; {x} %41'
    assert got["cookies"] == {"a": "1", "b": "2"}
    assert got["scheme"] == "http"
    assert got["script"] == ""
    assert echo(site, "/echo/x", headers={"X-Custom": "v" * 6000})["custom"] == "v" * 6000
    behind = echo(site, "/echo/x", headers={"X-Forwarded-Proto": "https", "Host": "shop.example"})
    assert (behind["scheme"], behind["host"]) == ("https", "shop.example")
    assert len(cookies(site, "/echo/x")) == 2

    assert site.get("/nothing").status == 404
    assert site.get("/", "POST", body=b"").status == 405
    assert header(site.get("/", "OPTIONS"), "Allow").count("GET") == 1
    assert site.get("/boom").status == 500
    assert "the reason why" not in site.get("/boom").text
    assert site.get("/status/418").text == "status 418"
    for code in (204, 304):
        assert (site.get(f"/status/{code}").status, site.get(f"/status/{code}").body) == (code, b"")
    assert site.get("/large").body == b"x" * 65536 * 48


def assert_environment(site):
    for name, value in AWKWARD.items():
        got = json.loads(site.get(f"/environment/{name}").text)["value"]
        assert got is not None, name
        assert base64.b64decode(got) == value.encode("utf-8", "surrogateescape"), name
    assert json.loads(site.get("/environment/NOT_SET").text)["value"] is None


def assert_isolated(site, droplet):
    facts = json.loads(site.get("/facts").text)
    installed = f"{droplet}/deps/python/lib/python{facts['version'].rpartition('.')[0]}/site-packages"
    assert facts["flask"] == f"{installed}/flask/__init__.py"
    assert facts["prefix"].startswith("/tmp/stager.")
    assert facts["base"] != facts["prefix"]
    assert [path for path in facts["path"] if "dist-packages" in path] == []
    assert facts["child"] == [facts["flask"], facts["prefix"]], facts["child_error"]
    assert facts["cwd"] == f"{droplet}/app"
    environment = facts["environment"]
    assert environment["HOME"] == f"{droplet}/app"
    assert environment["TMPDIR"] == f"{droplet}/tmp"
    assert environment["PORT"] == environment["VCAP_APP_PORT"] == str(site.port)
    # Nothing was written where the application is.
    assert list((droplet / "app").rglob("*.pyc")) == []


def assert_request_in_flight_finishes(site, expected="finished"):
    finish = site.begin("/slow")
    stopped = site.stop()
    assert stopped.returncode == 0, stopped.stderr
    answer = finish()
    assert (answer.status, answer.text.strip()) == (200, expected)
    assert site.process.wait(20) == 0
    assert site.is_port_free()
    assert not (site.directory / "run.pid").exists()


def count_workers(site, server):
    """Processes that run the application: gunicorn's, or those that mod_wsgi has named."""
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
    name = {"gunicorn": "-m\0gunicorn", "mod_wsgi": "(wsgi:"}[server]
    return sum(name in Path(f"/proc/{pid}/cmdline").read_text() for pid in children)


def echo(site, path, method="GET", headers=None, body=None):
    answer = site.get(path, method, headers, body)
    assert answer.status == 200, (method, path, answer.status, answer.body[:300])
    assert header(answer, "X-Answered") == "yes"
    return json.loads(answer.text)


def cookies(site, path):
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers.get_all("Set-Cookie")


def header(answer, name):
    """One header; servers spell names as they like."""
    return {key.lower(): value for key, value in answer.headers.items()}[name.lower()]


def answers(site):
    try:
        return site.get("/").status == 200
    except (OSError, http.client.HTTPException):
        return False

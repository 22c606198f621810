"""Python applications of every kind, built without configuration, started elsewhere, and asked."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
EXAMPLE = Path(__file__).parents[2] / "examples/python"

#: The folder of an application, a piece of its front page, and what people are told of it during the build.
#: Where there is no such piece, unpacking it once more, the 5000 files of Django, would tell nothing new.
SERVED = {
    "flask": (
        "Flask, staged",
        ["app.py line 12: app = Flask(__name__)", "server: gunicorn", "added: gunicorn=="],
    ),
    "django_nested": (
        "",
        [
            "backend/manage.py",
            "server: gunicorn, because requirements.txt line 2 asks",
            "django.contrib.staticfiles is not in INSTALLED_APPS",
        ],
    ),
    "fastapi": ("Hello from FastAPI", ["main.py line 23: app = FastAPI", "uvicorn-worker==", "uvicorn=="]),
    "example": (
        "A droplet",
        ["app.py line 13: app = Flask(__name__)", "whitenoise==", "/static/ from app/static/"],
    ),
    "falcon": ("Paradise", ["wsgi.py line 9: application = falcon.App()", "added: gunicorn=="]),
    "bare": ("Nothing but WSGI: żółć", ["wsgi.py line 6", "requirements: none", "added: gunicorn=="]),
    "bare_asgi": ("Nothing but ASGI", ["main.py line 4", "uvicorn=="]),
    "factory": ("made by a factory, with a key of 3", ["notes/__init__.py line 6: def create_app("]),
    "setup_py": ("a guestbook", ["guestbook.py line 3", "requirements: setup.py"]),
    "own_server": ("my own server", ["app.py line 18", "requirements: none"]),
    "script": ("started by app.sh", ["app.sh is executable"]),
    "src_layout": ("Handle with care", ["src/bookshop/web.py line 8", "uv.lock"]),
    "poetry": ("bottle 0.13.4, locked by poetry", ["poetry.lock"]),
    "pipenv": ("bottle 0.13.4, locked by pipenv", ["Pipfile.lock"]),
    "pdm": ("bottle 0.13.4, locked by pdm", ["pdm.lock"]),
    "extension": ("compiled here: 42", ["app.py line 4", "quick-sums==0.1"]),
    "includes": ("bottle 0.13.4", ["requirements/base.txt", "requirements/constraints.txt"]),
}


@pytest.mark.parametrize("name", SERVED)
def test_it_is_built_without_configuration_and_serves(build, unpack, start, tmp_path, account, name):
    front_page, told = SERVED[name]
    source = EXAMPLE if name == "example" else FIXTURES / f"python_wsgi_{name}"
    before = sorted(source.rglob("*"))
    report, seen = build(source, "--verify", "boot")
    assert report["runtimes"] == ["python_wsgi"]
    assert report["verification"]["boot"]["status"] == "served"
    assert report["verification"]["boot"]["http_status"] == 200
    findings = report["verification"]["findings"]
    # A program that brings its own server may die on TERM with a request in flight: that is its author's.
    bad = [one for one in findings if one["level"] in {"error", "warning"} and one["check"] != "in-flight"]
    assert bad == []
    assert [text for text in report["warnings"] if not text.startswith("in-flight: ")] == []
    for text in told:
        assert text in seen
    assert sorted(source.rglob("*")) == before

    if not front_page:
        return  # that it has answered once is enough
    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    assert front_page in site.get("/").text
    assert site.stop().returncode == 0
    # A server of the application's own may know nothing of signals.
    assert site.process.wait(30) in ({0, -signal.SIGTERM} if name in {"own_server", "script"} else {0})
    assert site.is_port_free()


def test_django_has_its_static_files_and_is_migrated_by_nobody_but_a_process(
    build, unpack, start, tmp_path, account
):
    report, seen = build(FIXTURES / "python_wsgi_django")
    assert sorted(report["processes"]) == ["release", "web"]
    assert "static files: /static/ from app/staticfiles/" in seen
    assert "collectstatic: into staticfiles/" in seen
    assert "static files copied" in seen

    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    site = start(droplet, account=account)
    assert "/static/catalogue/site.css" in site.get("/").text
    style = site.get("/static/catalogue/site.css")
    assert (style.status, style.text) == (200, "h1 { color: olive }\n")
    assert style.headers["Content-Type"].startswith("text/css")
    assert site.get("/static/admin/css/base.css").status == 200
    assert site.get("/static/missing.css").status == 404
    assert site.get("/static/../shop/settings.py").status == 404
    assert site.get("/static/%2e%2e/shop/settings.py").status in {400, 404}
    login = site.get("/admin/login/")
    assert login.status == 200
    assert "/static/admin/css/login.css" in login.text
    assert site.get("/", headers={"Host": "elsewhere.example"}).status == 400
    assert site.stop().returncode == 0
    site.process.wait(30)
    # No start has made its database: who wants that runs the process for it.
    assert not (droplet / "app/db.sqlite3").exists()
    release = start(droplet, "-t", "release", account=account, is_waiting=False)
    assert release.process.wait(60) == 0, release.said()
    database = sqlite3.connect(droplet / "app/db.sqlite3")
    tables = {row[0] for row in database.execute("select name from sqlite_master")}
    database.close()
    assert "auth_user" in tables


def test_two_django_projects_live_side_by_side_under_mod_wsgi(build, unpack, start, tmp_path, account):
    _, seen = build(FIXTURES / "python_wsgi_two_djangos")
    assert "server: mod_wsgi, because 2 Django projects need an interpreter each" in seen
    assert "application on /office" in seen

    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    front, back = (json.loads(site.get(path).text) for path in ("/", "/office/page/7"))
    assert (front["site"], front["settings"], front["zone"]) == ("front", "front.settings", "Europe/Warsaw")
    assert (back["site"], back["settings"], back["zone"]) == ("back", "back.settings", "America/Lima")
    assert (front["script"], front["path"], front["reverse"]) == ("", "/", "/page/x")
    assert (back["script"], back["path"], back["reverse"]) == ("/office", "/page/7", "/office/page/x")
    assert front["pid"] != back["pid"]
    assert site.get(f"{front['static']}site.css").text == "/* front */\n"
    assert site.get(f"{back['static']}site.css").text == "/* back */\n"
    assert site.get("/officer").status == 404
    assert [json.loads(site.get("/").text)["site"] for _ in range(20)] == ["front"] * 20


def test_two_applications_are_dispatched_under_gunicorn(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "python_wsgi_two_apps", "--verify", "boot")
    assert report["verification"]["boot"]["status"] == "served"
    assert "server: gunicorn, the default" in seen
    assert "static files: /assets/ from app/assets/" in seen

    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    assert site.get("/").text == "site at /, more at /page/x"
    assert site.get("/page/7").text == "page 7"
    assert site.get("/admin").text == "admin at /admin, asked for "
    assert site.get("/admin/users/1").text == "admin at /admin, asked for /users/1"
    assert site.get("/administration").status == 404
    assert site.get("/assets/site.css").text == "body { margin: 0 }\n"


def test_a_procfile_says_what_runs_and_packages_bring_programs_and_pth_files(
    build, unpack, start, stager_cli, tmp_path, account
):
    report, seen = build(FIXTURES / "python_wsgi_procfile", "--verify", "boot")
    assert report["processes"]["worker"] == "mailer --queue mails"
    assert "application: started as the Procfile or `processes:` say" in seen
    assert "added: gunicorn==" in seen

    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    site = start(droplet, account=account)
    assert site.get("/").text == "shop; .pth: yes"
    assert site.stop().returncode == 0
    site.process.wait(30)

    worker = start(droplet, "-t", "worker", account=account, is_waiting=False)
    wait_until_said(worker, "mailer at work on mails with yes")
    assert worker.stop().returncode == 0
    worker.process.wait(30)

    release = start(droplet, "-t", "release", account=account, is_waiting=False)
    assert release.process.wait(30) == 0
    assert "released with 3" in release.said()


def test_a_program_that_serves_nothing_is_a_worker(build, unpack, start, tmp_path, account):
    report, seen = build(FIXTURES / "python_wsgi_worker", "--verify", "boot")
    assert report["processes"] == {"worker": ["${STAGER_SOCKETS}/python/bin/python", "worker.py"]}
    assert "worker.py is a program that starts no server" in seen
    droplet = unpack(tmp_path / "droplet.tar.gz", account=account)
    worker = start(droplet, "-t", "worker", account=account, is_waiting=False)
    wait_until_said(worker, f"worker in {droplet}/app")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(30) != 0
    assert worker.stop().returncode == 0


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_requirements_may_be_written_by_an_editor_of_windows(
    build, tree, unpack, start, tmp_path, account, encoding
):
    files = {
        "app.py": (FIXTURES / "python_wsgi_includes/app.py").read_text(),
        "requirements.txt": "# café\r\nbottle==0.13.4\r\n".encode(encoding),
    }
    build(tree(files))
    site = start(unpack(tmp_path / "droplet.tar.gz", account=account), account=account)
    assert site.get("/").text == "bottle 0.13.4"


def test_a_dependency_set_of_200_megabytes_is_built_and_serves(build, tmp_path, stager_cli):
    # The dearest of all tests: 60 MB of wheels are fetched once, then unpacked, compiled, packed each time.
    report, _ = build(FIXTURES / "python_wsgi_large", "--verify", "boot", timeout=1200)
    assert report["verification"]["boot"]["status"] == "served"
    listing = subprocess.run(
        ["tar", "-tvf", tmp_path / "droplet.tar.gz"], capture_output=True, text=True, check=True
    )
    size = sum(int(line.split()[2]) for line in listing.stdout.splitlines())
    assert size > 200_000_000


def wait_until_said(started, text, seconds=60):
    deadline = time.monotonic() + seconds
    while text not in started.said():
        assert started.process.poll() is None, started.said()
        assert time.monotonic() < deadline, started.said()
        time.sleep(0.02)

"""The generated module, imported and called as servers do it, with the packages that a build would pin."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from stager.errors import ConfigurationError
from stager.rendering import Renderer
from stager.servers.pins import pins_for
from stager.servers.python_application import Mount, PythonApplication, PythonServer, StaticFolder
from stager.servers.python_site import (
    STATIC,
    Target,
    distributions,
    needs_site,
    refuse_two_projects,
    site_files,
    target,
)

#: Asks the module in the working directory: requests as JSON on stdin, answers as JSON on stdout.
CLIENT = """
import asyncio, io, json, sys, urllib.parse
sys.path.insert(0, "python")
import stager_site

def ask_wsgi(method, path, headers):
    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "wsgi.input": io.BytesIO()}
    environ["PATH_INFO"] = urllib.parse.unquote_to_bytes(path).decode("latin-1")
    environ.update({"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()})
    started = []
    found = stager_site.application(environ, lambda *said: started.append(said))
    body = b"".join(found)
    getattr(found, "close", bool)()
    return int(started[0][0][:3]), started[0][1], body

async def ask_asgi(method, path, headers):
    sent = []
    async def receive():
        return {"type": "http.request"}
    async def send(message):
        sent.append(message)
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": urllib.parse.unquote(path), "raw_path": path.encode()}
    scope.update(headers=pairs, query_string=b"", root_path="", client=("127.0.0.1", 1), http_version="1.1")
    await stager_site.application(scope, receive, send)
    pairs = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return sent[0]["status"], pairs, b"".join(message.get("body", b"") for message in sent[1:])

for request in json.load(sys.stdin):
    if sys.argv[1] == "wsgi":
        status, headers, body = ask_wsgi(*request)
    else:
        status, headers, body = asyncio.run(ask_asgi(*request))
    headers = {name.lower(): value for name, value in headers}
    print(json.dumps([status, headers, body.decode("latin-1")]))
"""
#: Answers with its mount, path, file and module.
APP = {
    "wsgi": """
        def application(environ, start_response):
            start_response("200 OK", [])
            body = "|".join([environ["SCRIPT_NAME"], environ["PATH_INFO"], __file__, __name__])
            return [body.encode("latin-1")]
    """,
    "asgi": """
        async def application(scope, receive, send):
            body = "|".join([scope["root_path"], scope["path"], __file__, __name__])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body.encode()})
    """,
}
FACTORY = """
        def make():
            with open("made", "a") as out:
                out.write("once\\n")
            return application
"""
PACKED = 315532800  # every file of a droplet is of 1980


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """The Python of an environment that sends static files."""
    folder = tmp_path_factory.mktemp("environment")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", folder / "bin/python"]
    subprocess.run([*install, *pins_for(STATIC.values(), ())], check=True)
    return folder / "bin/python"


@pytest.fixture
def ask(tmp_path, interpreter):
    """Write a droplet, ask its site: ``ask(application, files, (method, path, headers), …)``."""

    def call(application, files, *requests, is_site=False):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
            os.utime(path, (PACKED, PACKED))
        for file in site_files(application, is_site=is_site):
            path = tmp_path / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(Renderer().render(file.template, file.values))
            os.utime(path, (PACKED, PACKED))
        done = subprocess.run(
            [interpreter, "-B", "-X", "dev", "-W", "error", "-c", CLIENT, application.interface],
            cwd=tmp_path,
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [tuple(json.loads(line)) for line in done.stdout.splitlines()]

    return call


@pytest.fixture(params=["wsgi", "asgi"])
def interface(request):
    return request.param


def get(path, **headers):
    return ("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


def application_of(interface, *mounts, static=()):
    return PythonApplication(mounts=mounts, interface=interface, minor="3.11", static=static)


ROOT = Mount(module="web", callable="application")


# ---- what is loaded


@pytest.mark.parametrize(
    ("mount", "loaded"),
    [
        (ROOT, Target("web", "application")),
        (
            Mount(module="a.b", callable="make", is_factory=True, folder="src"),
            Target("a.b", "make", is_factory=True, folders=("app/src",)),
        ),
        (
            Mount(url="/x", module="web", callable="app"),
            Target("stager_site", "application", folders=("python",)),
        ),
        (
            Mount(module="my-app.py", callable="app", is_file=True),
            Target("stager_site", "application", folders=("python",)),
        ),
        (Mount(module="web", callable="site.app"), Target("stager_site", "application", folders=("python",))),
    ],
)
def test_the_module_is_generated_only_where_a_server_cannot_load_the_application(mount, loaded):
    application = application_of("wsgi", mount)
    assert target(application) == loaded
    assert needs_site(application) == (loaded.module == "stager_site")
    assert len(site_files(application)) == needs_site(application)
    assert target(application, is_site=True).name == "stager_site:application"
    assert [file.path for file in site_files(application, is_site=True)] == ["python/stager_site.py"]


def test_folders_are_words_of_a_command():
    mount = Mount(module="a", callable="app", folder="src")
    assert target(application_of("wsgi", mount)).paths == ("${STAGER_ROOT}/app/src",)


def test_what_sends_static_files_is_installed_with_the_servers_that_do_not():
    def names(name, interface, static):
        server = PythonServer(name=name, interfaces=("wsgi",), serve=None, distributions={"wsgi": ("a",)})
        return distributions(server, application_of(interface, ROOT, static=static))

    static = (StaticFolder(url="/s", directory="app/s"),)
    assert names("gunicorn", "wsgi", static) == ("a", "whitenoise")
    assert names("gunicorn", "asgi", static) == ("servestatic",)
    assert names("gunicorn", "wsgi", ()) == ("a",)
    assert names("mod_wsgi", "wsgi", static) == ("a",)


# ---- mounts


def test_the_longest_mount_whose_segments_match_answers(ask, interface):
    application = application_of(
        interface,
        Mount(url="/shop/api", module="api", callable="application"),
        Mount(url="/shop", module="shop", callable="application"),
        Mount(url="/é", module="accent", callable="application"),
    )
    files = {f"app/{name}.py": APP[interface] for name in ("api", "shop", "accent")}
    asked = {
        "/shop/api/a%20b": ("/shop/api", "/a b", "api"),
        "/shop/api": ("/shop/api", "", "api"),
        "/shop/api/": ("/shop/api", "/", "api"),
        "/shop/apis": ("/shop", "/apis", "shop"),
        "/shop%2Fapi/x": ("/shop/api", "/x", "api"),
        "/%C3%A9/%C3%A9": ("/é", "/é", "accent"),
    }
    for (path, expected), (status, _, body) in zip(
        asked.items(), ask(application, files, *map(get, asked)), strict=True
    ):
        url, rest, _, module = body.encode("latin-1").decode().split("|")
        assert status == 200
        assert (url, rest, module) == (
            expected if interface == "wsgi" else (expected[0], expected[0] + expected[1], expected[2])
        ), path


def test_where_no_mount_matches_there_is_nothing(ask, interface):
    application = application_of(interface, Mount(url="/shop", module="shop", callable="application"))
    files = {"app/shop.py": APP[interface]}
    answers = ask(application, files, get("/"), get("/shops"), get("/Shop"), ("HEAD", "/", {}))
    assert [(status, body) for status, _, body in answers] == [(404, "Not Found\n")] * 3 + [(404, "")]
    assert answers[3][1]["content-length"] == "10"


def test_files_folders_and_factories_are_loaded_once_each(ask, interface, tmp_path):
    application = application_of(
        interface,
        Mount(url="/a", module="in/my-app.wsgi", callable="application", is_file=True),
        Mount(url="/b", module="inner", callable="make", is_factory=True, folder="de ep/er"),
        Mount(module="web", callable="Some.application"),
    )
    files = {
        "app/in/my-app.wsgi": "import sys\nassert __name__ in sys.modules\n"
        + textwrap.dedent(APP[interface]),
        "app/de ep/er/inner.py": APP[interface] + FACTORY,
        "app/web.py": APP[interface] + "\n        class Some:\n            application = application\n",
    }
    bodies = [answer[2].split("|")[2:] for answer in ask(application, files, get("/a"), get("/b"), get("/c"))]
    assert bodies == [
        [f"{tmp_path}/app/in/my-app.wsgi", "stager_mount_0"],
        [f"{tmp_path}/app/de ep/er/inner.py", "inner"],
        [f"{tmp_path}/app/web.py", "web"],
    ]
    made = [path for path in (tmp_path / "made", tmp_path / "app/made") if path.exists()]
    assert [path.read_text() for path in made] == ["once\n"]


def test_names_with_quotes_and_backslashes_are_only_names(ask, interface):
    name = 'it\'s "a\\b" {{ c }} #é.py'
    application = application_of(interface, Mount(module=name, callable="application", is_file=True))
    (answer,) = ask(application, {f"app/{name}": APP[interface]}, get("/"))
    assert answer[0] == 200


@pytest.mark.parametrize(
    ("mounts", "said"),
    [
        (
            [
                Mount(url="/a", module="a.wsgi", callable="application", is_django=True),
                Mount(url="/b", module="b.wsgi", callable="application", is_django=True),
            ],
            "2 Django projects",
        ),
        (
            [
                Mount(url="/a", module="app", callable="app", folder="a"),
                Mount(url="/b", module="app", callable="app", folder="b"),
            ],
            "different modules of the name app",
        ),
    ],
)
def test_what_one_interpreter_cannot_hold_is_refused(interface, mounts, said):
    with pytest.raises(ConfigurationError) as raised:
        refuse_two_projects(application_of(interface, *mounts))
    assert said in raised.value.brief
    assert ("mod_wsgi" in raised.value.resolution) == (interface == "wsgi")


def test_one_django_project_beside_others_and_one_module_twice_are_fine(interface):
    refuse_two_projects(
        application_of(
            interface,
            Mount(url="/a", module="a.wsgi", callable="application", is_django=True),
            Mount(url="/b", module="b", callable="app", folder="x"),
            Mount(url="/c", module="b", callable="other", folder="x"),
        )
    )


# ---- static files


STATIC_FOLDERS = (
    StaticFolder(url="/static/deep", directory="app/other"),
    StaticFolder(url="/static", directory="app/assets"),
)


def static_files(interface):
    return {
        "app/web.py": APP[interface],
        "app/assets/app.css": "a {}" * 100,
        "app/assets/app.css.gz": gzip.compress(b"a {}" * 100),
        "app/assets/app.1a2b3c4d.js": "1",
        "app/assets/main.55e7cbb9ba48.css": "2",
        "app/assets/report.20240131.pdf": "3",
        "app/assets/app.1a2b.js": "4",
        "app/assets/é b.txt": "é",
        "app/assets/deep/x.txt": "hidden by the longer URL",
        "app/other/x.txt": "shown",
        "app/secret.txt": "secret",
    }


def test_static_files_are_told_apart_by_what_they_hold_and_not_by_their_date(ask, interface):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    files = static_files(interface)
    ((status, headers, body),) = ask(application, files, get("/static/app.css"))
    assert (status, body) == (200, "a {}" * 100)
    assert "last-modified" not in headers
    assert "access-control-allow-origin" not in headers
    assert headers["content-type"].startswith("text/css")
    assert headers["cache-control"] == "max-age=60, public"
    etag = headers["etag"]
    assert hashlib.sha256(b"a {}" * 100).hexdigest().startswith(etag.removeprefix('W/"').removesuffix('"'))
    asked = [
        get("/static/app.css", If_None_Match=etag),
        get("/static/app.css", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT"),
    ]
    answers = ask(application, {}, *asked)
    assert [answer[0] for answer in answers] == [304, 200]
    assert answers[0][1]["etag"] == etag
    answers = ask(application, {"app/assets/app.css": "b {}" * 100}, *asked)
    assert [answer[0] for answer in answers] == [200, 200]


def test_digests_of_the_droplet_are_used_for_what_has_not_changed_since(ask, interface, tmp_path):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    listed = "".join(
        f"{letter * 64}  app/assets/{name}\n" for letter, name in (("a", "app.css"), ("b", "é b.txt"))
    )
    files = {**static_files(interface), "droplet.sha256": listed}
    asked = [get("/static/app.css"), get("/static/%C3%A9%20b.txt")]
    found = [answer[1]["etag"] for answer in ask(application, files, *asked)]
    assert found == [f'W/"{letter * 32}"' for letter in "ab"]
    (tmp_path / "app/assets/app.css").touch()
    found = [answer[1]["etag"] for answer in ask(application, {}, *asked)]
    assert found[0] != f'W/"{"a" * 32}"'
    assert found[1] == f'W/"{"b" * 32}"'


def test_names_with_a_hash_are_kept_for_ever_and_no_others(ask, interface):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    names = ["app.1a2b3c4d.js", "main.55e7cbb9ba48.css", "report.20240131.pdf", "app.1a2b.js", "app.css"]
    answers = ask(application, static_files(interface), *(get(f"/static/{name}") for name in names))
    assert ["immutable" in answer[1]["cache-control"] for answer in answers] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_compressed_forms_ranges_and_heads_are_answered(ask, interface):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    packed, part, end, head, post, far = ask(
        application,
        static_files(interface),
        get("/static/app.css", Accept_Encoding="gzip, deflate"),
        get("/static/app.css", Range="bytes=1-4"),
        get("/static/app.css", Range="bytes=-3"),
        ("HEAD", "/static/app.css", {}),
        ("POST", "/static/app.css", {}),
        get("/static/app.css", Range="bytes=1000-"),
    )
    assert packed[1]["content-encoding"] == "gzip"
    assert packed[1]["vary"] == "Accept-Encoding"
    assert gzip.decompress(packed[2].encode("latin-1")) == b"a {}" * 100
    assert (part[0], part[1]["content-range"], part[2]) == (206, "bytes 1-4/400", " {}a")
    assert (end[0], end[2]) == (206, " {}")
    assert (head[0], head[1]["content-length"], head[2]) == (200, "400", "")
    assert post[0] == 405
    assert far[0] == 416


def test_what_is_no_static_file_is_the_applications(ask, interface):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    paths = [
        "/static/missing", "/static", "/static/", "/static/..%2fsecret.txt", "/static/../secret.txt",
        "/static/%2e%2e/secret.txt", "/static//../secret.txt", "/static/app.css/", "/",
        "/static/app.css.gz%00",
    ]  # fmt: skip
    for path, (status, _, body) in zip(
        paths, ask(application, static_files(interface), *map(get, paths)), strict=True
    ):
        assert status == 200
        assert body.endswith("|web"), path


def test_the_longer_url_wins_and_names_may_be_of_any_language(ask, interface):
    application = application_of(interface, ROOT, static=STATIC_FOLDERS)
    asked = [get("/static/deep/x.txt"), get("/static/%C3%A9%20b.txt")]
    answers = ask(application, static_files(interface), *asked)
    assert [answer[2].encode("latin-1").decode() for answer in answers] == ["shown", "é"]

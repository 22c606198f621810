"""Static sites and single-page applications, from their sources to answers of a real Apache."""

import gzip
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
PLAIN, SPA = FIXTURES / "static_plain", FIXTURES / "static_spa"
YEAR = "public, max-age=31536000, immutable"
GZIP, BROTLI = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "gzip, deflate, br"}


@pytest.fixture
def copied(tmp_path):
    """A fixture with more files, where a build may read and nobody else writes."""

    def do(source, files=None):
        root = tmp_path / "source"
        shutil.copytree(source, root, symlinks=True)
        for path, text in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return do


@pytest.fixture
def served(built, unpack, start, unprivileged_user, tmp_path):
    """Build a source and start its droplet as somebody without privileges."""

    def do(source, *arguments):
        built(source, "--runtime", "static", *arguments)
        directory = unpack(tmp_path / "droplet.tar.gz", account=unprivileged_user)
        return start(directory, account=unprivileged_user)

    return do


def test_a_plain_site_is_built_and_booted_without_a_step(built):
    report = built(PLAIN, "--verify", "boot")
    assert report["runtimes"] == ["static"]
    assert report["verification"]["ok"] is True
    boot = report["verification"]["boot"]
    assert (boot["status"], boot["http_status"]) == ("served", 200)
    assert boot["user"] not in {"", "root"}
    (warning,) = report["warnings"]
    assert warning.startswith("_redirects line 11: this rule does nothing here: another host's answers")


def test_the_same_source_makes_the_same_bytes(built, copied):
    first = built(PLAIN, name="one.tar.gz")["droplet"]["sha256"]
    assert built(copied(PLAIN), name="two.tar.gz")["droplet"]["sha256"] == first


def test_pages_types_addresses_and_errors(served):
    site = served(PLAIN)
    page = site.get("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Last-Modified" not in page.headers
    assert site.get("/contact").text == site.get("/contact.html").text == (PLAIN / "contact.html").read_text()
    assert site.get("/about/").text == (PLAIN / "about/index.html").read_text()
    for path, where in (
        ("/about", "/about/"),
        ("/about?a=b%20c", "/about/?a=b%20c"),
        ("//about", "/about/"),
    ):
        answer = site.get(path, headers={"Host": "example.org"})
        assert (answer.status, answer.headers["Location"]) == (301, where)
    assert site.get("/.well-known/security.txt").status == 200
    for path in ("/nothing", "/nothing/", "/assets", "/assets/", "/etc/passwd", "/tmp"):
        answer = site.get(path)
        assert (answer.status, answer.text) == (404, (PLAIN / "404.html").read_text()), path
    head = site.get("/contact", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str((PLAIN / "contact.html").stat().st_size)


@pytest.mark.parametrize(
    "path", ["/.env", "/_headers", "/_redirects", "/raw/.env", "/raw/_headers", "/RAW/../.env", "/%2eenv"]
)
def test_what_is_not_a_page_is_never_served(served, path):
    assert served(PLAIN).get(path).status in {403, 404}


def test_caching_etags_and_ranges(served):
    site = served(PLAIN)
    assert site.get("/").headers["Cache-Control"] == "no-cache"
    assert site.get("/contact").headers["Cache-Control"] == "no-cache"
    hashed = site.get("/assets/app.3f9a1c2b.js")
    assert hashed.headers["Cache-Control"] == YEAR
    assert hashed.headers["Content-Type"].startswith("text/javascript")
    for headers in ({}, GZIP):
        for path in ("/", "/assets/app.3f9a1c2b.js", "/assets/site.css"):
            tag = site.get(path, headers=headers).headers["ETag"]
            again = site.get(path, headers={**headers, "If-None-Match": tag})
            assert (again.status, again.headers["ETag"]) == (304, tag)
    part = site.get("/assets/app.3f9a1c2b.js", headers={"Range": "bytes=3-8"})
    assert (part.status, part.body) == (206, hashed.body[3:9])
    missing = site.get("/assets/app.0000000a.js")
    assert (missing.status, missing.headers["Cache-Control"]) == (404, "no-cache")


def test_compressed_files_and_compression(served):
    site = served(PLAIN)
    css = PLAIN / "assets/site.css"
    for headers, encoding, body in (
        (BROTLI, "br", b"not really brotli"),
        (GZIP, "gzip", (PLAIN / "assets/site.css.gz").read_bytes()),
        ({"Accept-Encoding": "br;q=0, gzip;q=0.5"}, "gzip", (PLAIN / "assets/site.css.gz").read_bytes()),
        ({"Accept-Encoding": "identity"}, None, css.read_bytes()),
        ({"Accept-Encoding": "xbr, gzip;q=0"}, None, css.read_bytes()),
    ):
        answer = site.get("/assets/site.css", headers=headers)
        assert (answer.status, answer.headers.get("Content-Encoding"), answer.body) == (200, encoding, body)
        assert answer.headers["Content-Type"].replace(" ", "") == "text/css;charset=utf-8"
        assert answer.headers["Vary"] == "Accept-Encoding"
    tags = {site.get("/assets/site.css", headers=headers).headers["ETag"] for headers in (BROTLI, GZIP, {})}
    assert len(tags) == 3
    script = site.get("/assets/app.3f9a1c2b.js", headers=GZIP)
    assert script.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(script.body) == (PLAIN / "assets/app.3f9a1c2b.js").read_bytes()
    itself = site.get("/assets/site.css.gz", headers=GZIP)
    assert (itself.headers["Content-Type"], itself.headers.get("Content-Encoding")) == (
        "application/gzip",
        None,
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_redirects(served, method):
    site = served(PLAIN)
    for path, status, where in (
        ("/old", 301, "/contact"),
        ("/old/?a=%26", 301, "/contact?a=%26"),
        ("/news", 302, "/about/"),
        ("/news/a/b%20c%3Fd", 302, "/about/a/b%20c%3fd"),
        ("/u/J%C3%B6rg", 301, "https://example.org/a%20b/J%c3%b6rg?x=1,2"),
        ("/u/x%0d%0aSet-Cookie:a", 301, "https://example.org/a%20b/x%0d%0aSet-Cookie:a?x=1,2"),
        ("/away", 301, "https://example.org/forced"),
        ("/find?z=1&id=a%26b", 302, "/found/a%26b?q=a%26b"),
        ("/find", 404, None),
        ("/find?id=//example.org", 404, None),
        ("/contact", 200, None),
        ("/blog/2020/01", 200, None),
        ("/raw/about/", 200, None),
        ("/raw/contact", 200, None),
        ("/gone/x", 410, None),
        ("/proxy/x", 404, None),
    ):
        answer = site.get(path, method=method)
        assert (answer.status, answer.headers.get("Location")) == (status, where), path
        assert "Set-Cookie" not in answer.headers
    if method == "GET":
        assert site.get("/blog/2020/01").text == (PLAIN / "contact.html").read_text()
        assert site.get("/gone/x").text == (PLAIN / "404.html").read_text()
    posted = site.get("/old", method="POST", headers={"Host": "example.org"})
    assert posted.headers["Location"] == "http://example.org/contact"


def test_headers_are_sent_as_they_are_written(served):
    site = served(PLAIN)
    for path in ("/", "/contact", "/nothing"):
        headers = site.get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Odd"] == '100% "quoted" \\n ${HOME} %{SECRET}e $1'
    assert site.get("/assets/site.css").headers["Cache-Control"] == "max-age=7"


HOOK = "hooks: {before_build: ./build.sh}\n"


def test_a_built_page_answers_for_its_router_and_not_for_missing_scripts(served, copied):
    site = served(copied(SPA, {"stager.yml": HOOK}))
    page = site.get("/").text
    assert "index-DiwrgTd4" in page
    for path in ("/users/5", "/users/john.doe", "/a/b/", "/assets-of-mine"):
        answer = site.get(path)
        assert (answer.status, answer.text, answer.headers["Cache-Control"]) == (200, page, "no-cache"), path
    assert site.get("/assets/index-DiwrgTd4.js").headers["Cache-Control"] == YEAR
    for path in ("/assets/index-Old00000.js", "/favicon.ico", "/x/y.css", "/package.json"):
        assert site.get(path).status in {403, 404}, path
    assert site.get("/src/main.js").status == 404
    assert site.get("/api/x").headers["Access-Control-Allow-Origin"] == "*"


def test_a_folder_that_no_configuration_names_is_found_after_the_build(served, copied):
    files = {
        "stager.yml": HOOK + "build_env: {SITE: deep/down/site}\n",
        "vite.config.js": "export default {}",
    }
    assert "index-DiwrgTd4" in served(copied(SPA, files)).get("/").text


def test_a_build_that_makes_no_site_says_where_it_was_looked_for(stager_cli, copied, tmp_path):
    source = copied(SPA)
    done = stager_cli("build", source, "--runtime", "static", "-o", tmp_path / "d.tar.gz")
    assert done.returncode == 40
    for text in ("no new index.html", "web/out put", "--set static.root=FOLDER"):
        assert text in done.stderr
    assert not (tmp_path / "d.tar.gz").exists()


def test_a_folder_outside_the_application_is_refused_before_anything_runs(stager_cli, copied, tmp_path):
    source = copied(SPA, {"vite.config.js": 'export default { build: { outDir: "../site" } }'})
    done = stager_cli("build", source, "--runtime", "static", "-o", tmp_path / "d.tar.gz")
    assert done.returncode == 30
    assert "'../site'" in done.stderr


STATICFILE = """\
root: pages
directory: visible
ssi: enabled
force_https: true
http_strict_transport_security: true
http_strict_transport_security_include_subdomains: true
location_include: includes/*.conf
status_codes:
  404: /lost.html
"""


def test_a_staticfile_is_understood(tree, built, unpack, start, tmp_path):
    source = tree(
        {
            "Staticfile": STATICFILE,
            "pages/index.html": '<p><!--#include virtual="/part.html" --></p>',
            "pages/part.html": "part",
            "pages/lost.html": "lost",
            "pages/files/a.txt": "a",
            "secret.txt": "secret",
        }
    )
    report = built(source)
    assert [warning for warning in report["warnings"] if "location_include" in warning]
    site = start(unpack(tmp_path / "droplet.tar.gz"))
    assert site.get("/").text == "<p>part</p>"
    assert site.get("/secret.txt").text == "lost"
    assert "a.txt" in site.get("/files/").text
    assert site.get("/").headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    sent = site.get("/files/?a=1", headers={"Host": "example.org", "X-Forwarded-Proto": "http"})
    assert (sent.status, sent.headers["Location"]) == (301, "https://example.org/files/?a=1")
    assert site.get("/", headers={"X-Forwarded-Proto": "https"}).status == 200


def test_passwords_of_a_staticfile_are_asked_for(tree, built, unpack, start, tmp_path):
    # htpasswd -nbm me secret
    line = subprocess.run(
        ["openssl", "passwd", "-apr1", "secret"], capture_output=True, text=True, check=True
    ).stdout
    built(tree({"Staticfile": "", "Staticfile.auth": f"me:{line}", "index.html": "in", ".env": "no"}))
    site = start(unpack(tmp_path / "droplet.tar.gz"))
    assert site.get("/").status == site.get("/nothing").status == 401
    allowed = {"Authorization": "Basic bWU6c2VjcmV0"}
    assert site.get("/", headers=allowed).text == "in"
    assert site.get("/Staticfile.auth", headers=allowed).status == 403


def test_a_download_finishes_when_the_droplet_is_stopped(tree, built, unpack, start, tmp_path):
    size = 24 << 20
    built(tree({"index.html": "x", "large.bin": b"\1" * size}))
    site = start(unpack(tmp_path / "droplet.tar.gz"))
    connection = site.connect()
    connection.request("GET", "/large.bin")
    answer = connection.getresponse()
    first = answer.read(1 << 16)
    stopping = threading.Thread(target=site.stop)
    stopping.start()
    site.wait_until_refused()
    rest = answer.read()
    stopping.join()
    assert len(first) + len(rest) == size
    assert site.process.wait(20) == 0
    assert site.is_port_free()

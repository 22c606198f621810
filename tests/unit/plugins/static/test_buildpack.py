"""Plans of static sites, and their configuration as Apache itself reads it."""

import os
import subprocess

import pytest

from stager.buildpack import PlanContext
from stager.errors import ConfigurationError, PlanError
from stager.execution.host import ask
from stager.model.host import HostFacts
from stager.model.plan import Shell
from stager.plugins.static.buildpack import StaticBuildpack
from stager.plugins.static.options import StaticOptions
from stager.rendering import REFERENCE, Renderer
from stager.servers.apache import APACHE, MODULES, apache_check
from stager.source.tree import Tree

needs_apache = pytest.mark.skipif(not ask(APACHE).is_present, reason="Apache checks its own configuration")
VITE = '{"devDependencies": {"vite": "6"}, "scripts": {"build": "vite build"}}'
PRE_BUILT = '<div id="root"></div><script type="module" src="/a.js"></script>'


def plan(tmp_path, files, options=None, **context):
    root = tmp_path / "app"
    root.mkdir(exist_ok=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)
    tree = Tree.of_directory(root)
    return StaticBuildpack().plan(PlanContext(tree, options or StaticOptions(), HostFacts.of(), **context))


def configuration(made):
    renderer = Renderer()
    return {file.path: renderer.render(file.template, file.values) for file in made.files}


def site(made):
    return configuration(made)["apache/sites-available/default"]


def check(root, made, folder="app"):
    for path, text in configuration(made).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "run").mkdir(exist_ok=True)
    variables = {
        "PATH": os.environ["PATH"], "STAGER_APACHE": ask(APACHE).path, "STAGER_ROOT": str(root),
        "STAGER_APACHE_MODULES": ask(MODULES).path, "STAGER_STATE": str(root), "STAGER_AS": "user",
        "PORT": "8080", "VCAP_APP_HOST": "127.0.0.1",
    }  # fmt: skip
    words = [REFERENCE.sub(lambda found: variables[found[1]], word) for word in apache_check()]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_plain_site_has_no_step_and_one_process(tmp_path):
    made = plan(tmp_path, {"index.html": ""})
    assert made.steps == ()
    (web,) = made.processes
    assert (web.type, web.stop_signal, web.drains, web.workers.most) == ("web", "WINCH", True, 1)
    assert 'Define STAGER_SITE "app"\n' in site(made)


def test_a_built_site_is_looked_for_after_the_build(tmp_path):
    made = plan(tmp_path, {"package.json": VITE, "index.html": ""})
    (step,) = made.steps
    assert (step.tool, step.arguments[0]) == ("sh", ".stager/site")
    assert step.arguments[1:] == ("dist", "build", "out", "--", "index.html")
    assert 'Define STAGER_SITE "app/.stager/site"\n' in site(made)


@pytest.mark.parametrize(
    ("files", "options", "fallback"),
    [
        ({"index.html": PRE_BUILT}, {}, "/index.html"),
        ({"index.html": PRE_BUILT, "404.html": ""}, {}, ""),
        ({"index.html": PRE_BUILT}, {"spa": False}, ""),
        ({"index.html": ""}, {}, ""),
        ({"index.html": ""}, {"spa": True}, "/index.html"),
        ({"index.html": "", "200.html": ""}, {}, "/200.html"),
        ({"index.html": "", "Staticfile": "pushstate: enabled"}, {}, "/index.html"),
        ({"index.html": "", "_redirects": "/* /index.html 200"}, {}, "/index.html"),
        ({"index.html": PRE_BUILT, "Staticfile": "pushstate: false"}, {}, ""),
    ],
)
def test_when_a_page_answers_for_what_is_no_file(tmp_path, files, options, fallback):
    text = site(plan(tmp_path, files, StaticOptions(**options)))
    assert (f'RewriteRule "^.*$" "{fallback}" [E=STAGER_MAPPED:1]' in text) == bool(fallback)


def test_a_page_in_another_encoding_is_sent_without_one(tmp_path):
    page = '<meta charset="ISO-8859-1">é'.encode("latin-1")
    assert "AddDefaultCharset" not in site(plan(tmp_path, {"index.html": page}))
    assert "AddDefaultCharset utf-8" in site(plan(tmp_path, {"index.html": '<meta charset="UTF-8">'}))


def test_a_web_process_of_the_users_runs_instead_of_apache(tmp_path):
    made = plan(tmp_path, {"index.html": ""}, processes={"web": Shell("./serve")})
    assert (made.files, made.processes[0].command) == ((), Shell("./serve"))
    assert plan(tmp_path, {"index.html": ""}, is_serving=False).processes == ()


@pytest.mark.parametrize("root", ["../x", "/srv", "missing"])
def test_a_root_that_is_not_there_is_an_error(tmp_path, root):
    with pytest.raises(ConfigurationError) as caught:
        plan(tmp_path, {"index.html": ""}, StaticOptions(root=root))
    assert "static.root" in caught.value.brief


def test_nothing_to_serve_is_an_error(tmp_path):
    with pytest.raises(PlanError) as caught:
        plan(tmp_path, {"readme.txt": ""})
    assert caught.value.slug == "no-site"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("root: [a]", "root"),
        ("- a", "no settings"),
        ("a: b: c", "line 1"),
        ("status_codes: {404: 'x y'}", "404"),
    ],
)
def test_a_bad_staticfile_is_an_error(tmp_path, text, where):
    with pytest.raises(ConfigurationError) as caught:
        plan(tmp_path, {"index.html": "", "Staticfile": text})
    assert where in caught.value.brief
    assert "Staticfile" in caught.value.brief


def test_unknown_keys_of_a_staticfile_are_warned_of(tmp_path):
    made = plan(tmp_path, {"index.html": "", "Staticfile": "rot: x\nlocation_include: a\nssi: disabled\n"})
    assert [text.split(":")[0] for text in made.warnings] == ["Staticfile", "Staticfile"]
    assert "'rot' means nothing here" in made.warnings[0]


HOSTILE_REDIRECTS = r"""
/a"b /c
/x /y" "z
/x2 /${HOME}/$1/%1/%{ENV:PATH}/\1 200
/x3 /a,b=c] 301
/x4 https://h/a[b]{c}|<d>'e' 302
/[.*+?(){}|]/:v /z/:v 301!
/ä/ü /ö 200
/q a.b=:c d=(e) /f/:c
/n /my-404.html 404
/o /lost/page.html 410
"""
HOSTILE_HEADERS = """
/a[b](c)/*
  X-One: "quoted" 'single' <tag> ${HOME} %{X}e %n \\" \\\\ , ; =
  X-Two: expr=%{REQUEST_URI}
/ä
  Content-Security-Policy: default-src 'self'; img-src *
</Directory>
  X: y
"""


@needs_apache
@pytest.mark.parametrize("name", ["plain", "hostile", "staticfile", "spa"])
def test_apache_accepts_the_configuration(tmp_path, name):
    files = {
        "plain": {"index.html": ""},
        "hostile": {"index.html": "", "_redirects": HOSTILE_REDIRECTS, "_headers": HOSTILE_HEADERS},
        "staticfile": {
            "index.html": "",
            "Staticfile": "ssi: enabled\ndirectory: visible\nforce_https: true\npushstate: enabled\n"
            "http_strict_transport_security: true\nstatus_codes: {404: /404.html}",
            "Staticfile.auth": "a:b",
        },
        "spa": {"index.html": PRE_BUILT},
    }[name]
    assert check(tmp_path, plan(tmp_path, files)) == (0, "Syntax OK\n")


@needs_apache
def test_folders_with_odd_names_are_served_or_refused(tmp_path):
    made = plan(tmp_path, {"my site, été/index.html": ""}, StaticOptions(root="my site, été"))
    assert check(tmp_path, made) == (0, "Syntax OK\n")
    for name in ("a%b", 'a"b', "a$b"):
        with pytest.raises(ConfigurationError):
            plan(tmp_path, {f"{name}/index.html": ""}, StaticOptions(root=name))

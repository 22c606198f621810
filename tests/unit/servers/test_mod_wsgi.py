"""What mod_wsgi's part of a plan says; whether it serves is in test_mod_wsgi_serving.py."""

import os
import re
import subprocess
from dataclasses import replace

import pytest

from stager.errors import ConfigurationError
from stager.execution.host import ask
from stager.model.host import HostFacts, ToolFact
from stager.rendering import REFERENCE, Renderer
from stager.servers.apache import APACHE, MODULES
from stager.servers.mod_wsgi import MOD_WSGI, MOD_WSGI_SERVER, module_minor, serve
from stager.servers.python_application import (
    GROUP_VARIABLE,
    THREADS_VARIABLE,
    Mount,
    PythonApplication,
    StaticFolder,
)

ONE = PythonApplication(mounts=(Mount(module="app", callable="app"),), interface="wsgi", minor="3.11")
needs_mod_wsgi = pytest.mark.skipif(
    not (ask(APACHE).is_present and ask(MOD_WSGI).is_present), reason="Apache checks its own configuration"
)


def rendered(application):
    renderer = Renderer()
    return {file.path: renderer.render(file.template, file.values) for file in serve(application).files}


def site(application):
    return rendered(application)["apache/sites-available/default"]


def test_apache_is_stopped_gracefully_and_drains():
    served = serve(ONE)
    assert MOD_WSGI_SERVER.interfaces == ("wsgi",)
    assert (served.process.stop_signal, served.process.drains) == ("WINCH", True)
    assert served.process.checks == ((*served.process.command[:-1], "-t"),)


@pytest.mark.parametrize(
    ("name", "minor"),
    [
        ("/usr/lib/apache2/modules/mod_wsgi.so-3.11", "3.11"),
        ("/usr/lib64/httpd/modules/mod_wsgi_python3.so", ""),
        ("", ""),
    ],
)
def test_the_modules_name_tells_for_which_python_it_is(tmp_path, name, minor):
    path = tmp_path / name[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    if name:
        path.touch()
    here = replace(MOD_WSGI, files=tuple(f"{tmp_path}{file}" for file in MOD_WSGI.files))
    assert module_minor(HostFacts.of(ask(here))) == minor


def test_without_the_module_nothing_is_known_of_its_python():
    assert module_minor(HostFacts.of(ToolFact("mod_wsgi"))) == ""


def test_the_droplet_asks_for_the_module_of_its_own_python():
    served = serve(replace(ONE, minor="3.12"))
    tools = {tool.variable: tool for tool in served.tools}
    assert all(tool.when == "run" and not tool.optional for tool in served.tools)
    module = tools["STAGER_MOD_WSGI"]
    debian = [file for file in module.files if "apache2" in file]
    assert debian == ["/usr/lib/apache2/modules/mod_wsgi.so-3.12"]
    assert "3.12" in module.name
    assert module.package == "libapache2-mod-wsgi-py3"


def test_each_application_gets_a_group_of_processes_the_longest_url_first():
    mounts = tuple(Mount(url=url, module="m", callable="app") for url in ("/", "/a/b c", "/a"))
    application = replace(ONE, mounts=mounts)
    aliases = re.findall('^WSGIScriptAlias "([^"]*)"', site(application), re.MULTILINE)
    assert aliases == ["/a/b c", "/a", "/"]
    assert site(application).count("WSGIDaemonProcess mount-") == 3
    assert serve(application).process.workers.groups == 3
    scripts = {path for path in rendered(application) if path.endswith(".wsgi")}
    assert scripts == {f"mod_wsgi/{number}.wsgi" for number in (1, 2, 3)}


def test_how_many_processes_and_threads_is_known_at_the_start_only():
    assert f"processes=${{{GROUP_VARIABLE}}} threads=${{{THREADS_VARIABLE}}} " in site(ONE)


def test_timeouts_follow_from_what_a_request_may_take():
    text = site(replace(ONE, request_seconds=100, grace=20))
    for option in (
        "request-timeout=100", "queue-timeout=75", "socket-timeout=175", "startup-timeout=100",
        "deadlock-timeout=100", "graceful-timeout=100", "eviction-timeout=20",
    ):  # fmt: skip
        assert f" {option} " in text.replace("\n", " ")


def test_of_the_application_only_static_folders_are_granted():
    text = site(replace(ONE, static=(StaticFolder(url="/s", directory="app/static"),)))
    granted = [line for line in text.splitlines() if line.startswith("<Directory")]
    assert granted == [
        '<Directory "${STAGER_ROOT}/apache/htdocs">',
        '<Directory "${STAGER_ROOT}/${STAGER_STATIC_1}">',
        '<Directory "${STAGER_ROOT}/mod_wsgi">',
    ]
    assert 'Define STAGER_STATIC_1 "app/static"' in text


def test_two_applications_at_one_url_are_refused():
    with pytest.raises(ConfigurationError) as raised:
        serve(replace(ONE, mounts=ONE.mounts * 2))
    assert "'/'" in raised.value.brief


@pytest.mark.parametrize("directory", ['app/a"b', "app/a$b", "app/a%b", "app/a\nb", "app/a[b]", "app/a\\b"])
def test_a_static_folder_that_no_directive_can_hold_is_refused(directory):
    with pytest.raises(ConfigurationError) as raised:
        serve(replace(ONE, static=(StaticFolder(url="/s", directory=directory),)))
    assert raised.value.resolution.startswith("Rename it")


@pytest.mark.parametrize("url", ['/a"b', "/a\\b", "/a$b", "/a\nb"])
def test_a_url_that_no_directive_can_hold_is_refused(url):
    with pytest.raises(ConfigurationError):
        serve(replace(ONE, mounts=(Mount(url=url, module="app", callable="app"),)))
    with pytest.raises(ConfigurationError):
        serve(replace(ONE, static=(StaticFolder(url=url, directory="app/static"),)))


SHAPES = {
    "one": ONE,
    "no root": replace(ONE, mounts=(Mount(url="/ä b+(c)", module="a.b", callable="x.y", is_factory=True),)),
    "static": replace(
        ONE,
        static=(
            StaticFolder(url="/", directory="app/public"),
            StaticFolder(url="/a/(b).c+d e", directory="app/it's & ünter, (x)+y"),
        ),
    ),
    "a minute and a bit": replace(ONE, request_seconds=90, grace=0.5),
    "no time": replace(ONE, request_seconds=0, grace=0),
}


@needs_mod_wsgi
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threads", [1, 32])
def test_apache_has_nothing_to_say(tmp_path, shape, threads):
    root = tmp_path / "with a space"
    for path, text in rendered(SHAPES[shape]).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for folder in SHAPES[shape].static:
        (root / folder.directory).mkdir(parents=True)
    variables = {
        "STAGER_APACHE": ask(APACHE).path, "STAGER_APACHE_MODULES": ask(MODULES).path,
        "STAGER_MOD_WSGI": ask(MOD_WSGI).path, "STAGER_ROOT": str(root), "STAGER_STATE": str(root),
        "STAGER_SOCKETS": str(tmp_path), "STAGER_AS": "root" if os.geteuid() == 0 else "user",
        "STAGER_SERVER_USER": "www-data", "STAGER_SERVER_GROUP": "www-data", "PORT": "8080",
        "VCAP_APP_HOST": "127.0.0.1", "WEB_CONCURRENCY": "3", GROUP_VARIABLE: "3",
        THREADS_VARIABLE: str(threads),
    }  # fmt: skip
    (root / "app").mkdir(exist_ok=True)
    (check,) = serve(SHAPES[shape]).process.checks
    words = [REFERENCE.sub(lambda found: variables[found[1]], word) for word in check]
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "Syntax OK\n")


@needs_mod_wsgi
def test_envvars_are_enough_for_apaches_own_tools(tmp_path):
    for path, text in rendered(ONE).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    clean = {"PATH": os.environ["PATH"], "APACHE_CONFDIR": str(tmp_path / "apache")}
    done = subprocess.run(["apache2ctl", "-t"], env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "Syntax OK\n")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_scripts_are_python(shape):
    for path, text in rendered(SHAPES[shape]).items():
        if path.endswith(".wsgi"):
            compile(text, path, "exec")

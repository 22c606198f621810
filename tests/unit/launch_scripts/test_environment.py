"""What the application finds in its environment, and what is written down of it."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

import pytest

from stager.model.memory import Share, WorkerModel
from stager.model.plan import Process, Shell

HOSTILE = {
    "empty": b"",
    "spaces": b"  a  b \t ",
    "quotes": b"""it's "both" ``""",
    "commands": b"$(touch /tmp/never) `id` ${HOME} $$ \\ \\n !! ~ * ?",
    "lines": b"a\nb\r\n\nc\n",
    "not utf-8": b"\xff\xfe\x80caf\xe9",
    "non-ascii": "ünï ☃ \U0001f600".encode(),
    "json": b'{"a": ["x", "y"], "b": {"c": "it\'s $1"}}',
    "20 KB": b"x'\"$(id)\n" * 2000,
}


NAMES = """
    a i j n p x file files name pid port path line lines type value key host user group log out err
    code status state signal start stop fd dir root tmp args argv env app droplet sockets memory
    budget cores workers limit pids process kind word rest number EUID UID GROUPS HOSTNAME FUNCNAME
    PIPESTATUS REPLY MAPFILE OPTARG COPROC BASH_REMATCH COLUMNS LINES HOSTTYPE MACHTYPE OSTYPE TERM
    SHELL MAILCHECK SECONDS BASH_ENV CDPATH ENV FCEDIT GLOBIGNORE INPUTRC LANG TIMEFORMAT TMOUT
    http_proxy LD_X
"""


@pytest.mark.parametrize("posix", [None, "1"])
def test_every_value_arrives_to_the_byte(dump, posix):
    given = {f"VALUE_{name}": value for name, value in enumerate(HOSTILE.values())}
    for name, value in HOSTILE.items():
        given[f"odd.name-{name}"] = value
    services = {
        "VCAP_SERVICES": b"".join(HOSTILE.values()),
        "VCAP_APPLICATION": HOSTILE["lines"],
        "POSIXLY_CORRECT": posix,
    }
    got = dump({**given, **services})
    assert {os.fsdecode(name): value for name, value in got.items() if os.fsdecode(name) in given} == given
    assert got[b"VCAP_SERVICES"] == services["VCAP_SERVICES"]
    assert got[b"VCAP_APPLICATION"] == services["VCAP_APPLICATION"]
    assert not Path("/tmp/never").exists()
    assert dump({"VCAP_SERVICES": ""})[b"VCAP_SERVICES"] == b""
    assert b"VCAP_SERVICES" not in dump()


def test_names_that_scripts_like_to_use_arrive_too(dump):
    given = {name: f"mine: {name}" for name in NAMES.split()}
    got = dump(given)
    assert {name: got.get(name.encode(), b"").decode() for name in given} == given


def test_functions_and_options_for_bash_do_nothing_to_us_and_arrive(dump, tmp_path):
    (tmp_path / "evil").write_text("echo SOURCED; exit 9\n")
    evil = {
        "BASH_ENV": str(tmp_path / "evil"),
        "BASH_FUNC_printf%%": "() { echo EVIL; }",
        "BASH_FUNC_cat%%": "() { :; }",
    }
    got = dump({**evil, "SHELLOPTS": "xtrace:noexec", "SECRET": "hidden"})
    assert {name: got[name.encode()].decode() for name in evil} == evil
    assert "EVIL" not in dump.said
    assert "SOURCED" not in dump.said
    assert "hidden" not in dump.said


def test_what_the_contract_promises_is_there(dump):
    got = {name.decode(): value.decode() for name, value in dump({"VCAP_APP_HOST": None}).items()}
    here = str(dump.droplet.path)
    assert got["STAGER_DROPLET"] == got["STAGER_ROOT"] == got["STAGER_STATE"] == here
    assert (got["HOME"], got["TMPDIR"], got["PWD"]) == (f"{here}/app", f"{here}/tmp", f"{here}/app")
    assert (got["PORT"], got["VCAP_APP_PORT"], got["VCAP_APP_HOST"]) == ("8080", "8080", "0.0.0.0")
    assert (got["MEMORY_LIMIT"], got["STAGER_WORKERS"], got["STAGER_TYPE"]) == ("512m", "1", "web")
    assert got["STAGER_AS"] == ("root" if os.geteuid() == 0 else "user")
    assert got["STAGER_INSTANCE"].partition(".")[0].isdigit()
    assert got["STAGER_SOCKETS"].startswith("/tmp/stager.")
    assert len(got["STAGER_SOCKETS"]) == 18
    assert [name for name in got if name.startswith("stager_") or name == "STAGER_REGROUPED"] == []


def test_a_given_host_is_kept(dump):
    assert dump({"VCAP_APP_HOST": "127.0.0.1"})[b"VCAP_APP_HOST"] == b"127.0.0.1"


def test_the_names_for_configuration_files_are_safe_and_short(make_droplet):
    droplet = make_droplet(
        Process("web", Shell('echo "$STAGER_ROOT|$STAGER_STATE|$TMPDIR"; ls "$STAGER_ROOT/startup"')),
        at='it\'s: "$HOME"\n',
    )
    ended = droplet.run("-p", "80")
    root, state, temporary = ended.stdout.decode().splitlines()[0].split("|")
    assert root == state
    assert root.startswith("/tmp/stager.")
    assert temporary == f"{root}/tmp"
    assert ended.stdout.splitlines()[1] == f"{root}/startup".encode()


# ---- what the manifest gives


def test_the_users_environment_wins_over_the_manifests_also_when_it_is_empty(dump):
    manifest = {"A": "it's ${HOME} $$ `id`\n", "B": "b", "C": "c", "TERM": "vt100", "HOSTNAME": "h"}
    got = dump({"B": "mine", "C": "", "TERM": None, "HOSTNAME": None}, environment=manifest)
    assert [got[name] for name in (b"A", b"B", b"C", b"TERM", b"HOSTNAME")] == [
        b"it's ${HOME} $$ `id`\n", b"mine", b"", b"vt100", b"h",
    ]  # fmt: skip


def test_a_process_has_an_environment_of_its_own_with_references(dump):
    process = Process(
        "web",
        (),
        environment={"A": "${STAGER_ROOT}/x $$1", "B": "${PORT}", "PATH": "${STAGER_DROPLET}/bin:${PATH}"},
    )
    got = dump({"B": "mine", "PATH": "/usr/bin:/bin"}, process=process, environment={"A": "for all"})
    assert got[b"A"] == f"{dump.droplet.path}/x $1".encode()
    assert got[b"B"] == b"mine"
    assert got[b"PATH"] == f"{dump.droplet.path}/bin:/usr/bin:/bin".encode()


def test_the_port_and_the_memory_can_come_from_the_manifest(make_droplet):
    droplet = make_droplet(
        Process("web", ("/bin/echo", "${PORT} ${MEMORY_LIMIT}")),
        environment={"PORT": "5000", "MEMORY_LIMIT": "64m"},
    )
    assert droplet.run().stdout == b"5000 64m\n"
    assert droplet.run(environment={"PORT": "6000"}).stdout == b"6000 64m\n"


# ---- profiles


def test_profiles_are_sourced_in_order_in_app_with_everything_set(dump):
    files = {
        ".profile.d/b.sh": "ORDER=$ORDER-b",
        ".profile.d/a.sh": "export ORDER=a; echo $PWD $PORT $WEB_CONCURRENCY $MEMORY_LIMIT > seen; cd /",
        ".profile.d/C.sh": "echo C > C; [[ ! -v ORDER ]] && export FIRST=C",
        ".profile.d/not.txt": "export NOT=1",
        ".profile": "ORDER=$ORDER-profile; declare -x DECLARED=1; PATH=$PWD/bin:$PATH; cd ..",
    }
    process = Process("web", (), workers=WorkerModel(32, 128))
    got = dump(files=files, process=process)
    assert (got[b"ORDER"], got[b"FIRST"], got[b"DECLARED"]) == (b"a-b-profile", b"C", b"1")
    assert b"NOT" not in got
    app = f"{dump.droplet.path}/app"
    assert got[b"PWD"] == app.encode()
    assert got[b"PATH"].startswith(f"{app}/bin:".encode())
    assert (dump.droplet.path / "app/seen").read_text() == f"{app} 8080 3 512m\n"


@pytest.mark.parametrize(
    "profile",
    [
        "false",
        "return 3",
        "if then fi",
        "nonexistent-command",
        "set -u; set -e; set -f; true; set -x; false || false; return 1",
        "IFS=x; set -- a b; false",
    ],
)
def test_a_profile_that_fails_is_reported_and_the_start_goes_on(dump, profile):
    if "set -e" in profile:
        profile = profile.replace("set -e; ", "")
    got = dump(files={".profile": f"export BEFORE=1\n{profile}\n"})
    assert "./.profile ended with status" in dump.said
    # What does not parse to its end has been run up to there.
    assert got[b"BEFORE"] == b"1"


@pytest.mark.parametrize(("profile", "status"), [("exit 7", 7), ("set -e; false; true", 1), ("exit 0", 0)])
def test_a_profile_that_ends_the_start_is_named(make_droplet, profile, status):
    droplet = make_droplet(Process("web", ("/bin/echo", "running")))
    droplet.write(".profile.d/x.sh", profile)
    ended = droplet.run("-p", "80")
    assert (ended.returncode, ended.stdout) == (status, b"")
    assert f"./.profile.d/x.sh ended the start with status {status}".encode() in ended.stderr
    assert not droplet.run_pid.exists()


def test_options_and_traps_of_a_profile_do_not_reach_the_server(make_droplet):
    droplet = make_droplet(Process("web", ("/bin/grep", "SigIgn", "/proc/self/status")))
    droplet.write(
        ".profile",
        "set -aefux; shopt -s nullglob failglob; trap '' TERM INT; trap 'echo debug' DEBUG\n",
    )
    ended = droplet.run("-p", "80")
    assert ended.returncode == 0
    assert int(ended.stdout.split()[-1], 16) & 0b100000000000110 == 0


def test_a_profile_may_change_what_the_workers_are_computed_from(dump):
    model = WorkerModel(32, 128, 0, limit_variable="EACH", shares=(Share("SHARE", 8, 1, 999),))
    process = Process(
        "web",
        (),
        workers=model,
        environment={"COPY": "${WEB_CONCURRENCY}", "KEPT": "${WEB_CONCURRENCY}", "PATH": "/x:${PATH}"},
    )
    got = dump(
        files={".profile": "export MEMORY_LIMIT=1G KEPT=mine"}, process=process, environment={"PATH": "/bin"}
    )
    assert (got[b"MEMORY_LIMIT"], got[b"WEB_CONCURRENCY"], got[b"SHARE"]) == (b"1024m", b"6", b"128")
    assert (got[b"COPY"], got[b"KEPT"]) == (b"6", b"mine")
    assert got[b"PATH"].count(b"/x:") == 1
    got = dump(files={".profile": "export WEB_CONCURRENCY=2"}, process=process)
    assert (got[b"WEB_CONCURRENCY"], got[b"STAGER_WORKERS"], got[b"COPY"]) == (b"2", b"2", b"2")


# ---- what is written down


def test_env_log_lists_names_and_only_harmless_values(dump):
    got = dump(
        {"SECRET_KEY": "s3cr3t\nline", "VCAP_SERVICES": "s3cr3t", "STAGER_TOKEN": "s3cr3t", "EMPTY": ""}
    )
    log = (dump.droplet.path / "logs/env.log").read_text()
    lines = log.splitlines()
    assert {"SECRET_KEY", "VCAP_SERVICES", "STAGER_TOKEN", "EMPTY"} <= set(lines)
    assert {"PORT=8080", "MEMORY_LIMIT=512m", f"HOME={dump.droplet.path}/app", "STAGER_TYPE=web"} <= set(
        lines
    )
    assert "s3cr3t" not in log
    listed = {line.partition("=")[0] for line in lines}
    assert {name.decode() for name in got} - {"_"} == listed - {"_"}


LOOK = """
import glob, os, sys
found = []
for name in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        found += [name] * (os.environb[b"SECRET"] in open(name, "rb").read())
    except OSError:
        pass
sys.exit(str(found) if found else 0)
"""


def test_secrets_are_in_no_argv_no_file_and_no_output(make_droplet):
    secret = str(uuid.uuid4())
    droplet = make_droplet(Process("web", (sys.executable, "-I", "-c", LOOK)))
    droplet.write(".profile", "export MORE=$SECRET")
    ended = droplet.run(
        "-p", "80", environment={"VCAP_SERVICES": secret, "STAGER_LOGS": "files", "SECRET": secret}
    )
    assert ended.returncode == 0
    assert secret.encode() not in ended.stdout + ended.stderr
    for path in droplet.path.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_open_files_are_raised_as_far_as_is_allowed(make_droplet):
    droplet = make_droplet(Process("web", Shell("ulimit -Sn")))
    limited = droplet.path / "limited"
    limited.write_text('#!/bin/bash\nulimit -Sn "$SOFT"; ulimit -Hn "$HARD"; exec "${0%/*}/startup" -p 80\n')
    limited.chmod(0o755)

    def files(soft, hard):
        return droplet.run(program=limited, environment={"SOFT": soft, "HARD": hard})

    assert files("256", "4096").stdout == b"1024\n"
    assert files("2048", "4096").stdout == b"2048\n"
    ended = files("256", "512")
    assert ended.stdout == b"512\n"
    assert b"ulimit" not in ended.stderr

"""Where a start puts things, whom they belong to, and what that takes."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from pathlib import Path

import pytest

from stager.model.plan import PrivateFile, Process, Shell

PLAIN = Process("web", ("/bin/cat", "/proc/self/environ"), has_sockets=False)
#: As root, one that changes its user by itself.
DROPPING = Process("web", ("/bin/echo", "for ${STAGER_SERVER_USER}"), has_sockets=False)
WWW_DATA = pwd.getpwnam("www-data").pw_uid
NOBODY = pwd.getpwnam("nobody").pw_uid
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it as root")


def environment_of(droplet, **options):
    ended = droplet.run("-p", "80", **options)
    assert ended.returncode == 0, ended.stderr
    return dict(one.split("=", 1) for one in ended.stdout.decode().split("\0")[:-1])


def run_without_programs(droplet, tmp_path, **environment):
    """What it prints where bash finds no program at all."""
    given = {"PATH": str(tmp_path / "nothing"), **environment}
    started = droplet.start("-p", "80", environment=given, start_new_session=True)
    assert started.end() == 0, started.text
    return started.text


def test_who_opens_no_sockets_gets_no_private_directory(make_droplet):
    droplet = make_droplet(PLAIN)
    assert environment_of(droplet)["STAGER_SOCKETS"] == str(droplet.path / "run")
    assert "sockets" not in droplet.run_pid.read_text()
    (droplet.path / "run/kept").write_text("")
    droplet.stops()
    assert (droplet.path / "run/kept").exists()
    assert not droplet.run_pid.exists()


def test_a_start_that_is_ended_does_not_take_run_with_it(make_droplet):
    droplet = make_droplet(PLAIN)
    droplet.write(".profile", "exit 7")
    ended = droplet.run("-p", "80")
    assert ended.returncode == 7
    assert (droplet.path / "run").is_dir()
    assert not droplet.run_pid.exists()


def test_elsewhere_run_is_that_of_the_state(make_droplet, tmp_path, unprivileged_user):
    droplet = make_droplet(PLAIN, account=unprivileged_user)
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, unprivileged_user.uid, unprivileged_user.gid)
    got = environment_of(droplet, environment={"STAGER_RUN_DIR": str(state)})
    assert (got["STAGER_SOCKETS"], got["STAGER_STATE"]) == (f"{state}/run", str(state))


@pytest.mark.parametrize("reason", ["sockets", "files", "name"])
def test_a_private_directory_is_made_for_what_has_to_lie_in_it(make_droplet, reason):
    process = Process("web", PLAIN.command, has_sockets=reason == "sockets")
    files = (PrivateFile("a", text="b"),) if reason == "files" else ()
    droplet = make_droplet(process, private_files=files, at='a"b$c' if reason == "name" else None)
    got = environment_of(droplet)
    assert got["STAGER_SOCKETS"].startswith("/tmp/stager.")
    assert Path(got["STAGER_SOCKETS"]).is_dir()
    assert (got["STAGER_ROOT"] == f"{got['STAGER_SOCKETS']}/droplet") == (reason == "name")
    droplet.stops()
    assert not Path(got["STAGER_SOCKETS"]).exists()


def test_a_start_without_a_private_directory_needs_no_program(make_droplet, tmp_path, unprivileged_user):
    droplet = make_droplet(DROPPING, account=unprivileged_user)
    given = {"PATH": str(tmp_path / "nothing")}
    # Our log cannot be opened by another user, and what carries the output to it is a program.
    nowhere = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    for _ in range(2):
        started = droplet.start("-p", "80", environment=given, start_new_session=True, **nowhere)
        assert started.end() == 0
        assert "STAGER_TYPE=web\n" in (droplet.path / "logs/env.log").read_text()
        droplet.stops()


@as_root
def test_as_root_only_the_first_start_needs_one(make_droplet, tmp_path):
    droplet = make_droplet(DROPPING)
    assert droplet.run("-p", "80").stdout == b"for www-data\n"
    for port in ("81", "82"):
        droplet.stops()
        said = run_without_programs(droplet, tmp_path, PORT=port)
        assert "for www-data" in said
        assert "not found" not in said
    log = droplet.path / "logs/env.log"
    assert "PORT=80\n" in log.read_text()
    assert log.read_text().count("STAGER_INSTANCE=") == 1
    assert log.stat().st_uid == 0
    assert {(droplet.path / name).stat().st_uid for name in ("logs", "tmp", "run")} == {WWW_DATA}


@as_root
def test_as_root_it_is_said_if_not_everything_could_be_given_away(make_droplet, tmp_path):
    droplet = make_droplet(DROPPING)
    said = run_without_programs(droplet, tmp_path)
    assert "warning: not everything belongs to www-data now" in said
    assert "for www-data" in said
    droplet.stops()
    assert "not everything" not in droplet.run("-p", "80").stderr.decode()
    assert (droplet.path / "tmp").stat().st_uid == WWW_DATA


@as_root
def test_what_is_written_anew_is_no_longer_than_what_is_said(make_droplet):
    droplet = make_droplet(DROPPING)
    names = {f"GIVEN_{number}" for number in range(100)}
    for given in (names, set()):
        assert droplet.run("-p", "80", environment=dict.fromkeys(given, "1")).returncode == 0
        lines = (droplet.path / "logs/env.log").read_text().splitlines()
        assert names & set(lines) == given
        droplet.stops()
    assert len(lines) == len(set(lines))


def plant_link(log, tmp_path):
    (tmp_path / "precious").write_text(log.read_text())
    log.unlink()
    log.symlink_to(tmp_path / "precious")


def plant_own(log, tmp_path):
    text = log.read_text()
    log.unlink()
    log.write_text(text)
    os.chown(log, WWW_DATA, WWW_DATA)


def plant_other(log, tmp_path):
    (tmp_path / "precious").write_text("root:x:0:0\n")
    log.unlink()
    os.link(tmp_path / "precious", log)


def plant_pipe(log, tmp_path):
    log.unlink()
    os.mkfifo(log)


@as_root
@pytest.mark.parametrize("plant", [plant_link, plant_own, plant_other, plant_pipe])
def test_an_env_log_that_is_not_ours_is_made_anew(make_droplet, tmp_path, plant):
    droplet = make_droplet(DROPPING)
    assert droplet.run("-p", "80").returncode == 0
    droplet.stops()
    log = droplet.path / "logs/env.log"
    plant(log, tmp_path)
    before = (tmp_path / "precious").read_text() if (tmp_path / "precious").exists() else ""
    ended = droplet.run("-p", "81")
    assert ended.returncode == 0, ended.stderr
    assert log.lstat().st_nlink == 1
    assert log.is_file()
    assert not log.is_symlink()
    assert log.stat().st_uid == 0
    assert "PORT=81\n" in log.read_text()
    if before:
        assert (tmp_path / "precious").read_text() == before


@as_root
@pytest.mark.parametrize("why", ["user", "type", "profile", "writable", "folder"])
def test_what_belongs_to_another_is_given_away_again(make_droplet, why):
    worker = Process("worker", DROPPING.command, has_sockets=False)
    droplet = make_droplet(DROPPING, worker, writable=("app/var",) if why == "writable" else ())
    droplet.write("var/cache", "")
    if why == "profile":
        droplet.write(".profile.d/a.sh", "")
    assert droplet.run("-p", "80").returncode == 0
    droplet.stops()
    mine = droplet.path / "tmp/mine"
    mine.write_text("")
    if why == "folder":
        os.chown(droplet.path / "tmp", 0, 0)
    given = {"STAGER_USER": "nobody"} if why == "user" else {}
    ended = droplet.run("-p", "80", "-t", "worker" if why == "type" else "web", environment=given)
    assert ended.returncode == 0, ended.stderr
    owner = NOBODY if why == "user" else WWW_DATA
    assert {path.stat().st_uid for path in (droplet.path / "tmp", mine)} == {owner}
    assert (droplet.path / "logs/env.log").stat().st_uid == 0


def test_what_a_killed_server_wrote_its_pid_into_is_removed(make_droplet):
    script = 'echo $$ > "$STAGER_STATE/run/server.pid"; echo up; sleep 1000'
    files = ("server.pid", "run/server.pid")
    droplet = make_droplet(Process("web", Shell(script), has_sockets=False, pid_files=files))
    started = droplet.start()
    started.wait_for("^up$")
    (droplet.path / "run/other").write_text("")
    os.killpg(started.pid, signal.SIGKILL)
    started.end()
    droplet.stops()
    assert [path.name for path in (droplet.path / "run").iterdir()] == ["other"]
    assert not droplet.run_pid.exists()

"""What is different when root starts it."""

from __future__ import annotations

import os
import pwd

import pytest

from stager.model.plan import Process, Shell

WHO = Shell('echo "$STAGER_AS $STAGER_SERVER_USER $STAGER_SERVER_GROUP"')


@pytest.fixture(autouse=True)
def needs_root():
    if os.geteuid() != 0:
        pytest.skip("only root can start it as root")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "www-data www-data"),
        ({"STAGER_USER": ""}, "www-data www-data"),
        ({"STAGER_USER": "nobody"}, "nobody nogroup"),
        ({"STAGER_USER": "65534"}, "nobody nogroup"),
    ],
)
def test_the_servers_user_is_www_data_or_the_one_that_is_named(make_droplet, given, expected):
    ended = make_droplet(Process("web", WHO)).run("-p", "80", environment=given)
    assert ended.stdout.decode() == f"root {expected}\n"


@pytest.mark.parametrize("user", ["root", "0", "+0"])
def test_root_is_refused_as_the_servers_user(make_droplet, user):
    ended = make_droplet(Process("web", WHO)).run("-p", "80", environment={"STAGER_USER": user})
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"is root" in ended.stderr


@pytest.mark.parametrize("user", ["no-such-user", "-x", "a b", "12345678", "$(id)"])
def test_a_user_that_does_not_exist_is_a_missing_thing_of_the_host(make_droplet, user):
    ended = make_droplet(Process("web", WHO)).run("-p", "80", environment={"STAGER_USER": user})
    assert ended.returncode == 4
    assert f"there is no user '{user}' on this host".encode() in ended.stderr


def test_the_servers_user_gets_what_it_has_to_write_and_nothing_else(make_droplet, tmp_path):
    web = Process("web", Shell('stat -c %U "$STAGER_SOCKETS"; stat -c %a "$STAGER_SOCKETS"'))
    droplet = make_droplet(web, writable=("app/storage", "app/missing", "app/it's", "app/link"))
    outside = tmp_path / "outside"
    outside.write_text("")
    droplet.write("storage/deep/file", "")
    droplet.write("it's", "")
    droplet.write("other", "")
    (droplet.path / "app/storage/link").symlink_to(outside)
    (droplet.path / "app/link").symlink_to(outside)
    ended = droplet.run("-p", "80")
    assert ended.stdout == b"www-data\n700\n"
    uid = pwd.getpwnam("www-data").pw_uid
    theirs = {
        str(path.relative_to(droplet.path)) for path in droplet.path.rglob("*") if path.lstat().st_uid == uid
    }
    assert theirs == {
        "logs", "logs/env.log", "tmp", "run", "app/storage", "app/storage/deep", "app/storage/deep/file",
        "app/storage/link", "app/link", "app/it's", "app/missing",
    } - {"logs/env.log"}  # fmt: skip
    assert outside.stat().st_uid == 0
    assert droplet.run_pid.stat().st_uid == 0


def test_a_process_that_does_not_change_its_user_is_warned_about(make_droplet):
    warned = b"runs as root: nothing in its command changes to www-data"
    assert warned in make_droplet(Process("web", WHO)).run("-p", "80").stderr
    for process in (
        Process("web", ("/bin/echo", "--user=${STAGER_SERVER_USER}")),
        Process("web", ("/bin/echo", "-DSTAGER_AS_${STAGER_AS}")),
        Process("web", ("/bin/echo",), environment={"DAEMON_USER": "${STAGER_SERVER_USER}"}),
    ):
        assert warned not in make_droplet(process).run("-p", "80").stderr


def test_links_that_the_servers_user_has_planted_are_not_followed(make_droplet, tmp_path):
    droplet = make_droplet(Process("web", ("/bin/echo", "out")))
    for name in ("env.log", "stdout.log", "stderr.log"):
        (tmp_path / name).write_text("precious")
        (droplet.path / "logs" / name).symlink_to(tmp_path / name)
    ended = droplet.run("-p", "80", environment={"STAGER_LOGS": "files"})
    assert ended.returncode == 0
    for name in ("env.log", "stdout.log", "stderr.log"):
        assert (tmp_path / name).read_text() == "precious"
        assert (tmp_path / name).stat().st_uid == 0
        assert (droplet.path / "logs" / name).read_text() != ""


def test_a_variable_cannot_pretend_that_we_are_somebody_else(make_droplet, unprivileged_user):
    droplet = make_droplet(Process("web", WHO))
    pretended = {"EUID": "77", "UID": "77"}
    assert droplet.run("-p", "80", environment=pretended).stdout.startswith(b"root ")
    droplet = make_droplet(Process("web", WHO), account=unprivileged_user)
    ended = droplet.run("-p", "80", environment={"EUID": "0", "UID": "0"})
    assert ended.stdout.decode() == f"user {unprivileged_user.name} {unprivileged_user.name}\n"


def test_a_user_without_a_name_is_a_number(make_droplet, unprivileged_user):
    class Nobody:
        uid = gid = 54321
        options = {"user": 54321, "group": 54321, "extra_groups": []}  # noqa: RUF012

    ended = make_droplet(Process("web", WHO), account=Nobody).run("-p", "80")
    assert ended.stdout == b"user 54321 54321\n"
    assert b"cannot find name" not in ended.stderr


def test_a_check_gives_nothing_away(make_droplet):
    droplet = make_droplet(Process("web", WHO, checks=(("/bin/true",),)), writable=("app",))
    assert droplet.run("--check").returncode == 0
    assert {path.lstat().st_uid for path in droplet.path.rglob("*")} == {0}

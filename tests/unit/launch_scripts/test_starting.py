"""``startup``: what it is asked for, from where, and when it refuses."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stager.errors import TemplateFailed
from stager.model.host import HostTool
from stager.model.plan import PrivateFile, Process, Shell

CAT = ("/bin/cat", "/proc/self/environ")
SAY_PORT = Process("web", ("/bin/echo", "port ${PORT}"))


@pytest.mark.parametrize(
    "port", ["0", "65536", "99999999999999999999", "abc", "-1", "80 ", "", "0x50", "080", "8080; id"]
)
def test_a_port_that_is_none_is_a_usage_error(make_droplet, port):
    ended = make_droplet(SAY_PORT).run("-p", port)
    assert ended.returncode == 2
    assert b"is not a port" in ended.stderr
    assert b"usage: startup" in ended.stderr
    assert ended.stdout == b""


@pytest.mark.parametrize("name", ["PORT", "VCAP_APP_PORT"])
def test_a_port_in_the_environment_that_is_none_is_a_usage_error(make_droplet, name):
    ended = make_droplet(SAY_PORT).run(environment={name: "http"})
    assert ended.returncode == 2
    assert f"{name}: 'http' is not a port".encode() in ended.stderr


def test_the_flag_wins_over_port_and_port_over_vcap_app_port(make_droplet):
    droplet = make_droplet(SAY_PORT)
    both = {"PORT": "2000", "VCAP_APP_PORT": "3000"}
    assert droplet.run("-p", "1000", environment=both).stdout == b"port 1000\n"
    assert droplet.run(environment=both).stdout == b"port 2000\n"
    assert droplet.run(environment={**both, "PORT": ""}).stdout == b"port 3000\n"


def test_web_needs_a_port_and_a_worker_does_not(make_droplet):
    droplet = make_droplet(SAY_PORT, Process("worker", ("/bin/echo", "working")))
    ended = droplet.run()
    assert ended.returncode == 2
    assert b"web needs a port" in ended.stderr
    assert droplet.run("-t", "worker").stdout == b"working\n"


@pytest.mark.parametrize(
    "arguments", [["-p"], ["-t"], ["-t", ""], ["-t", "nothing"], ["--port", "80"], ["80"], ["-p80"], [""]]
)
def test_other_arguments_are_usage_errors(make_droplet, arguments):
    ended = make_droplet(SAY_PORT).run(*arguments)
    assert ended.returncode == 2
    assert b"usage: startup" in ended.stderr


def test_help_names_the_process_types(make_droplet):
    ended = make_droplet(SAY_PORT, Process("a worker's", ("true",))).run("-h")
    assert ended.returncode == 0
    assert b"web, a worker's" in ended.stdout
    assert ended.stderr == b""


def test_the_only_process_type_is_the_default(make_droplet):
    assert make_droplet(Process("it's *", ("/bin/echo", "one"))).run().stdout == b"one\n"


def test_without_web_one_of_several_types_has_to_be_named(make_droplet):
    droplet = make_droplet(Process("a", ("/bin/echo", "one")), Process("b", ("/bin/echo", "two")))
    ended = droplet.run()
    assert ended.returncode == 2
    assert b"name one with -t" in ended.stderr
    assert droplet.run("-t", "b").stdout == b"two\n"


STRANGE = [
    "with space",
    "it's",
    'a"quote',
    "new\nline",
    "colon:$HOME",
    "star*[x]?",
    "-p",
    "\udcff\udc80bytes",
    "ends\n",
    "a&b;c",
    "ünï",
]


@pytest.mark.parametrize("name", STRANGE)
def test_it_starts_and_stops_in_a_directory_of_any_name(make_droplet, name, wait_until):
    text = 'echo x > "$TMPDIR/t"; printf "%s\\0" "$PWD" "$HOME" "$STAGER_DROPLET" > "$STAGER_ROOT/app/new"'
    text += "; mv new made; sleep 1000"
    droplet = make_droplet(Process("web", Shell(text)), at=f"{name}/droplet")
    started = droplet.start()
    made = droplet.path / "app/made"
    wait_until(made.exists)
    real = os.fsencode(os.path.realpath(droplet.path))
    assert made.read_bytes().split(b"\0")[:3] == [real + b"/app", real + b"/app", real]
    assert (droplet.path / "tmp/t").exists()
    droplet.stops()
    assert started.end() == -signal.SIGTERM
    assert not droplet.run_pid.exists()


def test_it_starts_through_links_relatively_and_with_a_relative_run_directory(make_droplet, tmp_path):
    droplet = make_droplet(Process("web", Shell('echo "in $PWD with $STAGER_STATE"')))
    (tmp_path / "link").symlink_to(droplet.path)
    (tmp_path / "start it").symlink_to("droplet0/startup")
    (tmp_path / "elsewhere").mkdir()
    here = os.fsencode(os.path.realpath(droplet.path))
    ways = [
        ("./droplet0/startup", tmp_path), ("droplet0/startup", tmp_path), ("./startup", droplet.path),
        ("../startup", droplet.path / "app"), ("./link/startup", tmp_path), ("./start it", tmp_path),
        (str(tmp_path / "start it"), "/"),
    ]  # fmt: skip
    for program, cwd in ways:
        ended = droplet.run("-p", "80", program=program, cwd=cwd)
        assert ended.stdout == b"in %s/app with %s\n" % (here, here), program
    ended = droplet.run(
        "-p", "80", program="./droplet0/startup", cwd=tmp_path, environment={"STAGER_RUN_DIR": "else where"}
    )
    assert ended.stdout.endswith(b"/else where\n")
    assert sorted(os.listdir(tmp_path / "else where")) == ["logs", "run", "run.pid", "tmp"]
    ended = droplet.run(program="./droplet0/stop", cwd=tmp_path, environment={"STAGER_RUN_DIR": "else where"})
    assert ended.returncode == 0
    assert not (tmp_path / "else where/run.pid").exists()


@pytest.mark.parametrize("shell", [["bash"], ["sh"], ["bash", "--posix"]])
def test_it_may_be_given_to_a_shell(make_droplet, shell):
    droplet = make_droplet(SAY_PORT)
    ended = subprocess.run(
        [*shell, "startup", "-p", "81"],
        cwd=droplet.path,
        capture_output=True,
        check=False,
        env=droplet.environ({}),
    )
    assert (ended.returncode, ended.stdout) == (0, b"port 81\n")


def test_it_has_a_group_of_its_own_under_the_pid_that_was_started(server, stat_of):
    started = server.start()
    started.wait_for(rf"serving {started.pid}")
    _, _, group, session, start = stat_of(started.pid)
    assert group == session == started.pid
    assert server.run_pid.read_text().splitlines()[0] == f"{started.pid} {start} web"


def test_a_group_leader_stays_where_it_is(server, stat_of):
    started = server.start(process_group=0)
    started.wait_for(rf"serving {started.pid}")
    assert stat_of(started.pid)[2:4] == (started.pid, os.getsid(0))
    server.stops()


def test_int_and_quit_are_not_ignored_when_a_shell_starts_it_with_an_ampersand(make_droplet, tmp_path):
    droplet = make_droplet(Process("web", ("/bin/grep", "SigIgn", "/proc/self/status")))
    script = f"{droplet.path}/startup -p 80 & wait"
    ended = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, check=True, env=droplet.environ({})
    )
    assert int(ended.stdout.split()[1], 16) & 0b110 == 0


def test_a_name_that_looks_like_the_end_of_a_process_name_does_not_confuse_it(make_droplet, tmp_path):
    # The kernel puts the script's name, cut to 15 bytes, between parentheses into /proc/PID/stat.
    droplet = make_droplet(Process("web", Shell("echo fine")))
    link = tmp_path / "a) R 1 1 \n1 ("
    link.symlink_to(droplet.path / "startup")
    assert droplet.run("-p", "80", program=link).stdout == b"fine\n"


def test_a_second_start_is_refused_while_the_first_lives(server):
    started = server.start()
    started.wait_for("^serving")
    before = server.run_pid.read_text()
    ended = server.run("-p", "1024")
    assert ended.returncode == 3
    assert f"process {started.pid} (web)".encode() in ended.stderr
    assert server.run_pid.read_text() == before
    assert server.sockets.is_dir()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n",
        "garbage",
        "\0\1\2",
        "1 1 web\n",
        "{pid} 1 web\n",
        "-1 5\n",
        "99999999 5 web\n",
        "a[$(touch /tmp/never)] 1\n",
        "0 0\n",
        "{pid}",
    ],
)
def test_a_stale_or_recycled_or_broken_run_pid_does_not_stop_it(server, content):
    server.run_pid.write_text(content.format(pid=os.getpid()))
    started = server.start()
    started.wait_for("^serving")
    assert server.run_pid.read_text().startswith(f"{started.pid} ")
    assert not Path("/tmp/never").exists()


def test_of_many_simultaneous_starts_exactly_one_wins(server):
    started = [server.start("-t", "worker") for _ in range(6)]
    deadline = time.monotonic() + 20
    while sum(one.process.poll() is None for one in started) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    (winner,) = (one for one in started if one.process.poll() is None)
    assert {one.process.poll() for one in started if one is not winner} == {3}
    winner.wait_for("^working")
    assert server.run_pid.read_text().startswith(f"{winner.pid} ")
    assert server.sockets.is_dir()


def test_what_a_killed_instance_left_is_cleared_before_the_next_one(server, lives, wait_until):
    first = server.start("-t", "worker")
    first.wait_for("^working")
    sockets = server.sockets
    (child,) = wait_until(lambda: children_of(first.pid))
    first.process.kill()
    first.end()
    second = server.start("-t", "worker")
    second.wait_for("^working")
    assert not sockets.exists()
    assert not lives(child)
    assert server.sockets != sockets


def children_of(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize(("command", "code"), [(("/nonexistent",), 127), (("./data",), 126)])
def test_a_command_that_cannot_be_executed_leaves_nothing(make_droplet, command, code):
    droplet = make_droplet(Process("web", command))
    droplet.write("data", "nothing to run")
    droplet.write(".profile", "echo $STAGER_SOCKETS")
    ended = droplet.run("-p", "80")
    assert ended.returncode == code
    assert b"cannot be executed" in ended.stderr
    assert not droplet.run_pid.exists()
    assert not os.path.exists(ended.stdout.strip())


def test_the_words_of_a_command_arrive_as_they_are(make_droplet):
    words = [
        "it's",
        '"',
        "$HOME $(id) `id` ${nope",
        "",
        "*",
        "new\nline",
        "a\\b",
        "ünï",
        "\udcff",
        "-n",
        "tab\t",
        "$$x",
        "${STAGER_TYPE}/$${PORT}",
    ]
    code = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    droplet = make_droplet(Process("web", (sys.executable, "-I", "-c", code, *words)))
    got = droplet.run("-p", "80").stdout.split(b"\0")
    assert got == [*(os.fsencode(word) for word in words[:-2]), b"$x", b"web/${PORT}"]


def test_shell_text_runs_as_written_in_app(make_droplet):
    text = "x='a  b'; echo \"$x\" it\\'s $((1+1)) | cat; for i in 1 2; do echo $i; done; pwd # ünï"
    droplet = make_droplet(Process("web", Shell(text)))
    assert droplet.run("-p", "80").stdout.decode() == f"a  b it's 2\n1\n2\n{droplet.path}/app\n"


def test_the_exit_status_is_the_servers(make_droplet):
    assert make_droplet(Process("web", Shell("exit 42"))).run("-p", "80").returncode == 42


# ---- host tools

SH = HostTool("a shell", "runs", "dash", programs=("nonexistent-sh", "dash", "sh"), variable="STAGER_A_SHELL")
PROC = HostTool(
    "the kernel", "is there", "linux", files=("/nonexistent/*", "/pro*/sel[f]/stat"), variable="STAGER_STAT"
)
GONE = HostTool(
    "a thing's",
    "is missing",
    "thing-package",
    programs=("no-such-*",),
    files=("/no/such",),
    variable="STAGER_GONE",
)


def test_tools_are_found_and_handed_over(make_droplet):
    web = Process("web", ("${STAGER_A_SHELL}", "-c", 'echo "$0 $STAGER_STAT"', "${STAGER_A_SHELL}"))
    ended = make_droplet(web, tools=(SH, PROC)).run("-p", "80")
    assert re.fullmatch(rb"/(usr/)?bin/dash /proc/self/stat\n", ended.stdout)


def test_a_missing_tool_is_named_with_its_package_before_anything_runs(make_droplet):
    droplet = make_droplet(SAY_PORT, tools=(SH, GONE))
    droplet.write(".profile", "echo PROFILE RAN")
    ended = droplet.run("-p", "80")
    assert ended.returncode == 4
    assert b"a thing's is not on this host" in ended.stderr
    assert b"apt-get install thing-package" in ended.stderr
    assert ended.stdout == b""
    assert not droplet.run_pid.exists()


def test_an_optional_tool_may_be_missing_unless_the_process_refers_to_it(make_droplet):
    gone = HostTool(
        "opt", "is missing", "opt-package", programs=("no-such",), variable="STAGER_OPT", optional=True
    )
    uses = Process("worker", ("${STAGER_OPT}", "x"))
    droplet = make_droplet(
        SAY_PORT, uses, tools=(gone, HostTool("b", "", "b", programs=("nope",), when="build"))
    )
    assert droplet.run("-p", "80").stdout == b"port 80\n"
    ended = droplet.run("-t", "worker")
    assert ended.returncode == 4
    assert b"apt-get install opt-package" in ended.stderr


def test_programs_are_found_with_globs_in_odd_directories_and_in_sbin(make_droplet, tmp_path):
    odd = tmp_path / "o*d d[i]r"
    odd.mkdir()
    (odd / "prog-1.5").write_text("#!/bin/sh\n")
    (odd / "prog-1.7").write_text("#!/bin/sh\n")
    (odd / "prog-1.7").chmod(0o755)
    tools = (
        HostTool("p", "", "p", programs=("prog-1.*",), variable="P"),
        HostTool("s", "", "s", programs=("chroot",), variable="S"),
    )
    droplet = make_droplet(Process("web", ("/bin/echo", "${P}", "${S}")), tools=tools)
    ended = droplet.run("-p", "80", environment={"PATH": f"relative::{odd}:/usr/bin:/bin"})
    assert ended.stdout.decode() == f"{odd}/prog-1.7 /usr/sbin/chroot\n"


SNAKE = HostTool(
    "snake 3.11",
    "runs",
    "snake3.11",
    programs=("snake3.11", "snake"),
    start_arguments=("-c", "where is it?"),
    variable="STAGER_SNAKE",
    folder_variable="STAGER_SNAKE_FOLDER",
)


def test_a_tool_whose_name_says_little_is_asked_and_says_itself_where_it_is(make_droplet, programs):
    programs("snake3.11", "echo 'shim: no such version' >&2; exit 127")
    programs("snake", '[[ "$*" == "-c where is it?" ]] && echo /opt/the snake/bin/snake')
    web = Process("web", ("/bin/echo", "${STAGER_SNAKE}", "${STAGER_SNAKE_FOLDER}"))
    ended = make_droplet(web, tools=(SNAKE,)).run("-p", "80")
    assert ended.stdout == b"/opt/the snake/bin/snake /opt/the snake/bin\n"


def test_a_binary_with_its_library_beside_it_is_not_asked_and_goes_before_what_has_to_be(
    make_droplet, programs, tmp_path
):
    programs("snake3.11", "touch asked; exit 1")
    folder, library = tmp_path / "real/bin", tmp_path / "real/lib/snake3.11"
    folder.mkdir(parents=True)
    library.mkdir(parents=True)
    shutil.copy(shutil.which("true"), folder / "snake3.11")
    (tmp_path / "link").symlink_to(folder)
    snake = replace(SNAKE, start_landmarks=("../lib/snake3.11/os.sn",))
    droplet = make_droplet(Process("web", ("/bin/echo", "${STAGER_SNAKE}")), tools=(snake,))
    path = {"PATH": f"{os.environ['PATH']}:{tmp_path}/link:{folder}"}
    assert droplet.run("-p", "80", environment=path).returncode == 4
    (library / "os.sn").touch()
    assert droplet.run("-p", "80", environment=path).stdout.decode() == f"{folder}/snake3.11\n"
    (folder / "snake3.11").write_text("#!/bin/sh\nexit 1\n")
    assert droplet.run("-p", "80", environment=path).returncode == 4
    (folder / "snake3.11").unlink()
    (folder / "snake3.11").symlink_to("/bin/true")
    assert droplet.run("-p", "80", environment=path).returncode == 4


def test_a_landmark_can_tell_the_version(make_droplet, tmp_path):
    folder, header = tmp_path / "real/bin", tmp_path / "real/version.h"
    folder.mkdir(parents=True)
    shutil.copy(shutil.which("true"), folder / "snake3.11")  # asked, it says nothing, and is refused
    snake = replace(SNAKE, start_landmarks=("../version.h",), start_landmark_line="#define MAJOR 3")
    droplet = make_droplet(Process("web", ("/bin/echo", "${STAGER_SNAKE}")), tools=(snake,))
    path = {"PATH": f"{os.environ['PATH']}:{folder}"}
    for text, code in (("", 4), ("#define MAJOR 31\n", 4), ("x\n#define MAJOR 3\n#define MINOR 4\n", 0)):
        header.write_text(text)
        assert droplet.run("-p", "80", environment=path).returncode == code
        droplet.stops()


def test_where_every_candidate_is_the_wrong_one_their_answers_are_shown(make_droplet, programs):
    path = programs("snake", "echo 'is snake 3.12.1'; echo more; exit 1")
    ended = make_droplet(Process("web", ("/bin/echo", "${STAGER_SNAKE}")), tools=(SNAKE,)).run("-p", "80")
    assert ended.returncode == 4
    said = ended.stderr.decode()
    assert "snake 3.11 is not on this host (looked for: snake3.11 snake)" in said
    assert "apt-get install snake3.11" in said
    assert f"there is: {path} is snake 3.12.1\n" in said
    assert ended.stdout == b""


# ---- the private directory


def test_private_files_are_made_before_anything_runs_and_can_be_read_by_the_servers_user(make_droplet):
    files = (
        PrivateFile("env/cfg", "home = ${STAGER_SNAKE_FOLDER}\n$$x 'quoted'\n"),
        PrivateFile("env/bin/cat", link="/bin/cat"),
        PrivateFile("env/none", link="${STAGER_ROOT}/app/not-there"),
        PrivateFile("env/app", link="${STAGER_ROOT}/app"),
    )
    show = 'cd "$STAGER_SOCKETS/env"; cat cfg; stat -c "%a %N" cfg bin/cat app; ls'
    web = Process("web", ("/bin/sh", "-c", show))
    sh = replace(SH, folder_variable="STAGER_SNAKE_FOLDER")
    droplet = make_droplet(web, tools=(sh,), private_files=files)
    said = droplet.run(
        "-c", 'umask 077; exec "$0" -p 80', droplet.path / "startup", program="/bin/sh"
    ).stdout.decode()
    folder = shutil.which("dash").rpartition("/")[0]
    assert said.startswith(f"home = {folder}\n$x 'quoted'\n644 'cfg'\n777 'bin/cat' -> '/bin/cat'\n")
    assert said.endswith(f"'app' -> '{droplet.path}/app'\napp\nbin\ncfg\n")


@pytest.mark.parametrize(
    "file",
    [
        PrivateFile("../x", "text"),
        PrivateFile("/x", "text"),
        PrivateFile("x"),
        PrivateFile("x", "text", "and link"),
        PrivateFile("x", "${STAGER_NOBODY}"),
        PrivateFile("x", "${MEMORY_LIMIT}"),
    ],
)
def test_a_private_file_that_makes_no_sense_fails_the_build(make_droplet, file):
    with pytest.raises(TemplateFailed):
        make_droplet(SAY_PORT, private_files=(file,))


def test_signals_that_would_leave_workers_behind_are_ignored_from_the_start(make_droplet):
    show = Shell("kill -USR1 $$; kill -HUP $$; echo alive; kill -TERM $$; echo never")
    ended = make_droplet(Process("web", show, ignored_signals=("USR1", "HUP"))).run("-p", "80")
    assert ended.stdout == b"alive\n"
    assert ended.returncode == -signal.SIGTERM


# ---- --check


def test_check_asks_the_servers_own_checks_and_leaves_nothing(make_droplet, tmp_path):
    fine = Process(
        "web", ("false",), checks=(("/bin/sh", "-c", "echo checked $PORT in $PWD"), ("/bin/true",))
    )
    droplet = make_droplet(fine)
    ended = droplet.run("--check")
    assert ended.returncode == 0
    assert f"checked 8080 in {droplet.path}/app".encode() in ended.stderr
    assert ended.stdout == b""
    assert not droplet.run_pid.exists()
    assert os.listdir(droplet.path / "logs") == []
    assert b"checked 90" in droplet.run("--check", "-p", "90").stderr


def test_check_fails_when_one_check_does_and_runs_the_others(make_droplet):
    broken = Process(
        "web", ("false",), checks=(("/bin/false",), ("/bin/sh", "-c", "echo also >&2; ls -d $STAGER_SOCKETS"))
    )
    ended = make_droplet(broken).run("--check")
    assert ended.returncode == 1
    assert b"also" in ended.stderr
    sockets = re.search(rb"/tmp/stager\.\w+", ended.stderr)[0]
    assert not os.path.exists(sockets)


def test_check_does_not_mind_an_instance_that_runs(server):
    started = server.start()
    started.wait_for("^serving")
    before = server.run_pid.read_text()
    assert server.run("--check").returncode == 0
    assert server.run_pid.read_text() == before


def test_check_finds_missing_tools(make_droplet):
    assert make_droplet(SAY_PORT, tools=(GONE,)).run("--check").returncode == 4


# ---- where it may write


def test_a_read_only_droplet_runs_with_a_run_directory(make_droplet, unprivileged_user, tmp_path):
    droplet = make_droplet(Process("web", Shell('echo "$STAGER_STATE"; echo x > $TMPDIR/x; sleep 1000')))
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, unprivileged_user.uid, unprivileged_user.gid)
    refused = droplet.run("-p", "80", account=unprivileged_user)
    assert refused.returncode == 1
    assert b"name a directory in STAGER_RUN_DIR" in refused.stderr
    there = {"STAGER_RUN_DIR": str(state / "run it")}
    started = droplet.start(account=unprivileged_user, environment=there)
    started.wait_for(f"{state}/run it")
    assert (state / "run it/run.pid").read_text().startswith(f"{started.pid} ")
    assert not droplet.run_pid.exists()
    assert droplet.stop(account=unprivileged_user).returncode == 0
    assert started.process.poll() is None
    droplet.stops(account=unprivileged_user, environment=there)
    assert sorted(os.listdir(state / "run it")) == ["logs", "run", "tmp"]


def test_it_is_enough_to_be_able_to_write_what_is_named(make_droplet, unprivileged_user):
    droplet = make_droplet(Process("web", Shell("echo up; sleep 1000")))
    for name in ("logs", "tmp", "run"):
        os.chown(droplet.path / name, unprivileged_user.uid, unprivileged_user.gid)
    droplet.run_pid.write_text("")
    os.chown(droplet.run_pid, unprivileged_user.uid, unprivileged_user.gid)
    started = droplet.start(account=unprivileged_user)
    started.wait_for("^up")
    assert droplet.run("-p", "80", account=unprivileged_user).returncode == 3
    droplet.stops(account=unprivileged_user)
    assert droplet.run_pid.read_text() == ""
    assert started.end() == -signal.SIGTERM


def test_it_needs_little_from_the_host(make_droplet, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("setsid", "mkdir", "cat", "chown", "rm", "flock"):
        (folder / name).symlink_to(shutil.which(name))
    droplet = make_droplet(SAY_PORT)
    ended = droplet.run("-p", "80", environment={"PATH": str(folder)})
    assert (ended.returncode, ended.stdout) == (0, b"port 80\n")
    assert droplet.stop(environment={"PATH": str(folder)}).returncode == 0

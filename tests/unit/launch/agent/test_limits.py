import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stager.execution.spawn import Account, Confinement, spawn
from stager.launch.agent.cgroups import ControlGroup, Hierarchies, hierarchies, plan_groups
from stager.launch.agent.limits import Enclosure
from stager.launch.agent.records import InstanceLimits
from stager.launch.processes import read_stat

#: Seconds until something has happened on a machine that does many other things.
PATIENCE = 30.0
MIB = 1 << 20
SMALL = InstanceLimits(memory=64 * MIB, processes=40, fds=64)
PYTHON = "/usr/bin/python3"
ANSWERS = (
    "import http.server as web, sys; "
    "web.HTTPServer(('127.0.0.1', int(sys.argv[1])), web.SimpleHTTPRequestHandler).serve_forever()"
)
HOG = "data = []\nwhile True: data.append(bytearray(1 << 20))"


class Started:
    def __init__(self, enclosure, process, log):
        self.enclosure, self.process, self.log = enclosure, process, log

    @property
    def said(self):
        return self.log.read_text()


@pytest.fixture
def start(tmp_path):
    """Starts Python code under limits; all of it is gone after the test, and its groups too."""
    started = []

    def start_code(code, *arguments, limits=SMALL, account=None, **options):
        enclosure = Enclosure.make(str(uuid.uuid4()), limits, **options)
        log = tmp_path / f"log{len(started)}"
        output = os.open(log, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            process = spawn(
                [PYTHON, "-c", code, *map(str, arguments)],
                environment={"PATH": os.environ["PATH"]},
                cwd=tmp_path,
                output=output,
                account=account,
                confinement=enclosure.confinement,
            )
        except BaseException:
            enclosure.remove()
            raise
        finally:
            os.close(output)
        started.append(Started(enclosure, process, log))
        return started[-1]

    yield start_code
    for one in started:
        assert one.enclosure.remove()
        if one.process.exit_code is None and one.enclosure.group is None:
            os.kill(one.process.pid, signal.SIGKILL)
        assert one.process.wait(PATIENCE) is not None


@pytest.fixture
def grouped(start):
    """The same where control groups can be made; the test is skipped where they cannot."""
    probe = Enclosure.make(str(uuid.uuid4()), SMALL)
    assert probe.remove()
    if probe.group is None:
        pytest.skip("no control group can be made here, not even by root")
    return start


def until(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def answer(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_a_memory_hog_dies_under_its_own_limit_and_its_neighbour_answers(grouped, free_port):
    neighbour = grouped(ANSWERS, free_port)
    assert until(lambda: answer(free_port) == 200)
    hog = grouped(HOG)
    assert hog.process.wait(PATIENCE) == -signal.SIGKILL
    assert hog.enclosure.oom_kills() == 1
    assert hog.enclosure.usage().peak >= 0.9 * SMALL.memory
    assert answer(free_port) == 200
    assert (neighbour.process.exit_code, neighbour.enclosure.oom_kills()) == (None, 0)


def test_a_hog_that_is_somebodys_child_is_counted_where_its_parent_lives_on(grouped):
    argv = f"[sys.executable, '-c', {HOG!r}]"
    code = f"import subprocess, sys; print(subprocess.run({argv}).returncode)"
    started = grouped(code)
    started.process.wait(PATIENCE)
    # v2 ends all of the group at once, v1 the process that took most.
    assert started.enclosure.oom_kills() >= 1
    assert started.enclosure.means == "cgroup2" or started.said == "-9\n"


def test_a_daemon_is_in_the_group_and_ends_with_it(grouped):
    code = (
        "import os, time\n"
        "if os.fork(): time.sleep(60)\n"
        "os.setsid()\n"
        "if os.fork(): os._exit(0)\n"
        "os.environ.clear(); print(os.getpid(), flush=True); time.sleep(60)"
    )
    started = grouped(code)
    assert until(lambda: started.said.endswith("\n"))
    daemon = int(started.said)
    assert daemon in started.enclosure.pids()
    assert started.enclosure.remove()
    assert until(lambda: (stat := read_stat(daemon)) is None or not stat.is_running)
    assert started.process.wait(PATIENCE) == -signal.SIGKILL


def test_a_fork_bomb_is_refused_at_its_limit_and_its_neighbour_can_fork(grouped):
    bomb = (
        "import os, time\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        if not os.fork(): time.sleep(60)\n"
        "    except OSError as error: print(error.errno, flush=True); break\n"
        "time.sleep(60)"
    )
    started = grouped(bomb)
    if not started.enclosure.group.has("pids"):
        pytest.skip("there is no control group for processes here")
    assert until(lambda: started.said)
    assert started.said == "11\n"
    assert started.enclosure.usage().tasks == SMALL.processes
    assert started.enclosure.refused_forks() >= 1
    neighbour = grouped("import subprocess; subprocess.run(['true'], check=True); print('fine')")
    assert neighbour.process.wait(PATIENCE) == 0
    assert started.enclosure.remove()


def test_many_processes_take_no_more_processor_than_one_neighbour(grouped):
    code = (
        "import os\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "for _ in range(int(__import__('sys').argv[1])):\n"
        "    if not os.fork(): break\n"
        "while True: pass"
    )
    hog, neighbour = grouped(code, 7), grouped(code, 0)
    if not hog.enclosure.group.has("cpu") or hog.enclosure.usage().cpu_seconds is None:
        pytest.skip("there is no control group for processor time here")
    until(lambda: neighbour.enclosure.usage().cpu_seconds > 0.1)
    before = [one.enclosure.usage().cpu_seconds for one in (hog, neighbour)]
    until(lambda: neighbour.enclosure.usage().cpu_seconds > before[1] + 0.5)
    used = [
        one.enclosure.usage().cpu_seconds - start for one, start in zip((hog, neighbour), before, strict=True)
    ]
    # Counted by processes it would be eight to one.
    assert used[0] < 3 * used[1]


def test_cores_are_an_upper_bound(grouped):
    started = grouped("while True: pass", cores=0.25)
    if not started.enclosure.group.has("cpu") or started.enclosure.notices:
        pytest.skip("processor time cannot be limited here")
    time.sleep(0.3)
    began, before = time.monotonic(), started.enclosure.usage().cpu_seconds
    time.sleep(1.2)
    share = (started.enclosure.usage().cpu_seconds - before) / (time.monotonic() - began)
    assert 0 < share < 0.4


@pytest.mark.parametrize("means", ["best", "rlimits"])
def test_files_sizes_umask_and_niceness_are_limited_by_every_means(start, tmp_path, means):
    code = (
        "import os, resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "print(os.umask(0), os.nice(0), resource.getrlimit(resource.RLIMIT_NOFILE))\n"
        "held = []\n"
        "try:\n"
        "    while True: held.append(os.open('/dev/null', 0))\n"
        "except OSError as error: print(error.errno, len(held) + 3)\n"
        "os.close(held.pop())\n"
        "try:\n"
        "    with open('large', 'wb', 0) as file:\n"
        "        while True: file.write(bytes(65536))\n"
        "except OSError as error: print(error.errno, os.path.getsize('large'))\n"
    )
    options = {} if means == "best" else {"allowed": ("rlimits",)}
    started = start(code, file_size=2 * MIB, niceness=3, **options)
    assert started.process.wait(PATIENCE) == 0
    nice = os.nice(0) + 3
    assert started.said.splitlines() == [f"63 {nice} (64, 64)", "24 64", f"27 {2 * MIB}"]


def test_it_runs_as_another_user_under_the_same_limits(grouped, unprivileged_user):
    account = Account(unprivileged_user.name, unprivileged_user.uid, unprivileged_user.gid)
    started = grouped(
        "import os; print(os.getuid()); " + HOG.replace("\n", ";exec('") + "')", account=account
    )
    started.process.wait(PATIENCE)
    assert started.enclosure.oom_kills() == 1


def test_without_groups_it_says_so_and_what_happens_between_two_samples_is_bounded(start):
    # Reserved and never touched: it is what the kernel allows that is looked at.
    code = (
        "import mmap\n"
        "data = []\n"
        "try:\n"
        "    while True: data.append(mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))\n"
        "except OSError: print(len(data) * 16)"
    )
    started = start(code, allowed=("rlimits",))
    enclosure = started.enclosure
    assert (enclosure.means, enclosure.group, enclosure.pids()) == ("rlimits", None, ())
    assert any("watched" in notice for notice in enclosure.notices)
    assert any("user's" in notice for notice in enclosure.notices)
    assert started.process.wait(PATIENCE) == 0
    assert 1024 <= int(started.said) <= 1024 + 64
    assert (enclosure.oom_kills(), enclosure.usage()) == (0, None)


def test_without_groups_threads_are_not_refused_for_the_stacks_that_they_reserve(start):
    code = (
        "import threading, time\n"
        "for _ in range(60): threading.Thread(target=time.sleep, args=(0.1,)).start()\n"
        "print('fine')"
    )
    started = start(code, allowed=("rlimits",))
    assert (started.process.wait(PATIENCE), started.said) == (0, "fine\n")


def test_more_open_files_than_are_possible_here_are_cut_and_named():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = InstanceLimits(fds=hard + 1)
    enclosure = Enclosure.make(str(uuid.uuid4()), wanted, allowed=("rlimits",))
    assert enclosure.confinement.fds == hard
    assert any(f"Only {hard} open files" in notice for notice in enclosure.notices)


def test_who_is_not_admitted_never_runs(tmp_path):
    def refuse(pid):
        raise PermissionError(13, "no", str(pid))

    with open(tmp_path / "log", "wb") as log, pytest.raises(PermissionError):
        spawn(
            ["/usr/bin/touch", str(tmp_path / "ran")],
            environment={},
            cwd=tmp_path,
            output=log.fileno(),
            confinement=Confinement(admit=refuse),
        )
    time.sleep(0.05)
    assert not (tmp_path / "ran").exists()


def test_variables_of_any_name_reach_a_confined_program(tmp_path):
    environment = {
        "a.b": "1",
        "line": "2",
        "BASH_ENV": "/nonexistent",
        "BASH_FUNC_x%%": "() { :; }",
        "c": "\n",
    }
    with open(tmp_path / "log", "wb") as log:
        process = spawn(
            ["/usr/bin/env", "-0"],
            environment=environment,
            cwd=tmp_path,
            output=log.fileno(),
            confinement=Confinement(),
        )
        assert process.wait(PATIENCE) == 0
    found = dict(item.split("=", 1) for item in (tmp_path / "log").read_text().split("\0")[:-1])
    assert environment.items() <= found.items()


def test_a_program_that_is_not_there_is_an_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        spawn(["/nonexistent/startup"], environment={}, cwd=tmp_path, output=2, confinement=Confinement())


def test_another_supervisor_finds_the_group_by_what_was_written(grouped, tmp_path):
    started = grouped("import time; time.sleep(60)", note=tmp_path / "enclosure.json")
    assert set(json.loads((tmp_path / "enclosure.json").read_text())) == {"means", "directories"}
    found = Enclosure.read(tmp_path / "enclosure.json", SMALL)
    assert (found.means, found.group) == (started.enclosure.means, started.enclosure.group)
    assert started.process.pid in found.pids()
    assert found.remove()
    assert found.remove()
    assert Enclosure.read(tmp_path / "enclosure.json", SMALL).group is None
    assert Enclosure.read(tmp_path / "nothing", SMALL).means == "rlimits"


class Killed(BaseException):
    """What a kill -9 does to what follows."""


def kill_at(number, call):
    """``call``, of which the call of that number never comes back."""
    calls = []

    def killed(*arguments, **options):
        calls.append(arguments)
        if len(calls) == number:
            raise Killed
        return call(*arguments, **options)

    return killed


def planned_directories(name):
    planned = [group for where in hierarchies() for group in plan_groups(where, name)]
    return [directory for group in planned for directory in group.directories.values()]


@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("begun", ["mkdir", "rmdir"])
def test_groups_that_a_killed_supervisor_had_only_begun_to_make_or_remove_are_removed(
    grouped, tmp_path, monkeypatch, begun, number
):
    note, name = tmp_path / "enclosure.json", str(uuid.uuid4())
    planned = planned_directories(name)
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(Path, begun, kill_at(number, getattr(Path, begun)))
        Enclosure.make(name, SMALL, note=note).remove()
    assert note.exists()
    assert Enclosure.read(note, SMALL).remove()
    assert not [one for one in planned if one.exists()]


def test_an_unprivileged_user_gets_what_is_possible(unprivileged_user):
    code = (
        "from stager.launch.agent.limits import Enclosure\n"
        "from stager.launch.agent.records import InstanceLimits\n"
        "one = Enclosure.make('test-of-an-unprivileged-user', InstanceLimits())\n"
        "print(one.means, bool(one.notices)); one.remove()"
    )
    who = [f"--reuid={unprivileged_user.uid}", f"--regid={unprivileged_user.gid}", "--clear-groups"]
    # The project may lie where only root can look; to read is no right to make a group.
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    argv = ["setpriv", *who, *reading, sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, cwd="/", check=True)
    assert done.stdout in {"rlimits True\n", "cgroup2 False\n"}


def write_proc(folder, cgroup, mounts):
    folder.mkdir()
    (folder / "cgroup").write_text(cgroup)
    lines = [
        f"30 20 0:26 {root} {place} rw,nosuid - {kind} cgroup rw,{options}"
        for kind, options, root, place in mounts
    ]
    (folder / "mountinfo").write_text("\n".join(["22 1 8:1 / / rw - ext4 /dev/vda rw", *lines]) + "\n")
    return folder


def test_a_v2_mount_without_memory_is_not_taken_for_one_that_has_it(tmp_path):
    unified, memory = tmp_path / "unified", tmp_path / "memory"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("hugetlb\n")
    mounts = [("cgroup2", "", "/", unified), ("cgroup", "memory", "/box", memory)]
    proc = write_proc(tmp_path / "proc", "4:memory:/box/inner\n1:pids:/\n0::/\n", mounts)
    assert hierarchies(proc) == (Hierarchies("cgroup1", {"memory": (memory / "inner", memory)}),)


def test_in_v2_the_nearest_group_that_may_give_memory_is_the_parent(tmp_path):
    unified = tmp_path / "unified"
    own = unified / "user" / "session"
    own.mkdir(parents=True)
    (unified / "cgroup.controllers").write_text("cpu memory pids\n")
    for place, given in ((unified, "cpu memory pids"), (unified / "user", "memory pids"), (own, "")):
        (place / "cgroup.subtree_control").write_text(given)
        (place / "cgroup.procs").write_text("")
    (own / "cgroup.subtree_control").unlink()
    proc = write_proc(tmp_path / "proc", "0::/user/session\n", [("cgroup2", "", "/", unified)])
    (found,) = hierarchies(proc)
    group = next(plan_groups(found, "x")).make()
    place = unified / "user" / "stager-x"
    assert group.directories == {"memory": place, "pids": place}


def test_v2_files_are_read_as_the_kernel_writes_them(tmp_path):
    for name, text in {
        "memory.max": "max\n",
        "memory.current": "5000000\n",
        "memory.peak": "7000000\n",
        "memory.stat": "anon 10\ninactive_file 1000000\n",
        "memory.events": "low 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n",
        "pids.max": "max\n",
        "pids.current": "4\n",
        "pids.events": "max 3\n",
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
        "cgroup.procs": "12\n13\n",
    }.items():
        (tmp_path / name).write_text(text)
    group = ControlGroup("cgroup2", dict.fromkeys(("memory", "pids", "cpu"), tmp_path))
    enclosure = Enclosure("cgroup2", SMALL, group)
    usage = enclosure.usage()
    assert (usage.memory, usage.peak, usage.cpu_seconds, usage.tasks) == (4000000, 7000000, 1.5, 4)
    assert (enclosure.oom_kills(), enclosure.refused_forks(), enclosure.pids()) == (2, 3, (12, 13))
    assert replace(enclosure, group=ControlGroup("cgroup2", {"memory": tmp_path / "gone"})).usage() is None


def test_a_real_v2_group_is_killed_and_removed(tmp_path):
    mounts = re.findall(r"(?m)^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", Path("/proc/self/mountinfo").read_text())
    if not mounts or not os.access(mounts[0], os.W_OK):
        pytest.skip("no cgroup v2 that can be written to")
    directory = Path(mounts[0], f"stager-test-{uuid.uuid4()}")
    directory.mkdir()
    group = ControlGroup("cgroup2", {"memory": directory})
    with open(tmp_path / "log", "wb") as log:
        process = spawn(
            ["/bin/sh", "-c", "sleep 60 & sleep 60 & wait"],
            environment={"PATH": os.environ["PATH"]},
            cwd=tmp_path,
            output=log.fileno(),
            confinement=Confinement(admit=group.admit),
        )
    assert until(lambda: len(group.pids()) == 3)
    assert group.remove()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert not directory.exists()

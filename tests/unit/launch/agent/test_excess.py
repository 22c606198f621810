import os
import re
import signal
import time
import uuid
from dataclasses import replace

import pytest

from stager.execution.spawn import spawn
from stager.launch.agent.census import Root
from stager.launch.agent.cgroups import ControlGroup
from stager.launch.agent.excess import find_excess, find_kill, tell_excess
from stager.launch.agent.history import Sample
from stager.launch.agent.limits import Enclosure
from stager.launch.agent.records import InstanceLimits
from stager.launch.agent.usage import Sampler
from stager.launch.processes import read_stat

MIB = 1 << 20
LIMITS = InstanceLimits(memory=64 * MIB, disk=8 * MIB, processes=40)
RLIMITS = Enclosure("rlimits", LIMITS)
FINE = Sample(1.0, memory=60 * MIB, disk=7 * MIB, tasks=40)
PYTHON = "/usr/bin/python3"


@pytest.fixture
def start(tmp_path):
    """Starts Python code under LIMITS and gives it, its enclosure and a sampler that watches it."""
    started = []

    def start_code(code, directories=(), **options):
        name = str(uuid.uuid4())
        enclosure = Enclosure.make(name, LIMITS, **options)
        with open(tmp_path / "log", "ab") as log:
            process = spawn(
                [PYTHON, "-c", code],
                environment={"PATH": os.environ["PATH"]},
                cwd=tmp_path,
                output=log.fileno(),
                confinement=enclosure.confinement,
            )
        started.append((process, enclosure))
        sampler = Sampler()
        stat = read_stat(process.pid)
        sampler.add(name, Root(process.pid, stat.start if stat else 0), enclosure, directories)
        return process, enclosure, lambda: sampler.sample()[name]

    yield start_code
    for process, enclosure in started:
        if process.exit_code is None:
            os.kill(process.pid, signal.SIGKILL)
        assert enclosure.remove()
        assert process.wait(20) is not None


def find_within(sample, enclosure, seconds=30.0):
    end = time.monotonic() + seconds
    while (found := find_excess(sample(), enclosure)) is None and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_what_is_within_its_limits_is_no_excess():
    assert find_excess(FINE, RLIMITS) is None
    assert find_excess(replace(FINE, fds=100_000), RLIMITS) is None


def test_memory_that_was_sampled_is_said_with_its_limit():
    found = find_excess(replace(FINE, memory=80 * MIB + 1), RLIMITS)
    assert (found.reason, found.limit, found.actual) == ("memory", 64 * MIB, 80 * MIB + 1)
    assert found.text == "Memory limit of 64 MiB exceeded: 81 MiB were in use. The instance is ended."


def test_disk_is_said_with_its_limit():
    found = find_excess(replace(FINE, disk=9 * MIB), RLIMITS)
    assert (found.reason, found.limit, found.actual) == ("disk", 8 * MIB, 9 * MIB)
    assert found.text == "Disk limit of 8 MiB exceeded: 9 MiB were in use. The instance is ended."


def test_processes_are_an_excess_only_where_nothing_refuses_them(tmp_path):
    many = replace(FINE, tasks=41)
    found = find_excess(many, RLIMITS)
    assert (found.reason, found.limit, found.actual) == ("processes", 40, 41)
    grouped = Enclosure("cgroup1", LIMITS, ControlGroup("cgroup1", {"memory": tmp_path, "pids": tmp_path}))
    assert find_excess(many, grouped) is None
    without = Enclosure("cgroup1", LIMITS, ControlGroup("cgroup1", {"memory": tmp_path}))
    assert find_excess(many, without).reason == "processes"


def test_a_group_that_touches_its_limit_is_left_to_the_kernel(tmp_path):
    grouped = Enclosure("cgroup1", LIMITS, ControlGroup("cgroup1", {"memory": tmp_path}))
    assert find_excess(replace(FINE, memory=64 * MIB + 4096), grouped) is None


def test_a_kill_for_want_of_memory_is_told_from_every_other(start):
    process, enclosure, sample = start("data = []\nwhile True: data.append(bytearray(1 << 20))")
    if enclosure.group is None:
        pytest.skip("no control group can be made here, not even by root")
    assert process.wait(20) == -signal.SIGKILL
    assert find_excess(sample(), enclosure) == find_kill(enclosure)
    found = find_kill(enclosure)
    assert (found.reason, found.limit, found.actual) == ("memory", 64 * MIB, 64 * MIB)
    assert found.text == (
        "Memory limit of 64 MiB exceeded: 64 MiB were in use, more was asked for, "
        "and the kernel ended 1 process. The instance is ended."
    )
    other, enclosure, _ = start("import os; os.kill(os.getpid(), 9)")
    assert other.wait(20) == -signal.SIGKILL
    assert find_kill(enclosure) is None


def test_a_host_without_memory_is_not_blamed_on_the_instance(tmp_path):
    (tmp_path / "memory.events").write_text("oom_kill 2\n")
    (tmp_path / "memory.current").write_text("0\n")
    (tmp_path / "memory.peak").write_text(f"{20 * MIB}\n")
    found = find_kill(Enclosure("cgroup2", LIMITS, ControlGroup("cgroup2", {"memory": tmp_path})))
    assert (found.reason, found.actual) == ("memory", 20 * MIB)
    assert re.match(r"The host ran out of memory: the kernel ended 2 processes .* 20 MiB at most", found.text)


def test_a_memory_hog_without_groups_is_found_by_sampling(start):
    code = "import time; data = bytearray(80 << 20); time.sleep(60)"
    process, enclosure, sample = start(code, allowed=("rlimits",))
    found = find_within(sample, enclosure)
    assert found.reason == "memory"
    assert 64 * MIB < found.actual < 110 * MIB
    assert process.exit_code is None


def test_a_disk_hog_is_found_and_its_neighbour_left_alone(start, tmp_path):
    for name in ("hog", "neighbour"):
        (tmp_path / name / "logs").mkdir(parents=True)
    code = (
        "import time\n"
        "with open('hog/logs/big', 'ab', 0) as file:\n"
        "    for _ in range(12): file.write(bytes(1 << 20)); time.sleep(0.02)\n"
        "    time.sleep(60)"
    )
    _, enclosure, sample = start(code, (tmp_path / "hog",), file_size=20 * MIB)
    calm, fine, sample_fine = start("import time; time.sleep(60)", (tmp_path / "neighbour",))
    found = find_within(sample, enclosure)
    assert found.reason == "disk"
    assert 8 * MIB < found.actual <= 13 * MIB
    assert find_excess(sample_fine(), fine) is None
    assert calm.exit_code is None


def test_a_disk_hog_that_deletes_what_it_holds_open_is_found(start, tmp_path):
    (tmp_path / "hog").mkdir()
    code = (
        "import os, time\n"
        "file = open('hog/hidden', 'wb', 0); os.unlink('hog/hidden')\n"
        "for _ in range(5): file.write(bytes(2 << 20))\n"
        "time.sleep(60)"
    )
    _, enclosure, sample = start(code, (tmp_path / "hog",), file_size=20 * MIB)
    assert find_within(sample, enclosure).reason == "disk"


def test_an_excess_is_written_behind_what_the_log_holds(tmp_path):
    log = tmp_path / "err.log"
    log.write_text("a line\n")
    tell_excess(find_excess(replace(FINE, disk=9 * MIB), RLIMITS), log)
    first, second = log.read_text().splitlines()
    assert first == "a line"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ stager: Disk limit of 8 MiB exceeded: .*", second)


def test_an_excess_is_not_written_through_a_link(tmp_path):
    (tmp_path / "err.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Too many levels"):
        tell_excess(find_excess(replace(FINE, disk=9 * MIB), RLIMITS), tmp_path / "err.log")
    assert not (tmp_path / "elsewhere").exists()

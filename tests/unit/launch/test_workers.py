from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from stager.launch import workers
from stager.launch.processes import ProcessStat
from stager.launch.workers import find_workers, measure, round_up
from stager.model.memory import MIB


@pytest.fixture
def tree(monkeypatch):
    """Builds processes of (pid, parent, program, private MiB)."""

    def build(*rows):
        programs = {pid: program for pid, _, program, _ in rows}
        sizes = {pid: size * MIB for pid, _, _, size in rows}
        monkeypatch.setattr(workers, "_program", programs.get)
        monkeypatch.setattr(workers, "private_bytes", sizes.get)
        monkeypatch.setattr(workers, "released_bytes", lambda pid: 0)
        monkeypatch.setattr(workers, "resident_bytes", sizes.get)
        return [ProcessStat(pid, parent, 10, 10, pid, "S", "x") for pid, parent, _, _ in rows]

    return build


def pids(found):
    return [stat.pid for stat in found]


def test_one_process_is_its_own_worker(tree):
    assert pids(find_workers(tree((10, 1, "/usr/bin/node", 50)))) == [10]


def test_forks_of_a_server_are_its_workers_and_loggers_are_not(tree):
    members = tree(
        (10, 1, "/usr/sbin/apache2", 9),
        (11, 10, "/usr/bin/cat", 1),
        (12, 10, "/usr/bin/cat", 1),
        (13, 10, "/usr/bin/cat", 1),
        (14, 10, "/usr/sbin/apache2", 3),
    )
    assert pids(find_workers(members)) == [14]


def test_the_server_behind_another_one_has_the_workers(tree):
    members = tree(
        (10, 1, "/usr/bin/bash", 1),
        (11, 10, "/usr/bin/bash", 90),
        (12, 10, "/usr/sbin/php-fpm8.2", 4),
        (13, 12, "/usr/sbin/php-fpm8.2", 8),
        (14, 10, "/usr/sbin/apache2", 2),
        (15, 14, "/usr/sbin/apache2", 2),
        (16, 14, "/usr/sbin/apache2", 2),
    )
    assert pids(find_workers(members)) == [13]


def test_a_supervised_server_without_forks_is_the_worker(tree):
    members = tree((10, 1, "/usr/bin/bash", 1), (11, 10, "/usr/bin/cat", 1), (12, 10, "/usr/bin/node", 50))
    assert pids(find_workers(members)) == [12]


def test_nothing_has_no_workers(tree):
    assert measure(tree()) == workers.Footprint(0, 0, (), 0)


@pytest.mark.parametrize(("sizes", "median"), [((20,), 20), ((5, 20), 20), ((20, 21, 90), 21)])
def test_a_worker_takes_what_the_middle_one_takes(tree, sizes, median):
    rows = [(20 + number, 10, "/usr/bin/python3", size) for number, size in enumerate(sizes)]
    found = measure(tree((10, 1, "/usr/bin/python3", 7), *rows))
    assert found.worker_bytes == median * MIB
    assert found.memory_bytes == (7 + sum(sizes)) * MIB
    assert found.processes == 1 + len(sizes)


@pytest.mark.parametrize(("size", "rounded"), [(0, 0), (1, 16), (16 * MIB, 16), (16 * MIB + 1, 32)])
def test_sizes_are_rounded_up_in_steps(size, rounded):
    assert round_up(size) == rounded * MIB


def test_memory_is_read_from_the_kernel():
    # Fresh processes: this one has had more memory than it has now, which counts for a worker.
    with holding(0) as empty, holding(20 * MIB) as full:
        before, after = workers.private_bytes(empty), workers.private_bytes(full)
        assert 18 * MIB < after - before < 24 * MIB
        assert 20 * MIB < workers.resident_bytes(full) < 100 * MIB


@contextlib.contextmanager
def holding(size):
    script = f"import os, sys; kept = os.urandom({size}); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def test_memory_that_was_given_back_is_counted_for_a_worker():
    # A process of its own: this one's peak may have been long ago, and higher.
    script = """
import mmap
ballast = mmap.mmap(-1, 24 << 20)
for at in range(0, len(ballast), 4096):
    ballast[at] = 1
ballast.close()
print("ready", flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as popen:
        popen.stdout.readline()
        released = workers.released_bytes(popen.pid)
        popen.stdin.close()
    assert 22 * MIB < released < 30 * MIB


def test_without_permission_the_share_is_the_resident_size(monkeypatch):
    monkeypatch.setattr(workers, "_rollup", lambda pid: None)
    assert workers.resident_bytes(os.getpid()) > 5 * MIB
    assert workers.private_bytes(os.getpid()) == 0


def test_what_is_gone_takes_nothing():
    assert workers.resident_bytes(1 << 30) == 0
    assert workers.private_bytes(1 << 30) == 0
    assert workers.released_bytes(1 << 30) == 0

"""The budget, the cores, and the workers that are computed from them."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import replace

import pytest

from stager.model.memory import MIB, Share, WorkerModel, size_workers
from stager.model.plan import Limits, Process
from stager.phases.launch_scripts import _size_arguments
from stager.rendering import Renderer, quote_all
from stager.servers.python_workers import worker_model

MODEL = WorkerModel(32, 128, 16, limit_variable="EACH_MIB", shares=(Share("CACHE_MIB", 8, 16, 128),))
WEB = Process("web", (), workers=MODEL)

MODELS = [
    MODEL,
    WorkerModel(0, 1),
    WorkerModel(64, 128, 8, least_mib=32, limit_variable="L"),
    WorkerModel(20, 100, 10, per_core_hundredths=250),
    WorkerModel(30, 128, 14, per_core_hundredths=400, doublings=True, most=40),
    WorkerModel(
        40,
        64,
        8,
        24,
        "L",
        100,
        True,
        12,
        (Share("A", 8, 16, 128), Share("B", 3, 1, 50), Share("C", 10_000, 0, 9)),
    ),
    worker_model(),
    worker_model(3),
    worker_model(2, most=5),
    replace(worker_model(), overhead_mib=7, thread_mib=1, most_threads=8),
    WorkerModel(32, 480, 16, 64, "L", is_divided=True, limit_hundredths=75),
    WorkerModel(32, 480, 16, 64, "L", is_divided=True, limit_hundredths=75, most=1, groups=1),
]


def test_bash_counts_as_python_does():
    rng = random.Random(11)
    cases = [
        (model, budget, cores)
        for model in MODELS
        for budget in [
            *range(1, 700, 23),
            127,
            128,
            129,
            256,
            257,
            512,
            1024,
            1025,
            4096,
            100_000,
            8 << 20,
            *(rng.randint(1, 20_000) for _ in range(10)),
        ]
        for cores in (1, 25, 49, 50, 100, 150, 200, 333, 6400)
    ]
    script = ["declare -a stager_notes; stager_given_workers="]
    script += [
        Renderer().render(f"launch/{part}.bash.j2", {"memory_mib": 512}) for part in ("process", "memory")
    ]
    for model, budget, cores in cases:
        shares = "".join(f" ${share.variable}" for share in model.shares)
        script.append(
            f"stager_budget={budget} stager_centicores={cores};"
            f" stager_size {quote_all(_size_arguments(model))};"
            ' echo "$stager_workers $stager_worker $stager_is_lowered $stager_promised $stager_threads'
            f'{shares}"'
        )
        if model.limit_variable:
            carried = f"$(( stager_worker * {model.limit_hundredths} / 100 ))"
            script.append(f"[[ ${model.limit_variable} == {carried} ]] || echo wrong")
        if model.group_variable:
            each = f"$(( stager_workers / {model.groups} ))"
            script.append(f"[[ ${model.group_variable} == {each} ]] || echo wrong")
        if model.threads_variable:
            script.append(f"[[ ${model.threads_variable} == $stager_threads ]] || echo wrong")
    ended = subprocess.run(["bash"], input="\n".join(script), capture_output=True, text=True, check=True)
    got = [[int(number) for number in line.split()] for line in ended.stdout.splitlines()]
    expected = []
    for model, budget, cores in cases:
        sizing = size_workers(model, budget, cores)
        shares = [mib for _, mib in sizing.shares]
        expected.append([
            sizing.workers, sizing.worker_mib, int(sizing.is_lowered), sizing.promised_mib, sizing.threads,
            *shares,
        ])  # fmt: skip
    assert len(cases) > 2000
    assert got == expected
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("512m", 512), ("512M", 512), ("1G", 1024), ("1g", 1024), ("536870912", 512), ("512MB", 512),
        ("512Mi", 512), ("64MiB", 64), ("131072k", 128), ("2T", 2 << 20), ("8796093022208", 8 << 20),
        ("1048576", 1),
    ],
)  # fmt: skip
def test_a_memory_limit_is_understood(dump, no_groups, text, mib):
    got = dump({**no_groups, "MEMORY_LIMIT": text})
    assert got[b"MEMORY_LIMIT"] == f"{mib}m".encode()
    assert f"{mib}M (MEMORY_LIMIT)" in dump.said


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "-512m",
        "9T",
        "8796093022209",
        "99999999999999999999999",
        "lots",
        "12x",
        "512",
        "m",
        "a[$(id)]",
        "0512m",
        "1 G",
        "0x20",
    ],
)
def test_an_absurd_memory_limit_is_ignored_and_said_so(dump, no_groups, text):
    got = dump({**no_groups, "MEMORY_LIMIT": text}, limits=Limits(memory=300 * MIB))
    assert got[b"MEMORY_LIMIT"] == b"300m"
    assert f"MEMORY_LIMIT says '{text}', which makes no sense" in dump.said
    assert "300M (the manifest)" in dump.said


@pytest.fixture
def no_groups(tmp_path):
    return {"STAGER_CGROUP_ROOT": str(tmp_path / "no groups"), "STAGER_PROC_CGROUP": "/dev/null"}


@pytest.fixture
def groups(tmp_path):
    """Writes a tree of control groups, as {path: content}, and what /proc/self/cgroup would say."""

    def write(lines, files):
        root = tmp_path / "cgroup root"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        (tmp_path / "proc").write_text("".join(f"{line}\n" for line in lines))
        return {"STAGER_CGROUP_ROOT": str(root), "STAGER_PROC_CGROUP": str(tmp_path / "proc")}

    return write


V2 = ["0::/a b/c:d/e"]
V1 = ["9:name=systemd:/x", "8:cpu,cpuacct:/docker/1", "7:cpuset:/docker/1", "4:memory:/docker/1"]
NO_LIMIT = "9223372036854771712"


@pytest.mark.parametrize(
    ("lines", "files", "limit", "expected", "source"),
    [
        (V2, {"a b/c:d/e/memory.max": 256 * MIB}, "1G", "256m", "memory.max"),
        (V2, {"a b/memory.max": 200 * MIB, "a b/c:d/e/memory.max": "max"}, "", "200m", "memory.max"),
        (V2, {"memory.max": 100 * MIB, "a b/memory.max": 200 * MIB}, "", "100m", "memory.max"),
        (V2, {"unified/a b/c:d/memory.max": 90 * MIB}, "", "90m", "memory.max"),
        (V2, {"a b/c:d/e/memory.max": 256 * MIB}, "128m", "128m", "MEMORY_LIMIT"),
        (V2, {"a b/c:d/e/memory.max": "max"}, "", "512m", "the manifest"),
        (V2, {}, "", "512m", "the manifest"),
        (V1, {"memory/docker/1/memory.limit_in_bytes": 300 * MIB}, "", "300m", "memory.limit_in_bytes"),
        (V1, {"memory/memory.limit_in_bytes": 310 * MIB}, "", "310m", "memory.limit_in_bytes"),
        (V1, {"memory/docker/1/memory.limit_in_bytes": NO_LIMIT}, "", "512m", "the manifest"),
        (
            V1,
            {"cpu/docker/1/memory.limit_in_bytes": 300 * MIB, "memory/x/memory.limit_in_bytes": MIB},
            "2G",
            "300m",
            "memory.limit_in_bytes",
        ),
        (
            [*V1, *V2],
            {"memory/docker/1/memory.limit_in_bytes": 300 * MIB, "unified/a b/memory.max": 280 * MIB},
            "",
            "280m",
            "memory.max",
        ),
        (["0::/../../up"], {"memory.max": 64 * MIB}, "", "64m", "memory.max"),
        (["0::/"], {"memory.max": 70 * MIB}, "", "70m", "memory.max"),
    ],
)
def test_the_least_of_all_limits_counts(dump, groups, lines, files, limit, expected, source):
    if "cpu/docker/1/memory.limit_in_bytes" in files:
        # In one place all controllers are mounted together.
        lines = ["5:cpu,memory:/docker/1"]
        files = {"cpu,memory/docker/1/memory.limit_in_bytes": 300 * MIB}
    got = dump({**groups(lines, files), "MEMORY_LIMIT": limit})
    assert got[b"MEMORY_LIMIT"].decode() == expected
    assert f"({source})" in dump.said
    assert "makes no sense" not in dump.said


@pytest.mark.parametrize("absurd", ["0", "-5", "4096", "many", str(9 << 40)])
def test_an_absurd_group_is_ignored_and_said_so(dump, groups, absurd):
    got = dump(groups(V2, {"a b/memory.max": absurd, "memory.max": 90 * MIB}))
    assert got[b"MEMORY_LIMIT"] == b"90m"
    assert f"memory.max says '{absurd}', which makes no sense" in dump.said


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        (V2, {"a b/c:d/e/cpu.max": "50000 100000"}, 50),
        (V2, {"a b/c:d/e/cpu.max": "max 100000", "a b/cpu.max": "25000 100000"}, 25),
        (V2, {"unified/cpu.max": "1000 1000000"}, 1),
        (V2, {"a b/c:d/e/cpu.max": "max 100000"}, None),
        (V2, {"a b/c:d/e/cpu.max": "6400000 100000"}, None),
        (V1, {"cpu/docker/1/cpu.cfs_quota_us": "33000", "cpu/docker/1/cpu.cfs_period_us": "100000"}, 33),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "70000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 70),
        (V1, {"cpu/docker/1/cpu.cfs_quota_us": "-1", "cpu/docker/1/cpu.cfs_period_us": "100000"}, None),
        (V1, {"cpu/docker/1/cpu.cfs_quota_us": "0", "cpu/docker/1/cpu.cfs_period_us": "0"}, None),
    ],
)
def test_cores_are_the_least_of_quota_and_affinity_in_hundredths(dump, groups, lines, files, expected):
    dump(groups(lines, files), process=WEB)
    affinity = 100 * len(os.sched_getaffinity(0))
    assert f" {affinity if expected is None else expected}% of a core" in dump.said


def test_affinity_counts(make_droplet, no_groups):
    droplet = make_droplet(Process("web", ("true",), workers=MODEL))
    script = droplet.path / "pinned"
    cpu = min(os.sched_getaffinity(0))
    script.write_text(f'#!/bin/sh\nexec taskset -c {cpu} "${{0%/*}}/startup" -p 80\n')
    script.chmod(0o755)
    assert b" 100% of a core" in droplet.run(program=script, environment=no_groups).stderr


def test_a_list_of_cpus_is_counted():
    script = ["stager_groups=()"]
    script += [
        Renderer().render(f"launch/{part}.bash.j2", {"memory_mib": 512}) for part in ("process", "memory")
    ]
    lists = {"0": 100, "0-3": 400, "0,2": 200, "0-1,4,8-11": 700, "": 100, "x": 100}
    script += [f'stager_find_cores "{cpus}"; echo $stager_centicores' for cpus in lists]
    ended = subprocess.run(["bash"], input="\n".join(script), capture_output=True, text=True, check=True)
    assert [int(line) for line in ended.stdout.split()] == list(lists.values())


# ---- workers


def test_workers_are_computed_and_handed_over(dump, no_groups):
    got = dump({**no_groups, "MEMORY_LIMIT": "1G"}, process=WEB)
    sizing = size_workers(MODEL, 1024)
    assert int(got[b"WEB_CONCURRENCY"]) == int(got[b"STAGER_WORKERS"]) == sizing.workers == 6
    assert (int(got[b"EACH_MIB"]), int(got[b"CACHE_MIB"])) == (128, 128)
    assert "6 x 128M (+ 16M each, 160M once): 1024M of 1024M (MEMORY_LIMIT)" in dump.said
    assert "warning: WEB" not in dump.said


def test_one_worker_that_has_to_be_lowered_is_said(dump, no_groups):
    got = dump({**no_groups, "MEMORY_LIMIT": "128m"}, process=WEB)
    assert (got[b"WEB_CONCURRENCY"], got[b"EACH_MIB"]) == (b"1", b"64")
    assert "notice: 128M is too little for a worker of the usual size; it may take 64M" in dump.said


def test_a_budget_under_the_least_is_a_warning(dump, no_groups):
    got = dump({**no_groups, "MEMORY_LIMIT": "40m"}, process=WEB)
    assert (got[b"WEB_CONCURRENCY"], got[b"EACH_MIB"]) == (b"1", b"16")
    assert "warning: one worker at its least is promised 80M of 40M" in dump.said


def test_the_users_web_concurrency_is_kept_with_a_warning_that_names_the_overshoot(dump, no_groups):
    got = dump({**no_groups, "WEB_CONCURRENCY": "8"}, process=WEB)
    assert (got[b"WEB_CONCURRENCY"], got[b"STAGER_WORKERS"], got[b"EACH_MIB"]) == (b"8", b"8", b"128")
    assert "warning: WEB_CONCURRENCY=8 promises 1248M of 512M" in dump.said
    got = dump({**no_groups, "WEB_CONCURRENCY": "1"}, process=WEB)
    assert got[b"WEB_CONCURRENCY"] == b"1"
    assert "warning: WEB_CONCURRENCY" not in dump.said


@pytest.mark.parametrize("value", ["0", "-1", "abc", "2.5", "08", "1000000", "3 ", "a[$(id)]"])
@pytest.mark.parametrize("process", [WEB, Process("web", ())])
def test_a_web_concurrency_that_is_no_number_of_workers_is_ignored(dump, no_groups, value, process):
    got = dump({**no_groups, "WEB_CONCURRENCY": value}, process=process)
    assert got.get(b"WEB_CONCURRENCY") == (b"2" if process.workers else None)
    assert f"WEB_CONCURRENCY='{value}' is no number of workers: ignored" in dump.said


def test_without_a_model_web_concurrency_is_the_users_or_nobodys(dump, no_groups):
    assert b"WEB_CONCURRENCY" not in dump(no_groups)
    got = dump({**no_groups, "WEB_CONCURRENCY": "5"})
    assert (got[b"WEB_CONCURRENCY"], got[b"STAGER_WORKERS"]) == (b"5", b"5")

"""The arithmetic of workers: golden values of other platforms, and what holds for every budget."""

from __future__ import annotations

import itertools

import pytest

from stager.model.memory import DEFAULT_MEMORY, MIB, Share, WorkerModel, size_workers
from stager.servers.python_workers import worker_model


def heroku(limit_mib):
    """Heroku's PHP formula as a model: nothing is there once, and a core keeps two times 128 MiB busy."""
    return WorkerModel(0, limit_mib, per_core_hundredths=200 * 128 // limit_mib, doublings=True)


# peers.md section 7, the last column: memory_limit 128M.
@pytest.mark.parametrize(
    ("budget", "on_one", "on_two", "on_eight"),
    [
        (128, 1, 1, 1),
        (256, 2, 2, 2),
        (512, 4, 4, 4),
        (1024, 6, 8, 8),
        (2048, 8, 16, 16),
        (8192, 12, 24, 64),
        (14336, 14, 28, 112),
    ],
)
def test_counts_are_those_of_heroku_where_the_formula_is_theirs(budget, on_one, on_two, on_eight):
    counts = [size_workers(heroku(128), budget, cores * 100).workers for cores in (1, 2, 8)]
    assert counts == [on_one, on_two, on_eight]


# peers.md section 4: budget, cores, memory_limit, workers.
@pytest.mark.parametrize(
    ("budget", "cores", "limit", "workers"),
    [
        (2560, 1, 128, 10),
        (2560, 16, 128, 20),
        (14336, 8, 128, 112),
        (512, 8, 32, 16),
        (512, 8, 16, 32),
        (512, 8, 24, 21),
        (512, 8, 1024, 1),
        (2560, 1, 24, 53),
    ],
)
def test_other_limits_of_heroku_hold_too(budget, cores, limit, workers):
    assert size_workers(heroku(limit), budget, cores * 100).workers == workers


MODELS = [
    WorkerModel(0, 1),
    WorkerModel(32, 128, 16, shares=(Share("CACHE", 8, 16, 128),)),
    WorkerModel(64, 128, 8, least_mib=32),
    WorkerModel(30, 128, 14, per_core_hundredths=400, doublings=True, most=40),
    WorkerModel(20, 100, 10, per_core_hundredths=250),
    WorkerModel(40, 64, shares=(Share("A", 8, 16, 128), Share("B", 3, 1, 50))),
]
BUDGETS = sorted({*range(1, 70), *range(100, 2000, 97), 512, 1024, 4096, 100_000})
CORES = (1, 25, 50, 100, 150, 200, 800, 6400)


@pytest.mark.parametrize("model", MODELS)
def test_the_budget_is_never_exceeded_unless_not_one_worker_fits_at_its_least(model):
    for budget, cores in itertools.product(BUDGETS, CORES):
        sizing = size_workers(model, budget, cores)
        once = model.base_mib + sum(mib for _, mib in sizing.shares)
        seen = f"{budget} MiB, {cores} hundredths of a core: {sizing}"
        assert sizing.workers >= 1, seen
        assert sizing.promised_mib == once + sizing.workers * (sizing.worker_mib + model.overhead_mib), seen
        if not sizing.is_lowered:
            assert sizing.worker_mib == model.worker_mib, seen
            assert sizing.promised_mib <= budget, seen
        else:
            assert sizing.workers == 1, seen
            assert once + model.worker_mib + model.overhead_mib > budget, seen
            least = min(model.least_mib, model.worker_mib)
            assert least <= sizing.worker_mib <= model.worker_mib, seen
            assert sizing.promised_mib <= budget or sizing.worker_mib == least, seen


@pytest.mark.parametrize("model", MODELS)
def test_one_more_worker_would_not_fit_where_cores_and_bounds_allow_it(model):
    for budget in BUDGETS:
        sizing = size_workers(model, budget, 1_000_000)
        is_bounded = model.most and sizing.workers >= model.most
        if not sizing.is_lowered and not is_bounded:
            assert sizing.promised_mib + model.worker_mib + model.overhead_mib > budget


@pytest.mark.parametrize("model", MODELS)
def test_more_cores_never_mean_fewer_workers(model):
    for budget in BUDGETS:
        counts = [size_workers(model, budget, cores).workers for cores in CORES]
        assert counts == sorted(counts)


def test_a_share_is_a_part_of_the_budget_within_its_bounds():
    model = WorkerModel(0, 1, shares=(Share("S", 8, 16, 256),))
    shares = [size_workers(model, budget).shares for budget in (64, 128, 512, 1000, 4096)]
    assert shares == [(("S", 16),), (("S", 16),), (("S", 64),), (("S", 125),), (("S", 256),)]


def test_fractions_of_a_core_count():
    model = WorkerModel(0, 10, per_core_hundredths=400)
    assert [size_workers(model, 10_000, cores).workers for cores in (10, 25, 50, 75, 150)] == [1, 1, 2, 3, 6]


def test_an_upper_bound_is_one():
    assert size_workers(WorkerModel(0, 10, most=7), 10_000, 800).workers == 7


def test_a_budget_that_is_too_small_lowers_the_one_worker_and_says_so():
    model = WorkerModel(32, 128, 8, least_mib=16)
    sizing = size_workers(model, 100)
    assert (sizing.workers, sizing.worker_mib, sizing.is_lowered, sizing.promised_mib) == (1, 60, True, 100)
    sizing = size_workers(model, 40)
    assert (sizing.workers, sizing.worker_mib, sizing.is_lowered, sizing.promised_mib) == (1, 16, True, 56)


# peers.md sections 5 and 7: Heroku's processes of Python, by budget and cores.
@pytest.mark.parametrize(
    ("budget", "cores", "processes"),
    [
        (128, 8, 1), (256, 8, 1), (512, 1, 2), (512, 8, 2), (1024, 1, 3), (1024, 8, 4), (2048, 2, 5),
        (2048, 8, 8), (2560, 2, 5), (8192, 8, 17), (14336, 8, 17), (30720, 4, 9), (63488, 8, 17),
        (129024, 16, 33),
    ],
)  # fmt: skip
def test_processes_of_python_are_those_of_heroku(budget, cores, processes):
    assert size_workers(worker_model(), budget, cores * 100).workers == processes


# ancestor.md section 7.1: int(MiB x 0.8 / 80) threads in each of two processes.
@pytest.mark.parametrize(("budget", "threads"), [(512, 5), (1024, 10), (2048, 20)])
def test_all_threads_together_are_those_of_openshift(budget, threads):
    sizing = size_workers(worker_model(), budget, 800)
    assert sizing.workers * sizing.threads == pytest.approx(2 * threads, abs=2)


def test_each_of_several_applications_has_as_many_workers_as_the_others():
    sizing = size_workers(worker_model(3), 2048, 200)
    assert (sizing.workers, sizing.is_lowered) == (3, False)
    sizing = size_workers(worker_model(3), 512, 200)
    assert (sizing.workers, sizing.worker_mib, sizing.is_lowered, sizing.promised_mib) == (3, 160, True, 512)


def test_the_default_is_half_a_gibibyte():
    assert DEFAULT_MEMORY // MIB == 512

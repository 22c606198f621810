"""One memory budget, divided: how many workers fit, and what each may take.

``startup`` does the same arithmetic in bash when the droplet starts, from the limit then in force;
a test holds the two against each other over a grid of budgets and cores.
"""

from __future__ import annotations

from stager.model.frozen import dataclass

MIB = 1 << 20
DEFAULT_MEMORY = 512 * MIB
#: Above this a "limit" is a kernel's way of saying that there is none (Heroku's bound).
ABSURD_MEMORY = 8 << 40


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the budget that is taken once: ``budget // divisor``, within bounds, in whole MiB.

    ``variable`` carries it into the configuration, in MiB.
    """

    variable: str
    divisor: int
    least_mib: int
    most_mib: int


@dataclass(frozen=True, slots=True)
class WorkerModel:
    """How many workers of a process fit into a budget.

    Parameters
    ----------
    base_mib:
        What is there once, however many workers run: the parent, the web server in front.
    worker_mib:
        What one worker is promised for the application's own use; ``limit_variable`` carries it.
    overhead_mib:
        What one worker takes besides.
    least_mib:
        A worker's promise is never lowered below this.
    limit_variable:
        Carries what one worker may use, in MiB, into the configuration.
    per_core_hundredths:
        Workers that one core keeps busy, times 100; 0 for no bound by cores.
    beyond_cores:
        Added to that bound: the 1 of Heroku's "2 x cores + 1" for Python.
    doublings:
        Multiply that by ceil(log2(budget / 128 MiB)), at least 1: Heroku's PHP formula
        (heroku-buildpack-php bin/util/autotune.php), under which an application with more memory
        is one that waits more.
    most:
        An upper bound, 0 for none.
    shares:
        Parts of the budget taken once, in proportion to it.
    groups:
        Workers come in groups of that many, one for each application that is served beside others; each
        has at least one. ``group_variable`` carries how many each application has.
    thread_mib:
        Each worker runs as many threads as its part of the budget has of these; 0 for none. OpenShift's
        formula for mod_wsgi (MiB x 0.8 / 80, for two processes) is 50 of a worker's own.
    most_threads:
        An upper bound of a worker's threads.
    threads_variable:
        Carries them into the configuration.
    is_divided:
        A worker's promise is not fixed: it is what its part of the budget leaves it, ``least_mib`` at least;
        ``worker_mib`` only counts the workers.
    limit_hundredths:
        Which part of a worker's promise ``limit_variable`` carries, times 100.
    """

    base_mib: int
    worker_mib: int
    overhead_mib: int = 0
    least_mib: int = 16
    limit_variable: str = ""
    per_core_hundredths: int = 0
    doublings: bool = False
    most: int = 0
    shares: tuple[Share, ...] = ()
    beyond_cores: int = 0
    groups: int = 1
    group_variable: str = ""
    thread_mib: int = 0
    most_threads: int = 1
    threads_variable: str = ""
    is_divided: bool = False
    limit_hundredths: int = 100


@dataclass(frozen=True, slots=True)
class Sizing:
    """The outcome: workers, MiB for each, MiB of each share, and whether one worker had to be lowered.

    ``threads`` are those of one worker; ``limit_mib`` is what ``limit_variable`` carries.
    """

    workers: int
    worker_mib: int
    shares: tuple[tuple[str, int], ...]
    is_lowered: bool
    promised_mib: int
    threads: int = 1
    limit_mib: int = 0


def size_workers(model: WorkerModel, budget_mib: int, centicores: int = 100) -> Sizing:
    """Divide ``budget_mib`` (MiB) by ``model`` on ``centicores`` / 100 cores.

    base + shares + workers x (worker + overhead) <= budget, unless the budget is too small for one
    worker at its least; then ``is_lowered`` is true and one runs all the same.
    """
    shares = tuple(
        (share.variable, max(share.least_mib, min(share.most_mib, budget_mib // share.divisor)))
        for share in model.shares
    )
    once = model.base_mib + sum(mib for _, mib in shares)
    each = model.worker_mib + model.overhead_mib
    workers = (budget_mib - once) // each
    if model.per_core_hundredths:
        factor = 1
        if model.doublings:
            while 128 << factor < budget_mib:
                factor += 1
        of_cores = factor * centicores * model.per_core_hundredths // 10_000 + model.beyond_cores
        workers = min(workers, of_cores)
    if model.most:
        workers = min(workers, model.most)
    groups = model.groups
    worker_mib = model.worker_mib
    is_lowered = budget_mib - once < each * groups
    if is_lowered:
        worker_mib = min(worker_mib, max(model.least_mib, (budget_mib - once) // groups - model.overhead_mib))
    workers = max(groups, workers // groups * groups)
    if model.is_divided:
        worker_mib = max(model.least_mib, (budget_mib - once) // workers - model.overhead_mib)
    promised = once + workers * (worker_mib + model.overhead_mib)
    threads = 1
    if model.thread_mib:
        threads = max(1, min(model.most_threads, (budget_mib - once) // workers // model.thread_mib))
    limit = worker_mib * model.limit_hundredths // 100
    return Sizing(workers, worker_mib, shares, is_lowered, promised, threads, limit)

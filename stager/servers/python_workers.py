"""How many processes and threads serve a Python application: one model for every server."""

from __future__ import annotations

from stager.model.memory import WorkerModel
from stager.servers.python_application import GROUP_VARIABLE, THREADS_VARIABLE

#: Once, however many processes: gunicorn's arbiter, or Apache's parent and its one process of threads.
BASE_MIB = 32
#: One process. Heroku counts 256 MiB for each (heroku-buildpack-python, WEB_CONCURRENCY.sh), and nothing for
#: what is there once; with 32 MiB for that, 240 gives the same counts for all of its golden values.
PROCESS_MIB = 240
#: OpenShift's cartridge for mod_wsgi: MiB x 0.8 / 80 threads in each of two processes, one for 50 MiB
#: of a process's own. 48 gives its 5 threads at 512 MiB.
THREAD_MIB = 48
#: More threads than that wait for each other: one of them runs at a time.
MOST_THREADS = 32


def worker_model(mounts: int = 1, *, most: int = 0) -> WorkerModel:
    """Return how the workers of ``mounts`` applications are counted; ``most`` bounds the processes."""
    return WorkerModel(
        base_mib=BASE_MIB,
        worker_mib=PROCESS_MIB,
        per_core_hundredths=200,
        beyond_cores=1,
        most=most,
        groups=mounts,
        group_variable=GROUP_VARIABLE,
        thread_mib=THREAD_MIB,
        most_threads=MOST_THREADS,
        threads_variable=THREADS_VARIABLE,
    )

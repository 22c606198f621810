"""What PHP takes of the budget: one process's limit, OPcache's share, and what is there besides."""

from __future__ import annotations

from collections.abc import Mapping

from stager.errors import ConfigurationError
from stager.model.memory import Share, WorkerModel
from stager.plugins.php.ini import MIB, size_bytes
from stager.plugins.php.ini_files import Setting
from stager.plugins.php.options import Server

LIMIT_VARIABLE = "STAGER_PHP_MEMORY_LIMIT"
OPCACHE_VARIABLE = "STAGER_OPCACHE_MIB"
#: PHP 8.2 does not start a script below this ("Allowed memory size … exhausted" in the first line).
LEAST_MIB = 2
#: Heroku keeps two processes of 128 MiB busy with each core, and the same memory in other pieces.
PER_CORE_MIB = 2 * 128

# Measured on Debian 12, PHP 8.2.36, Apache 2.4.71, from /proc/*/smaps_rollup after 400 requests for a page
# that uses intl, DOM, curl, 300 regular expressions and 13 classes of Composer.
#: Once, however many workers: the parent with all that its children share (RSS 32 MiB); with php-fpm its
#: master (31 MiB) and Apache in front of it (Pss 7 MiB with few clients, 15 with 128 threads busy).
BASE_MIB: Mapping[Server, int] = {"mod_php": 32, "fpm": 48}
#: One worker's Private_Dirty less its heap, which is what memory_limit counts: 2.7 MiB (libraries' own
#: allocations, compiled expressions); 0.7 MiB for a page that uses none of them.
OVERHEAD_MIB: Mapping[Server, int] = {"mod_php": 4, "fpm": 4}
#: php-fpm's processes: Apache has 128 threads, and some are to be left for files.
MOST: Mapping[Server, int] = {"mod_php": 0, "fpm": 120}


def limit_mib(in_force: Mapping[str, Setting]) -> int:
    """Return ``memory_limit`` in MiB; 0 where it is unlimited.

    Raises
    ------
    ConfigurationError
        It is no size, or less than PHP itself takes.
    """
    setting = in_force["memory_limit"]
    size = size_bytes(setting.value, setting.where)
    if size <= 0:
        return 0
    if size < LEAST_MIB * MIB:
        raise ConfigurationError(
            f"{setting.where}: {setting.value} is too little for any PHP script.",
            details=f"PHP itself takes about {LEAST_MIB}M. A number without a unit counts bytes.",
            resolution=f"Did you mean {setting.value}M?" if setting.value.isdecimal() else "Try 128M.",
        )
    return size // MIB


def worker_model(server: Server, limit: int, in_force: Mapping[str, Setting]) -> WorkerModel:
    """Return how workers of ``server`` are counted, each with ``limit`` MiB (0: one with all there is)."""
    return WorkerModel(
        base_mib=BASE_MIB[server],
        # Nothing is as large as this: one worker gets what the budget leaves.
        worker_mib=limit or 1 << 30,
        overhead_mib=OVERHEAD_MIB[server],
        limit_variable=LIMIT_VARIABLE,
        per_core_hundredths=PER_CORE_MIB * 100 // limit if limit else 0,
        doublings=True,
        most=MOST[server],
        shares=_opcache_share(in_force),
    )


def _opcache_share(in_force: Mapping[str, Setting]) -> tuple[Share, ...]:
    enabled, asked = in_force.get("opcache.enable"), in_force.get("opcache.memory_consumption")
    if enabled and enabled.value in {"0", ""}:
        return ()
    if asked and asked.value.isdecimal():
        # In MiB already, and without a unit: PHP's own way of writing this one setting.
        return (Share(OPCACHE_VARIABLE, 1, int(asked.value), int(asked.value)),)
    # 64 MiB of 512: a Laravel application with its packages took 30 to 40. Below 16 there is no room
    # left beside the 8 MiB of strings.
    return (Share(OPCACHE_VARIABLE, 8, 16, 256),)

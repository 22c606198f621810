"""The C heap of a process that has many threads, one after the other."""

from __future__ import annotations

from contextlib import suppress

#: malloc.h of glibc.
_M_ARENA_MAX = -8


def use_one_heap() -> None:
    """Let all threads share one heap; to be called before there are any.

    Each instance has threads of its own while it lives. glibc gives each thread a heap, and none shrinks:
    supervisors grew by 5 MB in ten minutes of `bench/run soak`. Other C libraries have one anyway.
    """
    import ctypes  # 8 ms, in the process that stays

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

"""New instances in the place of old ones, without a lost request."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from stager.launch.agent.balancer import DRAIN_SECONDS, Balancer, Server
from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Replaced:
    """``is_drained``: whether the old instances had answered everything when they were stopped."""

    seconds: float
    is_drained: bool


def replace_instances(
    balancer: Balancer,
    *,
    start: Callable[[], Sequence[Server]],
    discard: Callable[[], None],
    stop: Callable[[], None],
    drain_seconds: float = DRAIN_SECONDS,
) -> Replaced:
    """Put new instances in the place of old ones, without a lost request.

    Parameters
    ----------
    start:
        Starts the new instances and returns when all of them are healthy. What it raises goes on to the
        caller, and the old ones go on serving.
    discard:
        Ends the new instances, also half-started ones; is called when they are not going to serve.
    stop:
        Ends the old ones, to which no request goes any more.
    """
    began = time.monotonic()
    try:
        balancer.apply(start())
    except BaseException:
        discard()
        raise
    is_drained = balancer.wait_until_drained(drain_seconds)
    stop()
    return Replaced(time.monotonic() - began, is_drained)

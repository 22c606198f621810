"""What stands in front of an application's instances, kept as they come and go: its balancer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from stager.errors import CouldNotVerify, StagerError
from stager.launch.agent.application import ANYWHERE, Application
from stager.launch.agent.balancer import DRAIN_SECONDS, Balancer, Server
from stager.launch.agent.events import Events
from stager.launch.agent.places import ApplicationPlace
from stager.launch.agent.records import InstanceRecord
from stager.launch.deadline import Deadline

#: How often it is looked at whether the balancer still runs.
PERIOD = 0.5
LONGEST_DELAY = 60.0
#: For one change: HAProxy's own ten seconds, and what is being changed just then.
_CHANGE_SECONDS = 40.0

Source = Callable[[], Iterable[InstanceRecord]]


class Front(threading.Thread):
    """Has the balancer give requests to the instances that serve, and starts it again when it dies.

    Parameters
    ----------
    source:
        The instances that serve, asked for anew at every look.
    on_change:
        Called, from this thread, after every look that somebody asked for.
    """

    def __init__(self, application: Application, source: Source, on_change: Callable[[], None]) -> None:
        super().__init__(name="front", daemon=True)
        self.balancer = balancer_of(application)
        #: Why the last change did not come into force.
        self.failure: StagerError | None = None
        self._source = source
        self._events: Events = application.events
        self._on_change = on_change
        self._condition = threading.Condition()
        self._asked = 1
        self._done = 0
        self._is_over = False
        self._has_served = False
        self._failures = 0
        self._next_try = Deadline.after(0.0)

    def refresh(self) -> int:
        """Look soon which instances serve; returns the number of that look."""
        with self._condition:
            self._asked += 1
            self._condition.notify_all()
            return self._asked

    def follow(self, source: Source) -> None:
        """From now on these instances serve."""
        self._source = source
        self.refresh()

    @property
    def is_settled(self) -> bool:
        """Whether every look that was asked for has been taken."""
        return self._done >= self._asked or self._is_over

    def settle(self) -> None:
        """Wait until requests go to those that serve now, and to no others; raises why they do not."""
        look = self.refresh()
        with self._condition:
            is_done = self._condition.wait_for(lambda: self._done >= look or self._is_over, _CHANGE_SECONDS)
            failure = self.failure
        if failure is not None:
            raise failure
        if not is_done or self._is_over:
            raise CouldNotVerify("The balancer is being stopped.", slug="balancer")

    def drain(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Wait until what serves no more has answered its last request; whether that came true."""
        with suppress(StagerError):
            self.settle()
            return self.balancer.wait_until_drained(seconds)
        return False

    def hand_over(self, application: Application, source: Source) -> None:
        """Let requests go to the instances of ``source`` instead.

        Raises
        ------
        StagerError
            It is not possible; they go where they went.
        """
        before = self.balancer, self._source
        self.balancer, self._source = balancer_of(application), source
        try:
            self.settle()
        except StagerError:
            self.balancer, self._source = before
            self.refresh()
            raise

    def stop(self) -> None:
        """Finish what there is to answer, and end."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()
        if self.ident is not None:
            self.join()
        self.balancer.stop()

    def run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._asked > self._done or self._is_over, PERIOD)
                if self._is_over:
                    return
                asked, is_asked = self._asked, self._asked > self._done
            if is_asked or self._next_try.is_over:
                self._look()
            with self._condition:
                self._done = asked
                self._condition.notify_all()
            if is_asked:
                self._on_change()

    def _look(self) -> None:
        servers = [Server(f"{one.index}-{one.id}", one.port) for one in self._source()]
        has_died = self._has_served and self.balancer.process is None
        try:
            if servers or self.balancer.process is not None:
                self.balancer.apply(servers)
                self._tell(has_died=has_died)
            self.failure = None
            self._failures = 0
            self._next_try = Deadline.after(0.0)
        except (StagerError, OSError) as error:
            failed = error if isinstance(error, StagerError) else CouldNotVerify(str(error), slug="balancer")
            if self.failure is None:
                self._events.tell("balancer-failed", str(failed))
            self.failure = failed
            self._next_try = Deadline.after(min(LONGEST_DELAY, 2.0**self._failures))
            self._failures += 1

    def _tell(self, *, has_died: bool) -> None:
        if self._has_served and not has_died:
            return
        self._has_served = True
        process = self.balancer.process
        who = f"The balancer of port {self.balancer.port}"
        what = "had died: it was started again" if has_died else "serves"
        text = f"{who} {what} (HAProxy, process {process.pid if process else 0})"
        self._events.tell("balancer-lost" if has_died else "balancer", text)


def balancer_of(application: Application) -> Balancer:
    """Listens where the application itself would: everywhere, unless VCAP_APP_HOST was given."""
    return Balancer(
        application.place.balancer,
        application.record.balance,
        host=application.given.variables.get("VCAP_APP_HOST", ANYWHERE),
        health=application.droplet.manifest.health,
        name=application.place.name,
    )


def stop_balancer(place: ApplicationPlace, seconds: float = DRAIN_SECONDS) -> None:
    """Stop the one that somebody has left there, if any."""
    if place.balancer.is_dir():
        Balancer(place.balancer, 0).stop(seconds)

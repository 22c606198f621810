"""Keeps an application as it was asked for: what is against what should be, until it is told to stop.

One thread an index (:mod:`stager.launch.agent.slot`), woken by what happens and not by a clock; this
one takes signals and looks at ``application.json`` again when SIGUSR1 says that somebody changed it.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from stager.errors import CouldNotVerify, StagerError, VerificationFailed
from stager.execution.workspace import remove_tree
from stager.launch import ports
from stager.launch.agent import crashed
from stager.launch.agent.adopting import Left, bury, look_for_living
from stager.launch.agent.application import Application
from stager.launch.agent.front import Front, balancer_of, stop_balancer
from stager.launch.agent.heap import use_one_heap
from stager.launch.agent.identity import this_process
from stager.launch.agent.lives import Ended
from stager.launch.agent.places import ApplicationPlace
from stager.launch.agent.replacing import Release, Replacement
from stager.launch.agent.requesting import read_request
from stager.launch.agent.running import Running
from stager.launch.agent.slot import Slot
from stager.launch.agent.watching import Watch
from stager.launch.deadline import Deadline

#: SIGHUP ends what runs on a terminal that goes away, so it cannot mean "look again".
RELOAD = signal.SIGUSR1
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
#: A port of a server that has just been stopped may be free a moment later.
_PORT_SECONDS = 1.0


class Supervisor:
    """Runs an application in this process; only the main thread can (signals).

    Parameters
    ----------
    on_ready:
        Called once, when each index has had its first instance ready, or has failed with it.
    """

    def __init__(self, application: Application, on_ready: Callable[[], None]) -> None:
        self._release = Release(application)
        self._front: Front | None = None
        self._replacement: Replacement | None = None
        self._on_ready = on_ready
        self._is_told_ready = False
        # What was asked for before we could be told is looked at first.
        self._signals: set[int] = {RELOAD}
        self._watch = Watch()
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> None:
        """Keep the application until it is told to stop, or has nothing more to do.

        Raises
        ------
        VerificationFailed
            No first instance became ready, or all have ended for good, not all of them well.
        CouldNotVerify
            A port that was asked for is taken.
        """
        use_one_heap()
        application = self.application
        application.place.write_supervisor(this_process())
        with self._taking_signals():
            left = look_for_living(application)
            try:
                self._demand_ports(left.living)
                self._open_front(left)
            except StagerError:
                for running in (*left.living.values(), *left.others):
                    bury(application, running)
                self._stop()
                self._finish()
                raise
            for running in left.others:
                bury(application, running)
            self._keep(left.living)
            if self._front is not None:
                self._front.follow(self._release.serving)
            self._watch.start()
            try:
                while not self._is_over():
                    self._look()
                    self._wait()
            finally:
                self._stop()
                self._watch.end()
                failure = self._failure()
                self._finish()
            if failure is not None:
                raise failure

    @property
    def application(self) -> Application:
        return self._release.application

    @property
    def slots(self) -> dict[int, Slot]:
        return self._release.slots

    def _open_front(self, left: Left) -> None:
        """Keep its balancer; what serves already goes on doing so before anything is stopped."""
        application = self.application
        if not application.record.balance:
            stop_balancer(application.place)
            return
        self._front = application.front = Front(application, left.serving, self._wake)
        self._front.start()
        if left.living:
            with suppress(StagerError):
                self._front.settle()

    def _is_over(self) -> bool:
        if self._signals & set(_ENDING) or self.application.record.is_stopped:
            return True
        if self._replacement is not None and not self._replacement.is_over:
            return False
        if not self._is_told_ready and self._is_settled:
            if self._front is not None and self._front.failure is not None:
                return True
            if self.slots and all(slot.failure is not None for slot in self.slots.values()):
                return True
            self._is_told_ready = True
            self._on_ready()
        return all(slot.is_done for slot in self.slots.values())

    @property
    def _is_settled(self) -> bool:
        """Whether each index has had its first instance, and requests get to those that are ready."""
        is_served = self._front is None or self._front.is_settled
        return is_served and all(slot.is_settled for slot in self.slots.values())

    def _look(self) -> None:
        """Take over what somebody else asked for by writing it down."""
        if RELOAD not in self._signals:
            return
        replacement = self._replacement
        if replacement is not None and not replacement.is_over:
            # What else is wanted is looked at when it has ended.
            if not replacement.is_wanted:
                replacement.cancel()
            return
        self._signals.discard(RELOAD)
        record, request = self.application.place.read(), read_request(self.application.place)
        if record is not None and record != self.application.record:
            self.application.record = record
            self.application.events.tell("reload", f"{record.name}: looking at what is wanted now")
            self._keep({})
        if request is not None and (replacement is None or replacement.request.id != request.id):
            self._replacement = Replacement(request, self._release, self._watch, self._take_over, self._wake)
            self._replacement.start()

    def _take_over(self, release: Release) -> None:
        self._release = release

    def _keep(self, adopted: dict[int, Running]) -> None:
        """A slot for each index that is wanted, or has an instance; the others see for themselves."""
        for index in sorted({*range(self.application.record.instances), *adopted}):
            slot = self.slots.get(index)
            if slot is not None and not slot.is_done:
                slot.wake()
            elif index in adopted or self.application.is_wanted(index):
                self.slots[index] = Slot(self.application, index, adopted.get(index), self._watch, self._wake)
                self.slots[index].start()
        for slot in self.slots.values():
            slot.wake()

    def _demand_ports(self, adopted: dict[int, Running]) -> None:
        """Before anything is started, see whether it could listen where it was told to."""
        record = self.application.record
        pairs = [self.application.port_of(index) for index in range(record.instances) if index not in adopted]
        demanded = [port for port, is_fixed in pairs if is_fixed]
        # With instances that live, one that has died is started again as soon as that is possible.
        if record.balance and not adopted and balancer_of(self.application).process is None:
            demanded.append(record.balance)
        for port in demanded:
            deadline = Deadline.after(_PORT_SECONDS)
            while not (is_free := ports.is_port_free(port)) and not deadline.is_over:
                time.sleep(0.05)
            if not is_free:
                raise CouldNotVerify(
                    f"Port {port} is taken.",
                    details="Somebody else listens on it, or this user may not.",
                    resolution="Name another one with -p, or leave it out: then a free one is found.",
                    slug="port-taken",
                )

    def _stop(self) -> None:
        """Stop every instance, all at once, and wait for them: each stop has its own bound."""
        if self._replacement is not None:
            self._replacement.cancel()
        if self._front is not None:
            self._front.stop()
        if self._replacement is not None:
            self._replacement.join()
        application = self.application
        application.record = replace(application.record, is_stopped=True)
        with suppress(OSError):
            application.place.write(application.record)
        self._release.dismiss()

    def _failure(self) -> StagerError | None:
        """Why this ends, where nobody wanted it to."""
        if self._signals & set(_ENDING):
            return None
        if not self._is_told_ready and self._front is not None and self._front.failure is not None:
            return self._front.failure
        failed = [slot.failure for slot in self.slots.values() if slot.failure is not None]
        if not self._is_told_ready and len(failed) == len(self.slots) and failed:
            return self._complain(f"{self.application.place.name} did not start.", failed, "not-started")
        ended = [slot.last for slot in self.slots.values() if slot.last is not None and slot.last.has_failed]
        if ended and not self._was_told():
            return self._complain(f"{self.application.place.name} has crashed.", ended, "crashed")
        return None

    def _was_told(self) -> bool:
        return any(slot.last is None for slot in self.slots.values())

    def _complain(self, brief: str, ended: list[Ended], slug: str) -> StagerError:
        lines = list(dict.fromkeys(one.text for one in ended))
        logs = [os.fspath(place.logs) for place, _ in crashed.find(self.application.place)]
        where = f"Its logs are kept in {logs[0]}." if logs else "See what it prints when ./startup is called."
        return VerificationFailed(brief, details="\n".join(lines), resolution=where, slug=slug)

    def _finish(self) -> None:
        """Remove what nobody needs any more: everything, unless logs of crashed instances are kept."""
        place = self.application.place
        stop_balancer(place)
        with suppress(FileNotFoundError), place.lock():
            forget(place, is_keeping=self.application.record.is_keeping)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def _wait(self) -> None:
        select.select([self._read], [], [])
        with suppress(BlockingIOError):
            os.read(self._read, 4096)

    @contextmanager
    def _taking_signals(self) -> Iterator[None]:
        def take(number: int, _frame: FrameType | None) -> None:
            self._signals.add(number)

        wanted = [RELOAD, *(one for one in _ENDING if signal.getsignal(one) is not signal.SIG_IGN)]
        before = {number: signal.signal(number, take) for number in wanted}
        # The handler runs between two instructions of Python's; select has to be ended as well.
        descriptor = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(descriptor)
            for number, action in before.items():
                signal.signal(number, action)


def forget(place: ApplicationPlace, *, is_keeping: bool) -> None:
    """Of an application that is stopped, keep the logs of what crashed, if anything; the rest goes."""
    for one in place.instances():
        record = one.read()
        if record is not None and record.state == "backoff":
            crashed.give_up(one, record)
        elif record is None or (record.state != "crashed" and not is_keeping):
            one.remove()
    if not place.instances():
        place.remove()
        return
    if place.droplets.is_dir():
        remove_tree(place.droplets)
    for path in (place.supervisor_file, place.environment_file, place.replacement_file, place.answer_file):
        with suppress(FileNotFoundError):
            path.unlink()

"""One index of an application: begins its instance, watches it, and begins another when it ends."""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from stager.errors import DropletCorrupt
from stager.launch.agent import crashed
from stager.launch.agent.application import Application
from stager.launch.agent.lives import Ended, become_ready, judge_end, judge_start
from stager.launch.agent.records import InstanceRecord
from stager.launch.agent.running import Running, begin
from stager.launch.agent.watching import Watch
from stager.launch.deadline import Deadline
from stager.launch.diagnosis import explain_start
from stager.launch.readiness import Readiness

FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
#: Who lived so long did not crash because of how it was started.
SETTLED_SECONDS = 60.0
#: From here on it is called a crash loop.
LOOP = 3
_MORE_PORTS = 2
#: How often an instance that is to be replaced looks whether it is its turn.
_TURN_SECONDS = 0.1


class Slot(threading.Thread):
    """Keeps one index of an application as it is wanted, in a thread of its own.

    Parameters
    ----------
    adopted:
        The instance of that index that lives already.
    watch:
        Is told of each instance while it lives.
    on_change:
        Called, from this thread, when the first instance is ready or has failed, and when the slot is done.
    """

    def __init__(
        self,
        application: Application,
        index: int,
        adopted: Running | None,
        watch: Watch,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(name=f"slot-{index}", daemon=True)
        self.application = application
        self.index = index
        #: How the first instance failed, if it did.
        self.failure: Ended | None = None
        self.is_settled = False
        self.is_done = False
        #: How the last instance ended, where it was not told to.
        self.last: Ended | None = None
        self.running: Running | None = adopted
        #: The present instance, while requests may go to it.
        self.serving: InstanceRecord | None = None
        self._watch_over = watch
        self._on_change = on_change
        if adopted:
            application.ground.enter(index)
            if adopted.record.state == "running":
                self.serving = adopted.record
        self._restarts = adopted.record.restarts if adopted else 0
        self._failures = 0
        self._port = adopted.port if adopted else 0
        self._verdict: Ended | None = None
        self._ended: Running | None = None
        self._has_turn = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Not when the thread ends: others may wake it a moment later.
        weakref.finalize(self, os.close, self._wake)

    def wake(self) -> None:
        """Let it look again at what is wanted."""
        os.eventfd_write(self._wake, 1)

    def condemn(self, reason: str, text: str) -> None:
        """End the present instance as crashed for that reason: ``memory``, ``disk``."""
        self._verdict = Ended("crashed", {"reason": reason}, text)
        self.wake()

    @property
    def is_wanted(self) -> bool:
        return self.application.is_wanted(self.index)

    def run(self) -> None:
        try:
            while self.running is not None or self.is_wanted:
                if not self._live():
                    break
        except Exception as error:  # noqa: BLE001  (one slot's trouble is not the others')
            self.last = Ended("crashed", {"reason": "stager"}, f"{type(error).__name__}: {error}")
            self.failure = self.failure or self.last
            self._tell("failed", f"cannot be kept any more: {self.last.text}")
            self._serve(None)
            if self.running is not None:
                self._watch_over.remove(self.running)
                self.running.end()
        finally:
            self._end_turn()
            self.application.ground.leave(self.index)
            self.application.ports.give_back(self._port)
            self.is_done = self.is_settled = True
            self._on_change()

    def _live(self) -> bool:
        """One instance from its start (or adoption) to its end; whether there should be another one."""
        with self.application.starting(self.index):
            started = self._start()
        if not isinstance(started, Ended):
            # Until the new one is ready the others stay as they are: it may never be.
            self._end_turn()
        if started is None:
            self._settle()
            return self._stop_or_replace()
        if isinstance(started, Ended):
            ended = started
        else:
            self._settle()
            watched = self._watch(started)
            if watched is None:
                return self._stop_or_replace()
            ended = watched
        self.last = ended
        if not self.is_settled:
            self.failure = ended if ended.has_failed else None
            self._settle()
        try:
            return self._is_restarted(ended) and self._back_off(ended)
        finally:
            self._tidy()

    def _tidy(self) -> None:
        """Of an instance that ended well nothing is kept."""
        ended, self._ended = self._ended, None
        if ended is not None and ended.record.state == "stopped" and not self.application.record.is_keeping:
            ended.place.remove()

    def _settle(self) -> None:
        if not self.is_settled:
            self.is_settled = True
            self._on_change()

    def _start(self) -> Running | Ended | None:
        """Begin one and wait until it is ready: then it, else how it failed; None where it is unwanted."""
        outcome = self._start_once()
        for _ in range(_MORE_PORTS):
            if not isinstance(outcome, Ended) or not outcome.is_port_taken:
                break
            if self.application.port_of(self.index)[1]:
                break
            self._port = 0
            outcome = self._start_once()
        return outcome

    def _start_once(self) -> Running | Ended | None:
        running = self.running
        if running is None:
            if not self.is_wanted:
                return None
            try:
                self.application.enter(self.index)
                running = begin(self.application, self.index, self._choose_port(), self._restarts)
            except (OSError, DropletCorrupt) as error:
                self.application.ground.leave(self.index)
                return Ended("crashed", {"reason": "exit"}, self._explain(error))
            self.running = running
            by = f"process {running.record.pid}, limited by {running.enclosure.description}"
            self._tell("started", f"is starting on port {running.port} ({by})")
        self._watch_over.add(running, self.condemn, self.application.ground)
        if running.record.state == "running":
            self._serve(running.record)
            return running
        readiness = become_ready(
            self.application, running, lambda: self._is_unwanted(running) or self._verdict is not None
        )
        if readiness.seconds is not None:
            self.last = None
            running.note_sockets()
            running.note(state="running", ready_at=time.time())
            self._serve(running.record)
            self._tell("ready", f"is ready on port {running.port} after {readiness.seconds:.1f} s")
            return running
        if running.exit_code is None and self._is_unwanted(running):
            return None
        return self._fail(running, readiness)

    def _explain(self, error: OSError | DropletCorrupt) -> str:
        if isinstance(error, DropletCorrupt):
            return f"{error.brief} {error.details}".strip()
        return explain_start(error, self.application.user).message

    def _fail(self, running: Running, readiness: Readiness) -> Ended:
        ended = self._take_verdict() or judge_start(self.application, running, readiness)
        if running.exit_code is None:
            running.stop(self.application)
        return self._close(running, ended)

    def _watch(self, running: Running) -> Ended | None:
        """Wait until it ends by itself (then how), or is to be ended by us (then None)."""
        while not running.wait(self._wake, _TURN_SECONDS if self._is_unwanted(running) else None):
            self._drain()
            if (verdict := self._take_verdict()) is not None:
                running.stop(self.application)
                return self._close(running, verdict)
            if self._is_unwanted(running) and self._may_end():
                return None
        return self._close(running, judge_end(self.application, running))

    def _close(self, running: Running, ended: Ended) -> Ended:
        """Nothing of it runs any more, and its record says how it ended."""
        self._serve(None)
        running.end()
        running.note(state=ended.state, ended_at=time.time(), **ended.changes)
        word = "has crashed" if ended.has_failed else "has ended"
        self._tell(ended.state, f"{word}: {ended.text}", **ended.changes)
        if time.time() - (running.record.ready_at or time.time()) >= SETTLED_SECONDS:
            self._failures = 0
        self._forget(running)
        self._ended = running
        crashed.prune(self.application.place)
        return ended

    def _stop_or_replace(self) -> bool:
        """Stop it, because it is unwanted, or because another one is to take its place: then true."""
        running = self.running
        if running is not None:
            self._tell("stopping", "is being stopped")
            if self.serving is not None:
                self._serve(None)
                if front := self.application.front:
                    front.drain()
            for complaint in running.stop(self.application):
                self._tell("untidy", complaint)
            running.note(state="stopped", reason="", ended_at=time.time())
            self._forget(running)
            self._tell("stopped", "is stopped")
            if not self.application.record.is_keeping:
                running.place.remove()
        if self.is_wanted:
            self._restarts += 1
        return self.is_wanted

    def _serve(self, record: InstanceRecord | None) -> None:
        """Let requests go to that instance; to none for None."""
        self.serving = record
        if front := self.application.front:
            front.refresh()

    def _forget(self, running: Running) -> None:
        self.running = None
        record = running.record
        self._watch_over.remove(running)
        self.application.ground.leave(self.index)
        self._verdict = None
        self._port = record.port
        for port in (record.debug_port, record.console_port):
            self.application.ports.give_back(port)

    def _choose_port(self) -> int:
        wanted, is_fixed = self.application.port_of(self.index)
        book = self.application.ports
        book.give_back(self._port)
        self._port = book.take(wanted if is_fixed else self._port or wanted, is_fixed=is_fixed)
        return self._port

    def _is_restarted(self, ended: Ended) -> bool:
        policy = self.application.record.restart
        return self.is_wanted and (policy == "always" or (policy == "on-failure" and ended.has_failed))

    def _back_off(self, ended: Ended) -> bool:
        """Wait before the next start; whether it is still wanted then."""
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2**self._failures)
        self._failures += 1
        self._restarts += 1
        if self._failures == LOOP:
            self._tell("crash-loop", f"ends again and again, at last like this: {ended.text}")
        self._tell("backoff", f"is started again in {delay:g} s")
        with crashed.backing_off(self._ended, time.time() + delay):
            deadline = Deadline.after(delay)
            while self.is_wanted and not deadline.is_over:
                if select.select([self._wake], [], [], deadline.remaining)[0]:
                    self._drain()
        return self.is_wanted

    def _is_unwanted(self, running: Running) -> bool:
        return not self.is_wanted or not self.application.is_current(running.record)

    def _may_end(self) -> bool:
        """Who is to be replaced waits until no other one is."""
        if not self.is_wanted or self._has_turn:
            return True
        self._has_turn = self.application.turn.acquire(blocking=False)
        return self._has_turn

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.application.turn.release()

    def _take_verdict(self) -> Ended | None:
        verdict, self._verdict = self._verdict, None
        return verdict

    def _drain(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def _tell(self, event: str, text: str, **fields: Any) -> None:
        running = self.running or self._ended
        identifier = running.record.id if running else ""
        name = self.application.place.name
        self.application.events.tell(
            event, f"{name}/{self.index} {text}", index=self.index, id=identifier, **fields
        )

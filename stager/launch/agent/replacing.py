"""New instances in the place of old ones: side by side, until the new ones are known to be healthy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field, replace
from typing import Any

from stager.errors import CouldNotVerify, StagerError, VerificationFailed
from stager.launch.agent.application import Application
from stager.launch.agent.droplets import prune
from stager.launch.agent.lives import Ended
from stager.launch.agent.records import InstanceRecord, ReplacementRecord
from stager.launch.agent.requesting import answer, commit, read_request
from stager.launch.agent.slot import Slot
from stager.launch.agent.watching import Watch
from stager.model.frozen import dataclass


@dataclass(slots=True)
class Release:
    """An application as one droplet and one set of wishes, with the slots that keep it."""

    application: Application
    slots: dict[int, Slot] = field(default_factory=dict)

    def serving(self) -> list[InstanceRecord]:
        """The instances that requests may go to."""
        return [record for slot in list(self.slots.values()) if (record := slot.serving) is not None]

    def dismiss(self) -> None:
        """Stop its instances, whatever the records on disk say, and wait for that."""
        application = self.application
        application.record = replace(application.record, is_stopped=True)
        for slot in self.slots.values():
            slot.wake()
        for slot in self.slots.values():
            if slot.ident is not None:
                slot.join()


class Replacement(threading.Thread):
    """Carries out one request, in a thread of its own, and answers it.

    Parameters
    ----------
    old:
        What serves now.
    take_over:
        Called with the new release once that serves, and is what is wanted.
    wake:
        Called when a slot of the new release has changed, and at the end.
    """

    def __init__(
        self,
        request: ReplacementRecord,
        old: Release,
        watch: Watch,
        take_over: Callable[[Release], None],
        wake: Callable[[], None],
    ) -> None:
        super().__init__(name="replacement", daemon=True)
        self.request = request
        self._old = old
        self._watch = watch
        self._take_over = take_over
        self._wake = wake
        self._changed = threading.Event()
        self._is_cancelled = False
        self._has_taken_over = False
        #: It is answered, and nothing of it goes on.
        self.is_over = False

    def cancel(self) -> None:
        """Let the old ones go on serving, if that is still possible."""
        self._is_cancelled = True
        self._changed.set()

    @property
    def is_wanted(self) -> bool:
        """Whether it is still asked for."""
        request = read_request(self._old.application.place)
        return self._has_taken_over or (request is not None and request.id == self.request.id)

    def run(self) -> None:
        application = self._old.application
        name = application.place.name
        outcome: dict[str, Any] | StagerError
        application.events.tell("replacing", f"{name}: new instances are started beside those that serve")
        try:
            outcome = self._replace()
            told = f"{name}: the new instances have taken over, after {outcome['seconds']:.1f} s"
            application.events.tell("replaced", told, **outcome)
        except StagerError as error:
            outcome = error
        except Exception as error:  # noqa: BLE001  (the old ones are to go on serving)
            outcome = StagerError(f"{name} was not replaced.", details=f"{type(error).__name__}: {error}")
        if isinstance(outcome, StagerError):
            application.events.tell("not-replaced", f"{outcome.brief} {outcome.details}".strip())
        answer(application.place, self.request, outcome)
        self.is_over = True
        self._wake()

    def _replace(self) -> dict[str, Any]:
        began = time.monotonic()
        new = Release(self._open())
        try:
            self._start(new)
            self._hand_over(new)
        except BaseException:
            self._discard(new)
            raise
        self._take_over(new)
        left = time.monotonic()
        self._old.dismiss()
        # The new slots tell us when they change: without this each release would keep the one before.
        self._old.slots.clear()
        gap = self._move(new, left)
        self._tidy(new.application)
        return {"seconds": round(time.monotonic() - began, 3), "gap_seconds": gap}

    def _open(self) -> Application:
        old = self._old.application
        new = Application.open(old.place, self.request.application, old.events)
        new.given = self.request.environment
        new.ports, new.gate, new.front = old.ports, old.gate, old.front
        new.is_beside = True
        return new

    def _start(self, new: Release) -> None:
        """Start every instance, and wait until all of them are healthy."""
        for index in range(new.application.record.instances):
            new.slots[index] = Slot(new.application, index, None, self._watch, self._has_changed)
        for slot in new.slots.values():
            slot.start()
        while not all(slot.serving or slot.is_done for slot in new.slots.values()):
            self._changed.wait(0.1)
            self._changed.clear()
            self._demand(new.slots)
        self._demand(new.slots)

    def _has_changed(self) -> None:
        self._changed.set()
        self._wake()

    def _demand(self, slots: Mapping[int, Slot]) -> None:
        """Raises why the new ones are not going to take over."""
        name = self._old.application.place.name
        if self._is_cancelled:
            raise CouldNotVerify(
                f"{name} was not replaced.", details="That is not asked for any more.", slug="not-replaced"
            )
        failed = [end for slot in slots.values() for end in (slot.failure, slot.last) if _has_failed(end)]
        if failed:
            raise VerificationFailed(
                f"{name} was not replaced: the new instances do not start.",
                details="\n".join(dict.fromkeys(end.text for end in failed if end)),
                resolution="The old ones go on serving. `stager run` alone shows more of the new droplet.",
                slug="not-replaced",
            )

    def _hand_over(self, new: Release) -> None:
        """Requests go to the new ones, and they are what is wanted: both, or neither."""
        place, front = self._old.application.place, self._old.application.front
        with place.lock():
            if not self.is_wanted:
                self._is_cancelled = True
            self._demand(new.slots)
            if front is not None:
                front.hand_over(new.application, new.serving)
            try:
                commit(place, self.request)
            except BaseException:
                if front is not None:
                    with suppress(StagerError):
                        front.hand_over(self._old.application, self._old.serving)
                raise
        self._has_taken_over = True

    def _discard(self, new: Release) -> None:
        """Nothing is left of it, unless that was asked for."""
        new.dismiss()
        for place in new.application.place.instances():
            record = place.read()
            is_new = record is not None and record.generation == self.request.application.generation
            if is_new and not self.request.application.is_keeping:
                place.remove()
        self._tidy(self._old.application)

    def _move(self, new: Release, since: float) -> float:
        """Have those that are to listen on a port of the old ones do so, now that these are gone.

        Returns the seconds for which nobody did, at most; 0 where there is no such port.
        """
        application = new.application
        application.is_beside = False
        moving = [slot for slot in new.slots.values() if not _is_in_place(application, slot)]
        for slot in moving:
            slot.wake()
        while not all(_is_in_place(application, slot) for slot in moving):
            if application.record.is_stopped:
                break
            if failed := [slot.last for slot in moving if slot.last is not None and slot.last.has_failed]:
                raise VerificationFailed(
                    f"{application.place.name} has been replaced, but does not start on its port.",
                    details="\n".join(end.text for end in failed),
                    resolution="On another port it was healthy. It is tried again and again.",
                    slug="not-started",
                )
            self._changed.wait(0.02)
            self._changed.clear()
        return round(time.monotonic() - since, 3) if moving else 0.0

    def _tidy(self, application: Application) -> None:
        """Droplets that nobody needs any more."""
        place = application.place
        with suppress(OSError), place.lock():
            request = read_request(place)
            kept = {application.droplet.sha256}
            if request is not None and request.id != self.request.id:
                kept.add(request.application.droplet_sha256)
            prune(place, kept)


def _is_in_place(application: Application, slot: Slot) -> bool:
    record = slot.serving
    return slot.is_done or (record is not None and application.is_current(record))


def _has_failed(ended: Ended | None) -> bool:
    return ended is not None and ended.has_failed

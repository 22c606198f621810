"""What a buildpack says of a source tree, and what the core concludes from all of them."""

from __future__ import annotations

import enum

from stager.model.frozen import dataclass


class Strength(enum.IntEnum):
    """How sure a buildpack is. Few named levels, never numbers: a plugin cannot outbid another."""

    NONE = 0
    WEAK = 1
    LIKELY = 2
    STRONG = 3
    EXPLICIT = 4


@dataclass(frozen=True, slots=True)
class Detection:
    """One buildpack's verdict on a source tree.

    ``evidence`` says which files decided it; ``near_misses`` say what looks almost right
    ("requirement.txt: did you mean requirements.txt?"), also where the strength is ``NONE``.
    ``supplies`` says that it makes something for another runtime that serves it (assets of a PHP
    application), and serves nothing itself: then it is selected besides, not instead. ``gives_way`` says
    that another runtime with evidence of the same strength knows more.
    """

    strength: Strength
    evidence: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()
    supplies: bool = False
    gives_way: bool = False


@dataclass(frozen=True, slots=True)
class Detected:
    """All verdicts, by runtime, and the runtimes that were selected, in order."""

    detections: tuple[tuple[str, Detection], ...]
    selected: tuple[str, ...]

    @property
    def near_misses(self) -> tuple[str, ...]:
        return tuple(f"{runtime}: {text}" for runtime, found in self.detections for text in found.near_misses)

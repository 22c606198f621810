"""How the domain code speaks: it never prints, it tells a reporter."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Reporter(Protocol):
    """What a run wants to say. The command line decides how it looks."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Enter a phase (detect, plan, …); leaving it ends it and takes its time."""

    def detail(self, text: str) -> None:
        """A decision that was made, and why."""

    def step(self, text: str) -> None:
        """A step begins: ``composer install``."""

    def output(self, line: str) -> None:
        """One line that a step printed."""

    def warning(self, text: str) -> None:
        """What the user should know, and that ends nothing."""


class Silent:
    """A reporter that says nothing; the default for library use."""

    def phase(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def detail(self, text: str) -> None:
        pass

    def step(self, text: str) -> None:
        pass

    def output(self, line: str) -> None:
        pass

    def warning(self, text: str) -> None:
        pass

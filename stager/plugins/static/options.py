"""What an application may say in its section ``static``."""

from __future__ import annotations

from dataclasses import field

from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class StaticOptions:
    """The settings of a static site; each has a default that needs no thought."""

    root: str | None = field(
        default=None,
        metadata={
            "help": "The folder that is served, relative to the application; by default it is found, or read "
            "from the bundler's configuration.",
            "example": "dist",
        },
    )
    spa: bool | None = field(
        default=None,
        metadata={
            "help": "Whether what is no file is answered with index.html, and the page's own router goes on "
            "from there; by default what is found says so.",
            "example": True,
        },
    )
    force_https: bool = field(
        default=False,
        metadata={
            "help": "Whether requests that came to the router over http are sent to https.",
            "example": True,
        },
    )

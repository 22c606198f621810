"""What ``python_wsgi:`` in stager.yml may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from stager.model.frozen import dataclass

Server = Literal["gunicorn", "uvicorn", "mod_wsgi", "waitress", "uwsgi", "granian", "own"]


@dataclass(frozen=True, slots=True)
class PythonOptions:
    """The settings of an application in Python; each has a default that needs no thought."""

    entrypoint: str | None = field(
        default=None,
        metadata={
            "help": "The application: module:callable, module:factory(), or a file; by default it is found.",
            "example": "shop.wsgi:application",
        },
    )
    server: Server | None = field(
        default=None,
        metadata={
            "help": "What serves it; by default gunicorn. `own`: the entry point is run as a script.",
            "example": "mod_wsgi",
        },
    )
    mounts: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Several applications: an entry point for each URL.",
            "example": {"/": "shop.wsgi:application", "/api": "api:app"},
            "names": r"/[^\s\"'\\]*",
        },
    )
    static: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Folders whose files the server sends itself, by URL.",
            "example": {"/static": "static"},
            "names": r"/[^\s\"'\\]*",
        },
    )
    requirements: str | None = field(
        default=None,
        metadata={
            "help": "The file of requirements, where it has another name or place.",
            "example": "requirements/production.txt",
        },
    )
    version: str | None = field(
        default=None,
        metadata={
            "help": "The version of Python, or a range; by default what the application's files say.",
            "example": "3.11",
        },
    )
    processes: int | None = field(
        default=None,
        metadata={
            "help": "How many worker processes; by default as many as the memory and the cores allow.",
            "example": 4,
            "least": 1,
            "most": 1000,
        },
    )
    threads: int | None = field(
        default=None,
        metadata={
            "help": "How many threads each of them has; by default as many as its memory allows.",
            "example": 8,
            "least": 1,
            "most": 1000,
        },
    )
    timeout: int = field(
        default=60,
        metadata={
            "help": "What one request may take, in seconds.",
            "example": 120,
            "least": 1,
            "most": 86400,
        },
    )
    collectstatic: bool = field(
        default=True,
        metadata={"help": "Whether Django's collectstatic is run.", "example": False},
    )

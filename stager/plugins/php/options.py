"""What ``php:`` in stager.yml may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from stager.model.frozen import dataclass

Server = Literal["mod_php", "fpm"]


@dataclass(frozen=True, slots=True)
class PhpOptions:
    """The settings of an application in PHP; each has a default that needs no thought."""

    document_root: str | None = field(
        default=None,
        metadata={
            "help": "The folder that is served, relative to the application; it is found by default.",
            "example": "public",
        },
    )
    server: Server | None = field(
        default=None,
        metadata={
            "help": "PHP inside Apache, or php-fpm behind it; by default what the host has, mod_php first.",
            "example": "fpm",
        },
    )
    memory_limit: str = field(
        default="128M",
        metadata={
            "help": "What one process may take, as php.ini writes it; -1 is one process with all there is.",
            "example": "128M",
        },
    )
    ini: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Settings of php.ini, by name.",
            "example": {"date.timezone": "Europe/Paris"},
            "names": r"[A-Za-z_][A-Za-z0-9_.-]*",
        },
    )
    extensions: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "Extensions that PHP has to have, besides those that composer.json names.",
            "example": ["intl", "redis"],
            "pattern": r"(?:ext-)?[A-Za-z][A-Za-z0-9_-]*",
            "single": True,
        },
    )

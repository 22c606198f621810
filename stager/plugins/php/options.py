"""What ``php:`` in stager.yml may say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Server = Literal["mod_php", "fpm"]


@dataclass(frozen=True, slots=True)
class PhpOptions:
    """The settings of an application in PHP; each has a default that needs no thought."""

    document_root: str | None = field(
        default=None,
        metadata={
            "help": "The folder that is served, relative to the application: public. Found by default."
        },
    )
    server: Server | None = field(
        default=None,
        metadata={
            "help": "mod_php (PHP inside Apache) or fpm (php-fpm behind it); what the host has by default."
        },
    )
    memory_limit: str = field(
        default="128M",
        metadata={"help": "What one process may take, as php.ini writes it: 128M; -1 for all there is."},
    )
    ini: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"help": "Settings of php.ini by name: {date.timezone: Europe/Paris}."},
    )
    extensions: tuple[str, ...] = field(
        default=(),
        metadata={"help": "Extensions that PHP has to have, besides those of composer.json: [intl, redis]."},
    )

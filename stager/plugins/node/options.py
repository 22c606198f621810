"""What ``node:`` in stager.yml may say."""

from __future__ import annotations

from dataclasses import field

from stager.model.frozen import dataclass


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The settings of an application in Node; each has a default that needs no thought."""

    entrypoint: str | None = field(
        default=None,
        metadata={
            "help": "What is started: a script of package.json or a file; by default scripts.start or main.",
            "example": "start:prod",
        },
    )
    workspace: str | None = field(
        default=None,
        metadata={
            "help": "The folder, or the name, of the workspace that is started, where several could be.",
            "example": "apps/web",
        },
    )
    version: str | None = field(
        default=None,
        metadata={
            "help": "The version of Node, or a range; by default what the application's files say.",
            "example": "20",
        },
    )
    build: str | bool = field(
        default=True,
        metadata={
            "help": "The script of package.json that builds; true is `build` where there is one, false none.",
            "example": "build:production",
        },
    )
    keep_dev_dependencies: bool = field(
        default=False,
        metadata={
            "help": "Whether devDependencies stay in the droplet; by default they go after the build.",
            "example": True,
        },
    )

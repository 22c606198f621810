"""What must not be shown nor get into a droplet: the build environment's values, services' credentials."""

from __future__ import annotations

from collections.abc import Iterator

from stager.settings import Settings

#: A shorter value (true, 1, prod) stands in any file, and is no secret.
SECRET_LENGTH = 6


def build_secrets(settings: Settings, *, has_own_file: bool) -> Iterator[tuple[str, str]]:
    """Names and values of the build environment, but for those in the source's own stager.yml, if it is read.

    They are no secrets: the file itself is part of the application.
    """
    for name, value in settings.build_environment.items():
        origin = settings.origins.get(f"build_env.{name}", "")
        if not (has_own_file and origin.startswith("stager.yml ")):
            yield name, value


def credentials(services: str) -> Iterator[str]:
    """Every string under a ``credentials`` key of VCAP_SERVICES."""
    if not services:
        return
    import json

    def strings(value: object, *, is_secret: bool) -> Iterator[str]:
        if isinstance(value, str) and is_secret:
            yield value
        elif isinstance(value, dict):
            for key, item in value.items():
                yield from strings(item, is_secret=is_secret or key == "credentials")
        elif isinstance(value, list):
            for item in value:
                yield from strings(item, is_secret=is_secret)

    yield from dict.fromkeys(strings(json.loads(services), is_secret=False))

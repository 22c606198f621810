"""What must not be shown nor get into a droplet: the build environment's values, services' credentials."""

from __future__ import annotations

from collections.abc import Iterator

#: A shorter value (true, 1, prod) stands in any file, and is no secret.
SECRET_LENGTH = 6


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

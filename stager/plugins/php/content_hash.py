r"""The hash by which composer.lock says which composer.json it was made from.

Composer hashes PHP's compact JSON of some keys (Composer\Package\Locker::getContentHash, 2.x), after PHP
has read them into arrays, where ``{}`` and ``[]`` are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: What decides which packages are installed; a new description does not make a lock stale.
RELEVANT = (
    "name", "version", "require", "require-dev", "conflict", "replace", "provide", "minimum-stability",
    "prefer-stable", "repositories", "extra",
)  # fmt: skip


def content_hash(manifest: Mapping[str, Any]) -> str | None:
    """Return the hash of a parsed composer.json; None where PHP may write a number differently."""
    relevant = {key: manifest[key] for key in RELEVANT if key in manifest}
    config = manifest.get("config")
    platform = config.get("platform") if isinstance(config, Mapping) else None
    if platform is not None:
        relevant["config"] = {"platform": platform}
    try:
        text = _php_json(dict(sorted(relevant.items())))
    except _Unsure:
        return None
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class _Unsure(Exception):
    """A number whose digits are not the same in both languages."""


def _php_json(value: Any) -> str:
    if isinstance(value, Mapping):
        # A PHP array does not remember that it was an object: {} and {"0": …} come out as lists.
        if list(value) == [str(index) for index in range(len(value))]:
            return _php_json(list(value.values()))
        return "{" + ",".join(f"{_string(key)}:{_php_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_php_json(item) for item in value) + "]"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, float) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        raise _Unsure
    return json.dumps(value)


def _string(text: str) -> str:
    return json.dumps(text).replace("/", "\\/").replace("\\u007f", "\x7f")

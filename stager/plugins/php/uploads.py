"""How much a visitor may send: two settings of PHP and one of Apache that have to agree."""

from __future__ import annotations

from collections.abc import Mapping

from stager.model.frozen import dataclass
from stager.plugins.php.ini import MIB, size_bytes
from stager.plugins.php.ini_files import Setting

UPLOAD, POST = "upload_max_filesize", "post_max_size"
#: PHP's own 2M is less than one photograph.
DEFAULT_UPLOAD = 16 * MIB
#: A form around a file: its other fields and the boundaries.
FORM = 4 * MIB
#: What Apache 2.4.53 and later take without being told.
APACHE_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Uploads:
    """Bytes of one file and of one request; 0 is no limit. ``body`` is for Apache, None for its own."""

    upload: int
    post: int
    body: int | None
    warnings: tuple[str, ...] = ()


def upload_limits(in_force: Mapping[str, Setting]) -> Uploads:
    """Return limits that agree: where only one was set, the other follows.

    Raises
    ------
    ConfigurationError
        One of them is no size.
    """
    asked = {
        name: max(0, size_bytes(in_force[name].value, in_force[name].where))
        for name in (UPLOAD, POST)
        if name in in_force
    }
    warnings: tuple[str, ...] = ()
    upload = asked.get(UPLOAD, asked.get(POST, DEFAULT_UPLOAD) or APACHE_LIMIT)
    post = asked.get(POST, upload + FORM)
    if 0 < post < upload:
        text = (
            f"{in_force[POST].where} ({in_force[POST].value}) is less than {UPLOAD} "
            f"({in_force[UPLOAD].value}): a file of that size is refused with its form."
        )
        warnings = (text,)
    body = None if 0 < post <= APACHE_LIMIT else post
    return Uploads(upload, post, body, warnings)

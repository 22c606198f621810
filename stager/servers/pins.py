"""What is installed of servers that an application does not ask for: exact versions, for each Python."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

#: By root, that distribution and all that it needs, on Linux. A later version of any of them would make
#: other bytes of the same application. Each is ``uv pip compile --universal --python-version 3.8`` of the
#: root alone, less what is for Windows.
PINS: Mapping[str, tuple[str, ...]] = {
    "gunicorn": (
        "gunicorn==23.0.0; python_full_version < '3.10'",
        "gunicorn==27.0.1; python_full_version >= '3.10'",
        "packaging==26.2; python_full_version < '3.9'",
        "packaging==26.3; python_full_version == '3.9.*'",
    ),
    "uvicorn": (
        "click==8.1.8; python_full_version < '3.10'",
        "click==8.5.1; python_full_version >= '3.10'",
        "h11==0.16.0",
        "typing-extensions==4.13.2; python_full_version < '3.9'",
        "typing-extensions==4.16.0; python_full_version >= '3.9' and python_full_version < '3.11'",
        "uvicorn==0.33.0; python_full_version < '3.9'",
        "uvicorn==0.39.0; python_full_version == '3.9.*'",
        "uvicorn==0.54.0; python_full_version >= '3.10'",
    ),
    "uvicorn-worker": (
        "click==8.1.8; python_full_version < '3.10'",
        "click==8.5.1; python_full_version >= '3.10'",
        "gunicorn==23.0.0; python_full_version < '3.10'",
        "gunicorn==27.0.1; python_full_version >= '3.10'",
        "h11==0.16.0",
        "packaging==26.2; python_full_version < '3.9'",
        "packaging==26.3; python_full_version == '3.9.*'",
        "typing-extensions==4.13.2; python_full_version < '3.9'",
        "typing-extensions==4.16.0; python_full_version >= '3.9' and python_full_version < '3.11'",
        "uvicorn==0.33.0; python_full_version < '3.9'",
        "uvicorn==0.39.0; python_full_version == '3.9.*'",
        "uvicorn==0.54.0; python_full_version >= '3.10'",
        "uvicorn-worker==0.2.0; python_full_version < '3.9'",
        "uvicorn-worker==0.4.0; python_full_version >= '3.9'",
    ),
    "waitress": (
        "waitress==3.0.0; python_full_version < '3.9'",
        "waitress==3.0.2; python_full_version >= '3.9'",
    ),
    "pyuwsgi": ("pyuwsgi==2.0.30.post1",),
    "granian": (
        "click==8.1.8; python_full_version < '3.10'",
        "click==8.5.1; python_full_version >= '3.10'",
        "granian==1.6.4; python_full_version < '3.9'",
        "granian==2.5.7; python_full_version == '3.9.*'",
        "granian==2.8.7; python_full_version >= '3.10'",
        "uvloop==0.21.0; python_full_version < '3.8.1'",
        "uvloop==0.23.0; python_full_version >= '3.8.1' and python_full_version < '3.9'",
    ),
    "uvloop": (
        "uvloop==0.21.0; python_full_version < '3.8.1'",
        "uvloop==0.23.0; python_full_version >= '3.8.1'",
    ),
    "httptools": (
        "httptools==0.6.4; python_full_version < '3.9'",
        "httptools==0.9.0; python_full_version >= '3.9'",
    ),
    "whitenoise": (
        "whitenoise==6.7.0; python_full_version < '3.9'",
        "whitenoise==6.11.0; python_full_version == '3.9.*'",
        "whitenoise==6.12.0; python_full_version >= '3.10'",
    ),
    "servestatic": (
        "aiofiles==24.1.0; python_full_version < '3.9'",
        "asgiref==3.11.1; python_full_version == '3.9.*'",
        "asgiref==3.12.1; python_full_version == '3.10.*'",
        "asgiref==3.13.0; python_full_version >= '3.11'",
        "servestatic==1.2.0; python_full_version < '3.9'",
        "servestatic==3.1.0; python_full_version == '3.9.*'",
        "servestatic==4.4.0; python_full_version >= '3.10'",
        "typing-extensions==4.16.0; python_full_version >= '3.9' and python_full_version < '3.11'",
    ),
}


def pins_for(names: Iterable[str], present: Collection[str]) -> tuple[str, ...]:
    """Return the requirements of servers that are not there yet.

    Parameters
    ----------
    names:
        Roots, keys of :data:`PINS`.
    present:
        Normalised names of what the application asks for itself, in whatever version.

    Returns
    -------
    Lines of PEP 508, sorted: a root that is present brings what it needs itself, and nothing is pinned that
    is present.

    Raises
    ------
    KeyError
        A name is no root.
    """
    lines = {line for name in names if name not in present for line in PINS[name]}
    return tuple(sorted(line for line in lines if _name(line) not in present))


def _name(line: str) -> str:
    return re.split(r"[^a-z0-9-]", line, maxsplit=1)[0]

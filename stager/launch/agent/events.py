"""What happened to an application: a bounded file that outlives its supervisor, and somebody to tell."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Some 5000 events. When it is full, the older half goes.
MOST_BYTES = 1 << 20


class Events:
    """Tells events to ``say``, as one line each, and writes them to ``path``, one JSON document a line."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._lock = threading.Lock()

    def tell(self, event: str, text: str, **fields: Any) -> None:
        """``event`` is a stable word for machines, ``text`` for people."""
        line = json.dumps({"at": round(time.time(), 3), "event": event, "text": text, **fields})
        with self._lock:
            # No space for it is no reason to let the application down.
            with suppress(OSError):
                self._write(line)
            self._say(text)

    def _write(self, line: str) -> None:
        if self._path.exists() and self._path.stat().st_size > MOST_BYTES:
            kept = self._path.read_bytes()[-MOST_BYTES // 2 :].partition(b"\n")[2]
            temporary = self._path.with_name(f".{self._path.name}.new")
            temporary.write_bytes(kept)
            temporary.replace(self._path)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events in a file, the oldest first; a line that was cut short is left out."""
    events = []
    with suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                events.append(json.loads(line))
    return events

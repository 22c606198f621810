"""An index as bytes: one process makes it, while another still imports what it needs for all the rest.

To import that takes 0.1 s, on one core; in this time the other one indexes 20,000 files.
"""

from __future__ import annotations

import marshal
import os
from array import array
from collections.abc import Sequence
from pathlib import Path

from stager.source.ignoring import Ignoring, ignoring_for
from stager.source.index import Index, index_directory


def index_as_bytes(source: str, excluded: Sequence[Path]) -> bytes:
    """Index a directory; parameters and errors as of :func:`stager.source.opening.open_source`."""
    ignoring = ignoring_for(os.fspath(Path(source)), (), excluded)
    index = index_directory(ignoring.root, ignoring)
    return marshal.dumps((
        _question(ignoring),
        index.names,
        bytes(index.flags),
        index.sizes.tobytes(),
        index.numbers,
        index.first.tobytes(),
        index.count.tobytes(),
        index.links,
        index.files,
        index.size,
    ))  # fmt: skip


def index_of_bytes(data: bytes, ignoring: Ignoring) -> Index | None:
    """The index, made by this very program a moment ago; None where it left out something else."""
    question, names, flags, sizes, numbers, first, count, *rest = marshal.loads(data)  # noqa: S302
    if question != _question(ignoring):
        return None
    return Index(
        names, bytearray(flags), array("Q", sizes), numbers, array("L", first), array("L", count), *rest
    )


def _question(ignoring: Ignoring) -> tuple[str, tuple[tuple[str, str], ...], frozenset[str]]:
    return ignoring.root, tuple((rule.pattern, rule.origin) for rule in ignoring.rules), ignoring.excluded

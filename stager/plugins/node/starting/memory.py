"""How large the heap of a Node process may grow, and how many processes there are."""

from __future__ import annotations

import re

from stager.errors import NoStartCommand
from stager.model.memory import WorkerModel
from stager.model.plan import Shell
from stager.model.source_tree import SourceTree
from stager.plugins.node.environment import HEAP
from stager.plugins.node.reading.entries import find_entry, resolved
from stager.plugins.node.reading.manifest import Package
from stager.plugins.node.starting.shell_words import plain
from stager.plugins.node.starting.start import Start

#: Packages that start one process for each core, or as many as WEB_CONCURRENCY says.
_CLUSTERING = ("throng", "recluster", "cluster-service")
_CLUSTER = re.compile(
    r"""(?:require\s*\(\s*|from\s*|import\s*)["'](?:node:)?(?:cluster|throng|recluster)["']|\bWEB_CONCURRENCY\b"""
)
_LIMIT = 256 << 10


#: MiB that a process takes besides its heap, at the peak. Measured with Node 20.20 and express under 50
#: connections, the heap 92 % full of what is kept: heaps of 70, 172, 377 MiB peaked at 145, 232, 416 MiB of
#: RSS, of which 41 are the program's own file, which all processes share and the kernel can drop.
OVERHEAD_MIB = 40
#: Of the rest: the young generation, which the option does not limit, and buffers outside of the heap.
HEAP_HUNDREDTHS = 80
#: A worker of a cluster is worth having from here on (Heroku counts 512 for one, the tree of npm included).
WORKER_MIB = 216


def heap_model(*, is_clustered: bool = False) -> WorkerModel:
    """Return the model of a process that has the budget for itself, or of as many as WEB_CONCURRENCY says.

    ``STAGER_NODE_HEAP`` carries the heap of each in MiB: of 512 MiB, 377 for a single one.
    """
    return WorkerModel(
        # The first process of a cluster serves nothing, and is there.
        base_mib=OVERHEAD_MIB if is_clustered else 0,
        worker_mib=WORKER_MIB,
        overhead_mib=OVERHEAD_MIB,
        least_mib=32,
        limit_variable=HEAP,
        limit_hundredths=HEAP_HUNDREDTHS,
        per_core_hundredths=100,
        most=0 if is_clustered else 1,
        is_divided=True,
    )


def uses_cluster(source: SourceTree, package: Package | None, start: Start | None = None) -> bool:
    """Whether the application starts several processes of its own: its start file says so, or the command."""
    text = ""
    if start is not None:
        text = start.command.text if isinstance(start.command, Shell) else " ".join(start.command)
    if package is not None:
        text = text or package.scripts.get("start", "")
        if package.keeps(*_CLUSTERING):
            return True
    if re.search(r"(?<![\w./-])(?:pm2|pm2-runtime|throng)(?![\w./-])", text):
        return True
    folder = start.folder if start else package.folder if package else ""
    files = _named(source, folder, text) or _usual(source, package)
    return any(_CLUSTER.search(source.read_text(path, limit=_LIMIT)) for path in files)


def _named(source: SourceTree, folder: str, text: str) -> list[str]:
    """The files that a command names."""
    words = [plain(word).strip("\"'") for word in text.split()]
    named = [resolved(source, folder, word) for word in words if word and not word.startswith("-")]
    return [path for path in named if path.endswith((".js", ".mjs", ".cjs"))]


def _usual(source: SourceTree, package: Package | None) -> list[str]:
    """What is started where nothing is named."""
    try:
        entry = find_entry(source, package or Package({}))
    except NoStartCommand:
        return []
    return [entry.path] if entry and source.is_file(entry.path) else []

"""Whether a tree says itself how it is started."""

from __future__ import annotations

import re

from stager.model.detection import Detection, Strength
from stager.model.source_tree import SourceTree

NAME = "Procfile"
SETTINGS = "stager.yml"
_MISSPELT = frozenset(
    {"procfile", "procfile.txt", "proc.file", "procfiles", "profile", "prockfile", "procfile.yml"}
)
#: Scripts that people start their programs with.
_SCRIPTS = ("start.sh", "run.sh", "start", "run", "entrypoint.sh", "main.sh", "server.sh", "worker.sh")


def detect_procfile(source: SourceTree) -> Detection:
    """Return weak evidence: whatever else knows the application knows more than how it is started."""
    evidence = [NAME] if source.is_file(NAME) else []
    if source.is_file(SETTINGS) and re.search(
        r"(?m)^['\"]?processes['\"]?\s*:", source.read_text(SETTINGS, limit=1 << 20)
    ):
        evidence.append(f"{SETTINGS} (processes)")
    if evidence:
        return Detection(Strength.WEAK, tuple(evidence), gives_way=True)
    near = [
        f"{name if name.isprintable() else ascii(name)}: did you mean {NAME}?"
        for name in source.children()
        if name.lower() in _MISSPELT and source.is_file(name)
    ]
    script = next((name for name in _SCRIPTS if source.is_file(name)), "")
    if script and not near:
        near.append(f"{script}: a {NAME} with the line `web: ./{script}` (or worker:) would start it")
    return Detection(Strength.NONE, (), tuple(near))

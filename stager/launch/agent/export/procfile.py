"""A Procfile of the droplet, for foreman, honcho, overmind and their like; it belongs beside ``startup``."""

from __future__ import annotations

from stager.launch.agent.export.form import Exported, ExportedFile, Target
from stager.model.plan import Process, Shell
from stager.rendering import Renderer

_WEB = "web"


def procfile(target: Target, renderer: Renderer | None = None) -> Exported:
    """One line for each process type that is to be kept running."""
    values = {
        "name": target.name,
        "lines": [(process.type, _knows_term(process), process.type == _WEB) for process in target.processes],
    }
    text = (renderer or Renderer()).render("export/procfile.j2", values)
    formation = ",".join(
        f"{process.type}={target.instances if process.type == _WEB else 1}" for process in target.processes
    )
    steps = (
        "Put it into the unpacked droplet, beside startup (the application's own is app/Procfile).",
        *target.once,
        f"foreman start -p {target.port} -m {formation}",
    )
    return Exported((ExportedFile("Procfile", text),), steps)


def _knows_term(process: Process) -> bool:
    """Whether TERM, all that such a runner knows, is this process's graceful signal."""
    is_shell = isinstance(process.command, Shell)
    return not is_shell and (process.stop_signal == "TERM" or bool(process.companions))

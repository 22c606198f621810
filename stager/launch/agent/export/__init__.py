"""A droplet for somebody else's supervisor: systemd, a Procfile's runner, Compose."""

from __future__ import annotations

from stager.launch.agent.export.compose import compose
from stager.launch.agent.export.form import Exported, ExportedFile, Target, completed
from stager.launch.agent.export.procfile import procfile
from stager.launch.agent.export.systemd import systemd

KINDS = {"systemd": systemd, "procfile": procfile, "compose": compose}

__all__ = ["KINDS", "Exported", "ExportedFile", "Target", "completed"]

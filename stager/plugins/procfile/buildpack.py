"""The plan for an application that says itself how it is started."""

from __future__ import annotations

from stager.buildpack import Buildpack, NoOptions, PlanContext
from stager.errors import NoStartCommand
from stager.model.detection import Detection
from stager.model.plan import BuildPlan
from stager.model.source_tree import SourceTree
from stager.plugins.procfile.advice import warnings
from stager.plugins.procfile.detection import NAME, detect_procfile


class ProcfileBuildpack(Buildpack[NoOptions]):
    """Runs what a Procfile or the settings name; installs nothing."""

    runtime = "procfile"
    summary = "Anything with a Procfile, as it is"
    options = NoOptions

    def detect(self, source: SourceTree) -> Detection:
        return detect_procfile(source)

    def plan(self, context: PlanContext[NoOptions]) -> BuildPlan:
        # The core adds the processes: they are the user's own.
        if context.is_serving and not context.processes:
            is_there = context.source.is_file(NAME)
            raise NoStartCommand(
                "Nothing says how this application is started.",
                details=f"The {NAME} names no process." if is_there else f"There is no {NAME}.",
                resolution=f"Write `web: ./serve --port $PORT` into a file {NAME}, or set one: "
                "--set 'processes.worker=./work.sh'.",
            )
        return BuildPlan(
            runtime=self.runtime,
            # Whatever it is written in: what it prints is to be seen when it is printed.
            environment={"PYTHONUNBUFFERED": "1"},
            choices=((("processes", ", ".join(sorted(context.processes))),) if context.processes else ()),
            warnings=warnings(context.source, context.processes),
        )

"""A step that prints what means that it failed has failed, whatever its status says."""

import os

import pytest

from stager.errors import StepFailed
from stager.model.host import HostFacts, HostTool, ToolFact
from stager.model.plan import BuildPlan, RunCommand
from stager.model.reporter import Silent
from stager.phases.steps import Surroundings, run_steps

TOOL = HostTool("npm", "installs packages", "npm", ("npm",))


@pytest.fixture
def run(tmp_path, programs):
    """Runs one step whose program is ``script``."""

    def call(script, **fields):
        path = programs("npm", script)
        where = Surroundings(
            tmp_path,
            tmp_path,
            tmp_path,
            tmp_path,
            {},
            (),
            f"STAGER_BUILD={os.urandom(8).hex()}",
            is_offline=False,
        )
        step = RunCommand("npm ci", "npm", (), **fields)
        host = HostFacts({"npm": TOOL}, lambda tool: ToolFact(tool.name, str(path)))
        run_steps(BuildPlan("node", steps=(step,)), host, where, Silent())

    return call


def test_a_line_that_means_failure_is_found_however_long_ago_it_was_printed(run):
    script = "echo npm error code X; for i in $(seq 100); do echo $i; done"
    with pytest.raises(StepFailed, match="status 0, and it printed an error"):
        run(script, fails_on="^npm error")


def test_the_status_counts_alone_where_nothing_is_said_of_lines(run):
    run("echo npm error code X")
    run("echo 'not npm error'", fails_on="^npm error")

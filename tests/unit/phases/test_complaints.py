"""What is made of the lines that a step prints: some mean that it failed, some are warnings, some nothing."""

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
    """Runs one step whose program is ``said``."""

    def call(said, reporter=None, **fields):
        path = programs("npm", said)
        where = Surroundings(
            tmp_path,
            tmp_path,
            tmp_path,
            tmp_path,
            {},
            (),
            f"STAGER_BUILD={os.urandom(8).hex()}",
            is_offline=False,
            scripts={"x/script.js.j2": tmp_path / "script.js"},
        )
        step = RunCommand("npm ci", "npm", (), **fields)
        host = HostFacts({"npm": TOOL}, lambda tool: ToolFact(tool.name, str(path)))
        run_steps(BuildPlan("node", steps=(step,)), host, where, reporter or Silent())

    return call


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def output(self, line):
        self.lines.append(line)

    def warning(self, text):
        self.lines.append(("warning", text))


def test_a_line_that_means_failure_is_found_however_long_ago_it_was_printed(run):
    script = "echo npm error code X; for i in $(seq 100); do echo $i; done"
    with pytest.raises(StepFailed, match="status 0, and it printed an error"):
        run(script, fails_on="^npm error")


def test_the_status_counts_alone_where_nothing_is_said_of_lines(run):
    run("echo npm error code X")
    run("echo 'not npm error'", fails_on="^npm error")


def test_what_a_tool_says_of_how_it_was_called_is_shown_to_nobody(run):
    heard = Heard()
    script = "echo npm warn ours; echo npm warn theirs; exit 3"
    with pytest.raises(StepFailed) as caught:
        run(script, heard, hides="^npm warn ours")
    assert heard.lines == ["npm warn theirs"]
    assert "theirs" in caught.value.details
    assert "ours" not in caught.value.details


def test_a_warning_of_a_plugins_script_is_one_and_of_a_program_is_not(run):
    script = "echo stager: warning: mind the gap; echo mind"
    ours, theirs = Heard(), Heard()
    run(script, ours, script="x/script.js.j2")
    run(script, theirs)
    assert ours.lines == [("warning", "mind the gap"), "mind"]
    assert theirs.lines == ["stager: warning: mind the gap", "mind"]


def test_colours_that_nobody_asked_for_are_taken_out(run):
    heard = Heard()
    run(r"printf '\033[33m[SLOW] \033[0mplugin\n'", heard)
    assert heard.lines == ["[SLOW] plugin"]

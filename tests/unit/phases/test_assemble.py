"""What steps make, where it comes to lie, and what of the application they get to see."""

from __future__ import annotations

import pytest

from stager.execution.workspace import Workspace
from stager.model.host import HostFacts, HostTool, ToolFact
from stager.model.plan import BuildPlan, Process, RunCommand, RunHook
from stager.model.reporter import Silent
from stager.model.request import Request
from stager.phases.assemble import assemble
from stager.phases.plan import Plan
from stager.settings import Settings
from stager.source.tree import Tree

SH = HostTool("sh", "runs", "dash", programs=("sh",), when="build")
HOST = HostFacts({"sh": SH}, lambda tool: ToolFact(tool.name, "/bin/sh"))
WEB = Process("web", ("serve",))


def run(script, **fields):
    return RunCommand("a step", "sh", ("-ec", script), **fields)


class Details(Silent):
    """Keeps the decisions that it is told."""

    def __init__(self):
        self.said = []

    def detail(self, text):
        self.said.append(text)


@pytest.fixture
def assembled(tmp_path):
    """Assemble an application of four files with steps; what lies in app/ and deps/ is in ``listed``."""
    root = tmp_path / "app"
    (root / "src").mkdir(parents=True)
    (root / "requirements").mkdir()
    for name in ("main.py", "src/a.py", "requirements/base.txt", "requirements/more.txt"):
        (root / name).write_text(name)

    def do(*steps, **fields):
        build = BuildPlan("php", steps=steps, processes=(WEB,), **fields)
        with Workspace() as workspace:
            reporter = Details()
            done = assemble(
                Plan((), build, Settings(), HOST),
                Tree.of_directory(root),
                workspace,
                Request(str(root)),
                reporter,
            )
            do.said = reporter.said
            kept = {
                "dependencies": [entry.path for entry in done.dependency_entries()],
                "app": [entry.path for entry in done.app_entries()],
                "is_copied": done.tree.root != root,
            }
        assert sorted(path.name for path in root.iterdir()) == ["main.py", "requirements", "src"]
        return kept

    return do


APP = [
    "app", "app/main.py", "app/requirements", "app/requirements/base.txt", "app/requirements/more.txt",
    "app/src", "app/src/a.py",
]  # fmt: skip


def test_without_steps_nothing_is_copied(assembled):
    assert assembled() == {"dependencies": [], "app": APP, "is_copied": False}


def test_what_steps_make_beside_the_application_is_a_layer_of_its_own(assembled):
    step = run("mkdir -p ../deps/x/y ../deps/z; echo 1 > ../deps/x/y/f", outputs=("deps/x", "deps/none"))
    found = assembled(step)
    assert found["dependencies"] == ["deps", "deps/x", "deps/x/y", "deps/x/y/f"]
    assert found["app"] == APP
    assert found["is_copied"]


def test_confined_steps_see_their_inputs_alone_and_leave_the_application_where_it_lies(assembled):
    script = (
        "find . -type f | sort > ../deps/seen; echo changed > requirements/base.txt; "
        "mkdir ../deps/d; touch ../deps/d/f"
    )
    check = run('[ "$(cat ../deps/seen)" = ./requirements/base.txt ]', is_confined=True)
    step = run(script, inputs=("requirements/base.txt",), outputs=("deps/d",), is_confined=True)
    found = assembled(step, check)
    assert found == {"dependencies": ["deps", "deps/d", "deps/d/f"], "app": APP, "is_copied": False}


def test_confined_steps_may_need_a_folder_or_everything(assembled):
    count = '[ "$(find . -type f | wc -l)" = %d ]'
    assert not assembled(run(count % 2, inputs=("requirements",), is_confined=True))["is_copied"]
    assert not assembled(run(count % 4, inputs=("",), is_confined=True))["is_copied"]


def test_beside_a_step_or_hook_that_is_not_confined_all_work_on_a_copy(assembled):
    found = assembled(run("true", inputs=("main.py",), is_confined=True), RunHook("after_build", "touch new"))
    assert found["is_copied"]
    assert "app/new" in found["app"]


def test_steps_share_a_folder_that_is_not_packed(assembled):
    found = assembled(run("mkdir ../build/bin; touch ../build/bin/x"), run("[ -e ../build/bin/x ]"))
    assert found["dependencies"] == []
    assert found["app"] == APP


def test_what_only_the_build_needs_is_left_out(assembled):
    step = run("mkdir node_modules; touch node_modules/m", outputs=("app/node_modules",))
    assert assembled(step)["dependencies"] == ["app", "app/node_modules", "app/node_modules/m"]
    found = assembled(step, left_out=("node_modules", "src/a.py"))
    assert found["dependencies"] == []
    assert found["app"] == [path for path in APP if path != "app/src/a.py"]


def test_what_is_left_out_is_not_counted(assembled):
    step = run("mkdir node_modules; echo 12345 > node_modules/m", outputs=("app/node_modules",))
    assembled(step)
    assert assembled.said == ["5 files, 63 bytes of application"]
    assembled(step, left_out=("node_modules", "src", "gone"))
    assert assembled.said == ["3 files, 49 bytes of application"]

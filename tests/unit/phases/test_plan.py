"""Plans of several runtimes become one, and a plugin that cannot plan is named."""

from __future__ import annotations

import pytest

from stager.buildpack import Buildpack, NoOptions
from stager.errors import (
    ConfigurationError,
    Interrupted,
    NoStartCommand,
    PlanError,
    PluginBroken,
    UnsupportedVersion,
)
from stager.model.detection import Detection, Strength
from stager.model.droplet import Runtime
from stager.model.host import HostTool, ToolFact
from stager.model.plan import (
    BuildPlan,
    Limits,
    Process,
    RenderedFile,
    RunCommand,
    RunHook,
    Shell,
    SyntaxCheck,
)
from stager.model.reporter import Silent
from stager.phases.plan import merge, plan
from stager.registry import Registry
from stager.settings import Hooks, Settings
from stager.source.tree import Tree

SERVE = Process("web", ("serve",))
APACHE = HostTool("apache2", "serves", "apache2")
NODE = HostTool("node", "builds", "nodejs")


class Telling(Silent):
    def __init__(self):
        self.details = []
        self.warnings = []

    def detail(self, text):
        self.details.append(text)

    def warning(self, text):
        self.warnings.append(text)


def buildpack(name, planned, *tools):
    class Fake(Buildpack):
        def __init__(self):
            self.contexts = []

        def detect(self, source):
            return Detection(Strength.NONE)

        def plan(self, context):
            self.contexts.append(context)
            if isinstance(planned, BaseException):
                raise planned
            return planned(context) if callable(planned) else planned

    Fake.runtime, Fake.host_tools = name, tools
    return Fake()


@pytest.fixture
def planned(tmp_path):
    """Plan with these buildpacks, in their order; what was said is in ``planned.said``."""

    def do(*buildpacks, checks=(), **settings):
        do.said = Telling()
        registry = Registry(
            {one.runtime: one for one in buildpacks},
            {one.runtime: f"{one.runtime}-package 1.0" for one in buildpacks},
            checks,
        )
        options = {one.runtime: NoOptions() for one in buildpacks}
        return plan(
            Tree.of_directory(tmp_path, "shop"),
            tuple(registry.buildpacks),
            Settings(options=options, **settings),
            registry,
            lambda tool: ToolFact(tool.name, f"/usr/bin/{tool.name}"),
            do.said,
        )

    return do


def test_a_buildpack_is_given_all_that_a_plan_may_depend_on(planned):
    def make(context):
        return BuildPlan("php", processes=(SERVE,), choices=(("tool", context.host["apache2"].path),))

    php = buildpack("php", make, APACHE)
    limits = Limits(memory=1 << 30)
    done = planned(php, limits=limits, grace=3.0, processes={"worker": Shell("work")})
    (context,) = php.contexts
    assert (context.limits, context.grace, context.options) == (limits, 3.0, NoOptions())
    assert context.processes == {"worker": Shell("work")}
    assert planned.said.details == ["tool: /usr/bin/apache2"]
    assert done.runtimes == (Runtime("php"),)
    assert done.template_packages == (__name__,)


def test_what_the_user_wants_started_is_added_with_the_users_grace(planned):
    done = planned(
        buildpack("php", BuildPlan("php", processes=(SERVE,))),
        grace=3.0,
        processes={"worker": Shell("work"), "clock": ("tick",), "web": Shell("not this")},
    )
    assert done.build.processes == (
        SERVE,
        Process("clock", ("tick",), grace=3.0, drains=None),
        Process("worker", Shell("work"), grace=3.0, drains=None),
    )


def test_hooks_of_the_user_stand_around_the_steps(planned):
    step = RunCommand("install", "composer", ())
    done = planned(
        buildpack("php", BuildPlan("php", steps=(step,), processes=(SERVE,))),
        hooks=Hooks(before_build="one", after_build="two"),
    )
    assert done.build.steps == (RunHook("before_build", "one"), step, RunHook("after_build", "two"))


def test_the_users_environment_wins_over_the_plans(planned):
    made = BuildPlan("php", processes=(SERVE,), environment={"A": "plan", "B": "plan"})
    done = planned(buildpack("php", made), environment={"B": "user", "C": "user"})
    assert done.build.environment == {"A": "plan", "B": "user", "C": "user"}


def test_a_value_that_is_not_utf8_is_refused_by_its_name_alone(planned):
    made = buildpack("php", BuildPlan("php", processes=(SERVE,)))
    with pytest.raises(ConfigurationError) as caught:
        planned(made, environment={"GOOD": "é漢", "ODD": "secret\udcff"})
    assert caught.value.brief == "The value of the variable ODD is not UTF-8."
    assert "secret" not in str(caught.value)


def test_warnings_and_versions_are_kept(planned):
    made = BuildPlan("php", processes=(SERVE,), warnings=("no lock",), versions={"php": "8.2"})
    done = planned(buildpack("php", made))
    assert planned.said.warnings == ["no lock"]
    assert done.runtimes == (Runtime("php", {"php": "8.2"}),)


def test_nothing_to_start_is_an_error(planned):
    with pytest.raises(NoStartCommand) as caught:
        planned(buildpack("node", BuildPlan("node")))
    assert caught.value.details == "The node plan has no process, and there is no Procfile."
    assert caught.value.exit_code == 32


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (ValueError("boom"), "Its plan() raised ValueError: boom"),
        (SystemExit(2), "Its plan() raised SystemExit: 2"),
        (None, "Its plan() returned None, not a BuildPlan."),
        ({}, "Its plan() returned {}, not a BuildPlan."),
    ],
)
def test_a_plugin_that_cannot_plan_is_named(planned, made, said):
    with pytest.raises(PluginBroken) as caught:
        planned(buildpack("php", made))
    assert caught.value.brief == "The plugin php-package 1.0 is broken."
    assert caught.value.details == said


@pytest.mark.parametrize("error", [UnsupportedVersion("PHP 9 is not here."), Interrupted("SIGTERM")])
def test_an_error_that_a_buildpack_means_is_passed_on(planned, error):
    with pytest.raises(type(error)) as caught:
        planned(buildpack("php", error))
    assert caught.value is error


FIRST = BuildPlan(
    "node",
    steps=(RunCommand("npm ci", "node", ("ci",)),),
    files=(RenderedFile("node/x", "t"),),
    processes=(Process("web", ("node",)), Process("worker", ("one",)), Process("clock", ("tick",))),
    environment={"NODE_ENV": "production", "SHARED": "same"},
    tools=(NODE, APACHE),
    writable=("app/a", "app/b"),
    directories=("d",),
    choices=(("a", "b"),),
    warnings=("w",),
    syntax_checks=(SyntaxCheck("node", (), "app/x.js"),),
)
SECOND = BuildPlan(
    "php",
    steps=(RunCommand("composer", "composer", ()),),
    files=(RenderedFile("apache/x", "t"),),
    processes=(SERVE, Process("worker", ("two",))),
    environment={"PHP": "1", "SHARED": "same"},
    tools=(APACHE,),
    writable=("app/b", "app/c"),
    directories=("d", "e"),
)


def test_the_first_ones_supply_and_the_last_one_serves():
    merged = merge([FIRST, SECOND])
    assert merged.runtime == "php"
    assert merged.steps == FIRST.steps + SECOND.steps
    assert merged.files == FIRST.files + SECOND.files
    assert merged.processes == (Process("clock", ("tick",)), SERVE, Process("worker", ("two",)))
    assert merged.environment == {"NODE_ENV": "production", "PHP": "1", "SHARED": "same"}
    assert merged.tools == (NODE, APACHE)
    assert merged.writable == ("app/a", "app/b", "app/c")
    assert merged.directories == ("d", "e")
    assert (merged.choices, merged.warnings) == (FIRST.choices, FIRST.warnings)
    assert merged.syntax_checks == FIRST.syntax_checks


def test_one_plan_is_left_as_it_is():
    assert merge([FIRST]) is FIRST


def test_a_file_of_two_is_an_error_that_names_both():
    other = BuildPlan("php", files=(RenderedFile("node/x", "other"),))
    with pytest.raises(PlanError, match=r"^node and php both generate node/x\."):
        merge([FIRST, other])


def test_a_variable_that_two_set_differently_is_an_error_that_names_both():
    with pytest.raises(PlanError, match=r"^node and php both set the variable NODE_ENV\."):
        merge([FIRST, BuildPlan("php", environment={"NODE_ENV": "development"})])


def test_two_runtimes_are_planned_in_order_and_described_each(planned):
    node = BuildPlan("node", environment={"A": "1"}, versions={"node": "20"})
    php = BuildPlan("php", processes=(SERVE,), versions={"php": "8.2"})
    done = planned(buildpack("node", node, NODE), buildpack("php", php, APACHE))
    assert done.runtimes == (Runtime("node", {"node": "20"}), Runtime("php", {"php": "8.2"}))
    assert done.build.environment == {"A": "1"}
    assert sorted(done.host) == ["apache2", "node"]


def test_variables_that_two_runtimes_put_something_before_hold_both(planned):
    node = BuildPlan(
        "node", process_environment={"PATH": "node:${PATH}", "N": "1"}, left_out=("node_modules",)
    )
    php = BuildPlan("php", processes=(SERVE,), process_environment={"PATH": "php:${PATH}", "P": "2"})
    merged = merge([node, php])
    assert merged.process_environment == {"PATH": "node:php:${PATH}", "N": "1", "P": "2"}
    assert merged.left_out == ("node_modules",)


def test_a_web_process_of_an_earlier_runtime_stays_where_the_last_has_none():
    assert merge([BuildPlan("php", processes=(SERVE,)), BuildPlan("node")]).processes == (SERVE,)


def test_every_process_gets_what_all_of_them_get_unless_it_says_otherwise(planned):
    own = Process("web", ("serve",), environment={"PATH": "own"})
    made = BuildPlan("php", processes=(own,), process_environment={"PATH": "all:${PATH}", "B": "1"})
    done = planned(buildpack("php", made), processes={"worker": Shell("work")})
    environments = {process.type: process.environment for process in done.build.processes}
    assert environments == {"web": {"PATH": "own", "B": "1"}, "worker": {"PATH": "all:${PATH}", "B": "1"}}

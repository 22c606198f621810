"""None, one or many runtimes, and what is said in each case."""

from __future__ import annotations

import pytest

from stager.buildpack import Buildpack
from stager.errors import AmbiguousRuntime, Interrupted, NothingDetected, PluginBroken, UnknownRuntime
from stager.model.detection import Detection, Strength
from stager.model.reporter import Silent
from stager.phases.detect import SHOWN, detect
from stager.registry import Registry
from stager.source.tree import Tree


class Telling(Silent):
    def __init__(self):
        self.details = []
        self.warnings = []

    def detail(self, text):
        self.details.append(text)

    def warning(self, text):
        self.warnings.append(text)


def buildpack(name, answer, *aliases):
    class Fake(Buildpack):
        def detect(self, source):
            if isinstance(answer, BaseException):
                raise answer
            return answer

        def plan(self, context):
            raise NotImplementedError

    Fake.runtime, Fake.aliases = name, aliases
    return Fake()


def found(strength, *evidence, near=(), **fields):
    return Detection(strength, evidence, near, **fields)


def registry(*buildpacks, problems=()):
    return Registry(
        {one.runtime: one for one in buildpacks},
        {one.runtime: f"{one.runtime}-package 1.0" for one in buildpacks},
        problems=problems,
    )


@pytest.fixture
def asked(tmp_path):
    """Detect in a directory that holds a few things; what was said is in ``asked.said``."""
    (tmp_path / "index.php").touch()
    (tmp_path / "public").mkdir()

    def do(installed, *wanted):
        do.said = Telling()
        return detect(Tree.of_directory(tmp_path, "shop"), installed, wanted, do.said)

    return do


PHP = buildpack("php", found(Strength.STRONG, "composer.json", "index.php"))
NODE = buildpack("node", found(Strength.WEAK, "package.json", near=("packages.json",)), "js")
NONE = buildpack("ruby", found(Strength.NONE, near=("Gemfil: did you mean Gemfile?",)))


def test_the_strongest_evidence_selects_and_every_answer_is_kept(asked):
    detected = asked(registry(NODE, NONE, PHP))
    assert detected.selected == ("php",)
    assert [runtime for runtime, _ in detected.detections] == ["node", "ruby", "php"]
    assert detected.near_misses == ("node: packages.json", "ruby: Gemfil: did you mean Gemfile?")
    assert asked.said.details == ["php: composer.json, index.php"]
    assert asked.said.warnings == []


def test_the_order_of_installation_decides_nothing(asked):
    assert asked(registry(PHP, NODE)).selected == asked(registry(NODE, PHP)).selected


ASSETS = buildpack("assets", found(Strength.STRONG, "package.json", supplies=True))
ANYTHING = buildpack("anything", found(Strength.WEAK, "Procfile", gives_way=True))


def test_what_supplies_is_selected_besides_what_serves_and_before_it(asked):
    assert asked(registry(PHP, NODE, ASSETS)).selected == ("assets", "php")
    assert asked.said.details == ["assets: package.json", "php: composer.json, index.php"]
    assert asked(registry(NODE, ASSETS)).selected == ("assets", "node")


def test_where_nobody_serves_what_is_supplied_its_own_plan_says_what_to_do(asked):
    assert asked(registry(NONE, ASSETS)).selected == ("assets",)


def test_what_gives_way_is_selected_only_alone(asked):
    assert asked(registry(ANYTHING, NODE)).selected == ("node",)
    assert asked(registry(ANYTHING, NONE)).selected == ("anything",)


def test_near_misses_of_what_is_selected_are_told(asked):
    asked(registry(NODE))
    assert asked.said.warnings == ["packages.json"]


def test_what_is_asked_for_wins_in_its_order_and_once(asked):
    assert asked(registry(PHP, NODE, NONE), "js", "ruby", "node").selected == ("node", "ruby")
    assert asked.said.details == ["node: package.json", "ruby: asked for"]


def test_nothing_shows_what_was_seen(asked):
    with pytest.raises(NothingDetected) as caught:
        asked(registry(NONE, buildpack("static", found(Strength.NONE))))
    assert caught.value.brief == "No runtime recognises this application."
    assert caught.value.details == (
        "shop holds:\n  index.php\n  public/\n"
        "Nearly:\n  ruby: Gemfil: did you mean Gemfile?\n"
        "Installed runtimes: ruby, static."
    )
    assert "--runtime" in caught.value.resolution


def test_an_empty_source_is_called_empty(tmp_path):
    with pytest.raises(NothingDetected) as caught:
        detect(Tree.of_directory(tmp_path, "shop"), registry(), (), Silent())
    assert caught.value.details == "shop is empty.\nInstalled runtimes: none."


def test_a_large_source_is_not_listed_whole_and_odd_names_are_written_out(tmp_path):
    (tmp_path / "a\x1b[31m\n").touch()
    for number in range(SHOWN + 4):
        (tmp_path / f"b{number:02}").touch()
    with pytest.raises(NothingDetected) as caught:
        detect(Tree.of_directory(tmp_path, "shop"), registry(), (), Silent())
    lines = caught.value.details.splitlines()
    assert lines[1] == r"  'a\x1b[31m\n'"
    assert lines[SHOWN : SHOWN + 3] == ["  b18", "  … and 5 more", "Installed runtimes: none."]


def test_many_of_one_strength_are_ambiguous(asked):
    other = buildpack("python", found(Strength.STRONG, "requirements.txt"))
    with pytest.raises(AmbiguousRuntime) as caught:
        asked(registry(NODE, PHP, other))
    assert caught.value.details == "php: composer.json, index.php\npython: requirements.txt"
    assert caught.value.resolution == (
        "Choose one, for example --runtime php, or `runtime: php` in stager.yml."
    )


def test_an_unknown_runtime_is_an_error(asked):
    with pytest.raises(UnknownRuntime):
        asked(registry(PHP), "cobol")


BROKEN = buildpack("broken", ValueError("boom"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ValueError("boom"), "Its detect() raised ValueError: boom"),
        (SystemExit(1), "Its detect() raised SystemExit: 1"),
        (None, "Its detect() returned None, not a Detection."),
        (True, "Its detect() returned True, not a Detection."),
    ],
)
def test_a_plugin_that_cannot_detect_is_a_warning_while_another_can(asked, answer, said):
    detected = asked(registry(buildpack("broken", answer), PHP))
    assert detected.selected == ("php",)
    assert asked.said.warnings == [f"The plugin broken-package 1.0 is broken. {said}"]


def test_it_is_the_error_where_it_was_asked_for(asked):
    with pytest.raises(PluginBroken) as caught:
        asked(registry(BROKEN, PHP), "broken")
    assert caught.value.slug == "plugin-broken"
    assert caught.value.details == "Its detect() raised ValueError: boom"
    assert asked(registry(BROKEN, PHP), "php").selected == ("php",)


def test_it_is_the_error_where_nothing_else_was_detected(asked):
    with pytest.raises(PluginBroken):
        asked(registry(BROKEN, NONE))
    with pytest.raises(PluginBroken, match="could not be loaded"):
        asked(registry(NONE, problems=(PluginBroken("It could not be loaded."),)))


def test_a_signal_is_nobodys_fault(asked):
    with pytest.raises(Interrupted):
        asked(registry(buildpack("slow", Interrupted("Ended by SIGTERM.")), PHP))

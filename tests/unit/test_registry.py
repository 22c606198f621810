"""What is installed, and what is broken: a broken plugin is named, and takes nobody else down."""

from __future__ import annotations

import os
import sys
import types
from dataclasses import dataclass

import pytest

import stager
from stager import registry
from stager.buildpack import Buildpack, NoOptions
from stager.errors import Interrupted, PluginBroken, UnknownRuntime
from stager.hookspecs import hookimpl
from stager.model.detection import Detection, Strength
from stager.model.plan import BuildPlan
from stager.registry import load_registry


def buildpack(name, *aliases, options=NoOptions):
    class Fake(Buildpack):
        def detect(self, source):
            return Detection(Strength.NONE)

        def plan(self, context):
            return BuildPlan(name)

    Fake.runtime, Fake.aliases, Fake.options = name, aliases, options
    return Fake()


@dataclass(frozen=True)
class NamedCheck:
    name: str

    def run(self, droplet):
        return ()


def plugin(*buildpacks, checks=()):
    module = types.SimpleNamespace()
    module.stager_register_buildpacks = hookimpl(lambda: buildpacks)
    module.stager_register_checks = hookimpl(lambda: checks)
    # pluggy reads a hook's name from the attribute, and a hook's arguments from the function.
    return module


class EntryPoint:
    """What importlib.metadata finds of an installed package."""

    def __init__(self, package, found):
        self.dist = types.SimpleNamespace(name=package, version="1.0")
        self.name = package.replace("-", "_")
        self.value = self.name
        self.found = found

    def load(self):
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Load a registry of these packages alone: ``installed(ruby=plugin(…))``."""
    information = tmp_path / "some-1.0.dist-info"
    information.mkdir()
    (information / "entry_points.txt").write_text("[console_scripts]\nsome = some\n[stager]\nsome = some\n")
    monkeypatch.setattr("sys.path", [os.fspath(tmp_path), *sys.path])

    def load(built_in=(), **packages):
        points = [EntryPoint(name.replace("_", "-"), found) for name, found in packages.items()]
        monkeypatch.setattr(registry, "BUILT_IN", built_in)
        monkeypatch.setattr(
            "importlib.metadata.entry_points", lambda group: points if group == "stager" else []
        )
        return load_registry()

    return load


def test_the_built_in_plugin_comes_by_the_same_hook_and_first(installed):
    found = installed(("stager.plugins.php",), ruby=plugin(buildpack("ruby")))
    assert list(found.buildpacks) == ["php", "ruby"]
    assert found.packages == {"php": f"stager {stager.__version__}", "ruby": "ruby 1.0"}
    assert found.problems == ()


def test_packages_come_in_order_of_their_names_and_not_of_installation(installed):
    packages = {"b": plugin(buildpack("bb")), "a": plugin(buildpack("aa"), buildpack("zz"))}
    assert list(installed(**packages).buildpacks) == ["aa", "zz", "bb"]


def test_names_and_aliases_mean_runtimes(installed):
    @dataclass(frozen=True)
    class Options:
        level: int = 1

    found = installed(ruby=plugin(buildpack("ruby", "rb", options=Options)))
    assert found.resolve("rb") == found.resolve("ruby") == "ruby"
    assert found.aliases == {"rb": "ruby"}
    assert found.options == {"ruby": Options}
    assert found["ruby"].runtime == "ruby"


def test_a_runtime_that_nobody_provides_is_an_error_with_the_near_name(installed):
    found = installed(ruby=plugin(buildpack("ruby"), buildpack("node")))
    with pytest.raises(UnknownRuntime) as caught:
        found.resolve("rubi")
    assert caught.value.brief == "No installed plugin provides the runtime 'rubi'."
    assert caught.value.details == "Installed runtimes: ruby, node."
    assert caught.value.resolution == (
        "Did you mean 'ruby'? `stager runtimes` lists what is installed and from which package."
    )
    with pytest.raises(UnknownRuntime) as caught:
        installed().resolve("x")
    assert caught.value.details == "Installed runtimes: none."


def test_checks_are_collected_in_order_of_their_names(installed):
    found = installed(
        a=plugin(checks=(NamedCheck("z"), NamedCheck("b"))), b=plugin(checks=(NamedCheck("c"),))
    )
    assert [check.name for check in found.checks] == ["b", "c", "z"]


def raising(error):
    module = types.SimpleNamespace()

    @hookimpl
    def stager_register_buildpacks():
        raise error

    module.stager_register_buildpacks = stager_register_buildpacks
    return module


def returning(value):
    module = types.SimpleNamespace()
    module.stager_register_buildpacks = hookimpl(lambda: value)
    return module


def misspelt():
    module = types.SimpleNamespace()
    module.stager_register_buildpack = hookimpl(lambda: ())
    return module


def unmarked():
    return types.SimpleNamespace(stager_register_buildpacks=lambda: [buildpack("never")])


class NoName(Buildpack):
    def detect(self, source):
        raise NotImplementedError

    def plan(self, context):
        raise NotImplementedError


BROKEN = {
    "raises when it is imported": (ImportError("no yaml"), "Importing broken failed: ImportError: no yaml"),
    "exits when it is imported": (SystemExit(3), "Importing broken failed: SystemExit: 3"),
    "has a hook that raises": (raising(KeyError("x")), "A hook of it raised KeyError: 'x'"),
    "has a hook that exits": (raising(SystemExit()), "A hook of it raised SystemExit"),
    "returns no list": (returning(5), "A hook of it raised TypeError: 'int' object is not iterable"),
    "returns a class": (returning([NoName]), "NoName'> is not a Buildpack with a runtime."),
    "has no runtime": (returning([NoName()]), "is not a Buildpack with a runtime."),
    "has a runtime of another type": (returning([buildpack(5)]), "is not a Buildpack with a runtime."),
    "has an alias that is none": (returning([buildpack("x", None)]), "is not a Buildpack with a runtime."),
    "has another's runtime": (
        plugin(buildpack("php")),
        f"It claims the runtime 'php', which stager {stager.__version__} provides.",
    ),
    "has another's alias": (
        plugin(buildpack("other", "php")),
        f"It claims the runtime 'php', which stager {stager.__version__} provides.",
    ),
    "has a misspelt hook": (misspelt(), "unknown hook 'stager_register_buildpack'"),
    "has a hook without its mark": (unmarked(), "It implements none of stager's hooks."),
    "has no hook": (types.SimpleNamespace(), "It implements none of stager's hooks."),
    "has a check without a name": (plugin(checks=(object(),)), "is not a Check with a name and run()."),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_plugin_that(installed, how):
    found, said = BROKEN[how]
    loaded = installed(
        ("stager.plugins.php",), aaa=plugin(buildpack("before")), broken=found, zzz=plugin(buildpack("after"))
    )
    assert list(loaded.buildpacks) == ["php", "before", "after"]
    (problem,) = loaded.problems
    assert isinstance(problem, PluginBroken)
    assert problem.exit_code == 70
    assert problem.brief == "The plugin broken 1.0 is broken."
    assert said in problem.details
    assert problem.resolution
    assert loaded.resolve("after") == "after"


def test_the_author_is_told_what_a_misspelt_hook_should_be(installed):
    (problem,) = installed(broken=misspelt()).problems
    assert problem.resolution == (
        "Its hook stager_register_buildpack is called by nobody. "
        "Did its author mean stager_register_buildpacks?"
    )


def test_who_asks_for_what_is_not_there_is_told_of_the_broken_plugin_first(installed):
    found = installed(ruby=raising(KeyError("x")))
    with pytest.raises(PluginBroken, match=r"The plugin ruby 1\.0 is broken\."):
        found.resolve("ruby")


def test_one_buildpack_of_a_plugin_that_is_refused_does_not_hide_its_others(installed):
    found = installed(one=plugin(buildpack("x")), two=plugin(buildpack("x"), buildpack("y")))
    assert found.packages == {"x": "one 1.0", "y": "two 1.0"}
    assert len(found.problems) == 1


def test_a_signal_while_plugins_are_loaded_is_not_the_plugins_fault(installed):
    with pytest.raises(Interrupted):
        installed(a=Interrupted("Ended by SIGTERM."))
    with pytest.raises(Interrupted):
        installed(a=raising(Interrupted("Ended by SIGTERM.")))


def test_equal_packages_give_equal_registries(installed):
    packages = {"b": plugin(buildpack("bb")), "a": plugin(buildpack("aa"))}
    forth = installed(**packages)
    back = installed(**dict(reversed(packages.items())))
    assert list(forth.buildpacks) == list(back.buildpacks)


@pytest.fixture
def asked(monkeypatch):
    """How often the installed packages were asked for their entry points."""
    times = []
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: times.append(group) or [])
    return times


def test_packages_are_not_asked_where_none_can_have_an_answer(asked, monkeypatch, tmp_path):
    (tmp_path / "other-1.0.dist-info").mkdir()
    (tmp_path / "other-1.0.dist-info/entry_points.txt").write_text("[console_scripts]\nstager = x\n")
    (tmp_path / "bare-1.0.dist-info").mkdir()
    monkeypatch.setattr("sys.path", [os.fspath(tmp_path), os.fspath(tmp_path / "gone"), *sys.path])
    load_registry()
    assert asked == []


@pytest.mark.parametrize("name", ["packages.zip", "one.egg"])
def test_packages_are_asked_where_a_quick_look_does_not_tell(asked, monkeypatch, tmp_path, name):
    if name.endswith(".zip"):
        (tmp_path / name).touch()
        monkeypatch.setattr("sys.path", [*sys.path, os.fspath(tmp_path / name)])
    else:
        (tmp_path / name).mkdir()
        monkeypatch.setattr("sys.path", [*sys.path, os.fspath(tmp_path)])
    load_registry()
    assert asked == ["stager"]

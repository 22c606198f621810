"""Steps run in a clean environment, are ended at their deadline, and show no secret."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import pytest

from stager.errors import HostToolMissing, OfflineNotCached, StepFailed, StepTimedOut
from stager.execution.host import SBIN
from stager.execution.marked import marked
from stager.model.host import HostFacts, HostTool, ToolFact
from stager.model.plan import BuildPlan, CacheItem, KnownFailure, RunCommand, RunHook
from stager.model.reporter import Silent
from stager.phases.secrets import credentials
from stager.phases.steps import INHERITED, Surroundings, check_offline, check_tools, run_steps

COMPOSER = HostTool("composer", "installs PHP packages", "composer", ("composer",))
NOWHERE = HostFacts({"composer": COMPOSER}, lambda tool: ToolFact(tool.name))


class Telling(Silent):
    def __init__(self):
        self.steps = []
        self.lines = []

    def step(self, text):
        self.steps.append(text)

    def output(self, line):
        self.lines.append(line)


@pytest.fixture
def where(tmp_path):
    for name in ("app dir", "home", "tmp", "cache"):
        (tmp_path / name).mkdir()
    marker = f"STAGER_BUILD={os.urandom(8).hex()}"

    def make(environment=None, secrets=(), is_offline=False):
        return Surroundings(
            application=tmp_path / "app dir",
            home=tmp_path / "home",
            temporary=tmp_path / "tmp",
            cache=tmp_path / "cache",
            environment=environment or {},
            secrets=tuple(secrets),
            marker=marker,
            is_offline=is_offline,
        )

    yield make
    assert marked(marker) == []


@pytest.fixture
def composer(programs):
    """A host whose composer is this script."""

    def make(script):
        path = programs("composer", script)
        return HostFacts({"composer": COMPOSER}, lambda tool: ToolFact(tool.name, str(path)))

    return make


def hook(script, **fields):
    return BuildPlan("php", steps=(RunHook("before_build", script, **fields),))


def command(*arguments, **fields):
    return BuildPlan("php", steps=(RunCommand("composer install", "composer", arguments, **fields),))


def test_a_command_is_argv_in_the_applications_directory(composer, where, tmp_path):
    said = Telling()
    host = composer('pwd; printf "%s\\n" "$@"')
    run_steps(command("install", "a b", "$(id)"), host, where(), said)
    # The directory above is of this build alone, and shown to nobody.
    assert said.lines == ["../app dir", "install", "a b", "$(id)"]
    assert said.steps == ["composer install a b $(id)"]


def test_a_hook_is_shell_text_that_stops_at_the_first_failure(programs, where):
    said = Telling()
    run_steps(hook("echo one && echo 'two  words'\ncat <<< three"), NOWHERE, where(), said)
    assert said.lines == ["one", "two  words", "three"]
    assert said.steps == ["echo one && echo 'two  words'\ncat <<< three"]
    for script in ("echo one; false; echo never", "false | true; echo never"):
        said = Telling()
        with pytest.raises(StepFailed):
            run_steps(hook(script), NOWHERE, where(), said)
        assert "never" not in said.lines


def test_the_environment_is_clean(composer, where, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET", "x")
    for name in INHERITED:
        monkeypatch.setenv(name, f"caller's {name}")
    said = Telling()
    step = command(environment={"COMPOSER_HOME": "{cache}/composer", "PLAIN": "1"})
    run_steps(step, composer("exec env"), where({"GIVEN": "by the user"}), said)
    seen = dict(line.split("=", 1) for line in said.lines)
    marker = seen.pop("STAGER_BUILD")
    path = seen.pop("PATH").split(":")
    assert len(marker) == 16
    assert path[: len(os.environ["PATH"].split(":"))] == list(dict.fromkeys(os.environ["PATH"].split(":")))
    assert set(SBIN) <= set(path)
    assert {name: seen.pop(name) for name in INHERITED} == {name: f"caller's {name}" for name in INHERITED}
    assert {name: value for name, value in seen.items() if name not in {"PWD", "SHLVL", "_"}} == {
        "HOME": "../home",
        "TMPDIR": "../tmp",
        "LANG": "C.UTF-8",
        "GIVEN": "by the user",
        "COMPOSER_HOME": "../cache/composer",
        "PLAIN": "1",
    }


def test_offline_adds_its_own_environment(composer, where):
    step = command(environment={"A": "on"}, offline_environment={"A": "off", "CACHE": "{cache}"})
    for is_offline, seen in ((False, "on"), (True, "off")):
        said = Telling()
        run_steps(step, composer('echo "$A"'), where(is_offline=is_offline), said)
        assert said.lines == [seen]


def test_values_of_the_environment_arrive_as_they_are(programs, where):
    odd = 'it\'s "x" $(id) `id` \\ é\nnext'
    said = Telling()
    run_steps(hook('printf "%s" "$ODD" | od -An -tx1 -v | tr -d " \\n"'), NOWHERE, where({"ODD": odd}), said)
    assert bytes.fromhex(said.lines[0]) == odd.encode()


def test_steps_run_in_order_and_the_first_failure_ends_them(programs, where, tmp_path):
    steps = (
        RunHook("one", "echo 1 >> log"),
        RunHook("two", "echo 2 >> log; exit 7"),
        RunHook("three", "echo 3 >> log"),
    )
    with pytest.raises(StepFailed, match=r"^two ended with status 7\."):
        run_steps(BuildPlan("php", steps=steps), NOWHERE, where(), Silent())
    assert (tmp_path / "app dir/log").read_text() == "1\n2\n"


@pytest.mark.parametrize(
    ("script", "brief", "details", "resolution"),
    [
        (
            "echo wrong; exit 3",
            "before_build ended with status 3.",
            "Its last lines:\nwrong",
            "Run the same command in the application's folder and mend what it says.",
        ),
        (
            "exit 1",
            "before_build ended with status 1.",
            "It printed nothing.",
            "Run the same command in the application's folder and mend what it says.",
        ),
        (
            "kill -SEGV $$",
            "before_build ended with signal 11.",
            "It printed nothing.",
            "Run the same command in the application's folder and mend what it says.",
        ),
        (
            "echo big; kill -KILL $$",
            "before_build was killed.",
            "Its last lines:\nbig",
            "SIGKILL from outside usually means that the host ran out of memory.",
        ),
    ],
)
def test_a_failure_says_how_it_ended_and_what_it_said(programs, where, script, brief, details, resolution):
    with pytest.raises(StepFailed) as caught:
        run_steps(hook(f"ulimit -c 0; {script}"), NOWHERE, where(), Silent())
    error = caught.value
    assert (error.exit_code, error.slug) == (40, "step-failed")
    assert (error.brief, error.details, error.resolution) == (brief, details, resolution)


def test_at_its_deadline_a_step_ends_with_all_that_it_started(programs, where):
    started = time.monotonic()
    with pytest.raises(StepTimedOut) as caught:
        run_steps(hook("setsid sleep 60 & echo begun; sleep 60", timeout=2), NOWHERE, where(), Silent())
    assert time.monotonic() - started < 40
    assert caught.value.exit_code == 42
    assert caught.value.brief == "before_build took longer than 2 seconds."
    assert caught.value.details == "Its last lines:\nbegun"


def test_secrets_are_hidden_in_steps_output_and_errors(programs, where):
    secrets = ["hunter2", "hunter2-and-more", "-----BEGIN-----\nfirst line\nlast line", "1", "prod"]
    said = Telling()
    script = 'echo "hunter2 hunter2-and-more"; printf "%s\\n" "$KEY" 1 prod; exit 1'
    with pytest.raises(StepFailed) as caught:
        run_steps(hook(script), NOWHERE, where({"KEY": secrets[2]}, secrets), said)
    assert said.steps == ['echo "*** ***"; printf "%s\\n" "$KEY" 1 prod; exit 1']
    # What is shorter than six characters is no secret: hiding it would garble everything.
    assert said.lines == ["*** ***", "***", "***", "***", "1", "prod"]
    assert caught.value.details.splitlines()[1:] == said.lines


def test_a_path_without_bash_is_an_error_that_says_so(programs, where):
    with pytest.raises(HostToolMissing) as caught:
        run_steps(hook("true"), NOWHERE, where({"PATH": "/nonexistent"}), Silent())
    assert caught.value.brief == "before_build needs bash, and it is not on the PATH of the build."
    assert "PATH" in caught.value.resolution


def test_an_environment_that_is_too_large_is_a_failure_that_says_so(programs, where):
    with pytest.raises(StepFailed) as caught:
        run_steps(hook("true"), NOWHERE, where({"BIG": "x" * 200_000}), Silent())
    assert caught.value.brief == "before_build could not be started."
    assert "Argument list too long" in caught.value.details


def test_a_missing_tool_is_named_before_anything_runs():
    build = BuildPlan(
        "php", steps=(RunHook("before_build", "true"), RunCommand("composer install", "composer", ()))
    )
    with pytest.raises(HostToolMissing) as caught:
        check_tools(build, NOWHERE)
    assert caught.value.exit_code == 41
    assert caught.value.brief == "composer install needs composer, and this host does not have it."
    assert caught.value.details == "composer: installs PHP packages"
    assert caught.value.resolution == "Install it: apt-get install -y --no-install-recommends composer"


def test_tools_that_are_there_are_no_error(composer):
    check_tools(command("install"), composer("exit 1"))


def test_offline_names_all_that_is_not_in_the_cache(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files/there").touch()
    needs = tuple(CacheItem(f"acme/{name} 1.0", f"files/{name}") for name in ("one", "there", "two"))
    build = command(offline_needs=needs)
    with pytest.raises(OfflineNotCached) as caught:
        check_offline(build, tmp_path)
    assert caught.value.exit_code == 44
    assert caught.value.details == "Missing:\n  acme/one 1.0\n  acme/two 1.0"
    assert str(tmp_path) in caught.value.resolution
    with pytest.raises(OfflineNotCached) as caught:
        check_offline(build, None)
    assert caught.value.details.count("acme/") == 3
    assert "--no-cache" in caught.value.resolution
    check_offline(command(offline_needs=needs[1:2]), tmp_path)
    check_offline(hook("true"), None)


def test_credentials_of_services_are_all_text_below_that_key():
    services = """{"mysql": [{"name": "db", "credentials": {"uri": "mysql://u:p@h", "port": 3306,
        "more": ["one", {"x": "two"}]}}], "credentials": "top", "other": [{"label": "x"}]}"""
    assert list(credentials(services)) == ["mysql://u:p@h", "one", "two", "top"]
    assert list(credentials("")) == []


# ---- tools and scripts of the build itself


def test_a_tool_may_be_what_an_earlier_step_made(where, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build/tool").symlink_to("/bin/echo")
    said = Telling()
    step = RunCommand("say", "../build/tool", ("hello",))
    plan = BuildPlan("php", steps=(step,))
    check_tools(plan, NOWHERE)
    run_steps(plan, NOWHERE, where(), said)
    assert said.lines == ["hello"]
    assert said.steps == ["tool hello"]


def test_a_script_of_the_plugin_comes_before_the_arguments(where, tmp_path):
    script = tmp_path / "0.say.py"
    script.write_text("import sys; print(sys.argv[1:])")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/python").symlink_to("/usr/bin/python3")
    said = Telling()
    step = RunCommand("say", "../build/python", ("a", "b c"), script="php/say.py.j2")
    surroundings = replace(where(), scripts={"php/say.py.j2": script}, path=(tmp_path / "build",))
    run_steps(BuildPlan("php", steps=(step,)), NOWHERE, surroundings, said)
    assert said.lines == ["['a', 'b c']"]
    assert said.steps == ["say"]


def test_folders_of_the_build_come_first_on_the_path(where, tmp_path):
    said = Telling()
    run_steps(hook('echo "$PATH"'), NOWHERE, replace(where(), path=(tmp_path / "build/bin",)), said)
    assert said.lines[0].startswith("../build/bin:")


# ---- failures that are known

MISSING = KnownFailure(
    r"no (?P<name>[\w.-]+) anywhere", "{where}: {name} does not exist.", "Is {name} right?"
)
UNCACHED = KnownFailure(r"not in the cache", "Not cached.", "Build it once.", is_offline=True)


def failed(composer, where, script, *failures, inputs=("requirements.txt", "more.txt")):
    step = command(failures=failures, inputs=inputs)
    with pytest.raises((StepFailed, OfflineNotCached)) as caught:
        run_steps(step, composer(script), where, Silent())
    return caught.value


def test_a_known_failure_is_told_in_its_own_words_with_the_place_of_the_name(composer, where, tmp_path):
    (tmp_path / "app dir/requirements.txt").write_text("flask\n# no\n")
    (tmp_path / "app dir/more.txt").write_bytes("\n\nNo_Such==1\n".encode("utf-16"))
    error = failed(composer, where(), "echo before; echo there is no no-such anywhere; exit 2", MISSING)
    assert error.brief == "more.txt line 3: no-such does not exist."
    assert error.resolution == "Is no-such right?"
    assert "before" in error.details
    assert error.exit_code == 40


def test_the_first_input_is_the_place_of_a_name_that_stands_nowhere(composer, where, tmp_path):
    (tmp_path / "app dir/requirements.txt").write_text("flask-cors\n")
    error = failed(composer, where(), "echo no flask anywhere; exit 2", MISSING)
    assert error.brief == "requirements.txt: flask does not exist."
    error = failed(composer, where(), "echo no flask anywhere; exit 2", MISSING, inputs=())
    assert error.brief == "the application: flask does not exist."


def test_what_is_missing_in_the_cache_is_told_as_that_only_offline(composer, where):
    script = "echo not in the cache; exit 1"
    assert failed(composer, where(is_offline=True), script, UNCACHED).exit_code == 44
    assert failed(composer, where(), script, UNCACHED).exit_code == 40


def test_braces_in_what_a_tool_says_do_no_harm(composer, where):
    known = KnownFailure(r"got (?P<name>\S+)", "It got {name}.", "So.")
    assert (
        failed(composer, where(), "echo 'got {0.__class__}'; exit 1", known).brief == "It got {0.__class__}."
    )

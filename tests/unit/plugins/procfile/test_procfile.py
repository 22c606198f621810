"""Trees that say themselves how they are started."""

import pytest

from stager.buildpack import PlanContext
from stager.errors import ConfigurationError, NoStartCommand
from stager.model.detection import Strength
from stager.model.host import HostFacts
from stager.model.plan import Shell
from stager.plugins.procfile.buildpack import ProcfileBuildpack
from stager.settings import load_settings
from stager.source.tree import Tree


def tree(tmp_path, files):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return Tree.of_directory(tmp_path)


def plan(tmp_path, files, processes=None, **context):
    source = tree(tmp_path, files)
    return ProcfileBuildpack().plan(
        PlanContext(source, ProcfileBuildpack.options(), HostFacts.of(), processes=processes or {}, **context)
    )


@pytest.mark.parametrize(
    ("files", "evidence"),
    [
        ({"Procfile": "web: x"}, ("Procfile",)),
        ({"stager.yml": "memory: 1G\nprocesses:\n  web: x\n"}, ("stager.yml (processes)",)),
        ({"stager.yml": "env:\n  processes: x\n"}, ()),
        ({}, ()),
    ],
)
def test_whatever_says_how_it_is_started_is_weak_evidence(tmp_path, files, evidence):
    found = ProcfileBuildpack().detect(tree(tmp_path, files))
    assert (found.strength, found.evidence) == (Strength.WEAK if evidence else Strength.NONE, evidence)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("procfile", "procfile: did you mean Procfile?"),
        ("Procfile.txt", "Procfile.txt: did you mean Procfile?"),
        ("start.sh", "start.sh: a Procfile with the line `web: ./start.sh` (or worker:) would start it"),
    ],
)
def test_near_misses(tmp_path, name, near):
    assert ProcfileBuildpack().detect(tree(tmp_path, {name: ""})).near_misses == (near,)


def test_the_plan_adds_nothing_but_unbuffered_output(tmp_path):
    made = plan(tmp_path, {"Procfile": "worker: ./x | y"}, {"worker": Shell("./x | y")})
    assert (made.steps, made.files, made.processes, made.tools) == ((), (), (), ())
    assert made.environment == {"PYTHONUNBUFFERED": "1"}


def test_without_processes_there_is_nothing_to_start(tmp_path):
    with pytest.raises(NoStartCommand) as caught:
        plan(tmp_path, {"a": ""})
    assert "web: ./serve --port $PORT" in caught.value.resolution
    assert plan(tmp_path, {"a": ""}, is_serving=False).processes == ()


@pytest.mark.parametrize(
    ("command", "content", "problem"),
    [
        ("./a.sh", "#!/bin/sh\r\nx\r\n", "the interpreter will not find"),
        ("bash a.sh", "x\r\n", "the shell will not find"),
        ("A='1 2' exec ./a.sh x", "#!/bin/sh\n", "no execute bit"),
        ("true && ./a.sh | cat", "#!/bin/sh\n", "no execute bit"),
        ("sh -e ./a.sh", "true\n", ""),
        ("echo 'a.sh", "true\n", ""),
        ("/bin/true ./a.sh", "true\r\n", ""),
    ],
)
def test_scripts_that_will_not_run_are_warned_of(tmp_path, command, content, problem):
    warnings = plan(tmp_path, {"a.sh": content}, {"web": Shell(command)}).warnings
    assert len(warnings) == bool(problem)
    assert all(text.startswith("web: a.sh ") and problem in text for text in warnings)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("web ./a\n", "Procfile line 1"),
        ("# c\r\n\r\nweb: a\r\nweb: b\r\n", "Procfile line 4"),
        ("web: a\n- worker: b\n", "Procfile line 2"),
        ("web: a\n\tcontinued\n", "Procfile line 2"),
        ("web:\t\n", "Procfile line 1"),
        ("web: a\n".encode("utf-16"), "Procfile"),
        (b"web: \xff\xfea\n", "Procfile"),
    ],
)
def test_a_bad_procfile_names_file_and_line(tmp_path, text, where):
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tree(tmp_path, {"Procfile": text}), options_by_runtime={})
    assert where in caught.value.brief


@pytest.mark.parametrize(
    "text", ["web:\t./a 'b  c' | d && e $PORT \r\n", "\ufeffweb: ./a 'b  c' | d && e $PORT"]
)
def test_commands_are_read_as_they_are_written(tmp_path, text):
    settings, _ = load_settings(tree(tmp_path, {"Procfile": text}), options_by_runtime={})
    assert settings.processes["web"].text.strip() == "./a 'b  c' | d && e $PORT"

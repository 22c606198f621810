"""What is rendered, and what is refused. What the scripts do is tested in tests/unit/launch_scripts."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from stager.errors import ConfigurationError, TemplateFailed
from stager.model.droplet import Layer, Manifest
from stager.model.host import HostTool
from stager.model.memory import Share, WorkerModel
from stager.model.plan import Companion, Process, Shell
from stager.phases.launch_scripts import CONTRACT, launch_scripts

WEB = Process("web", ("serve", "--port", "${PORT}"))
EVERYTHING = Manifest(
    stager_version="1.0\nrm -rf /",
    runtimes=(),
    processes=(
        replace(
            WEB,
            stop_signal="WINCH",
            companions=(Companion("side", ("side", "it's"), "QUIT", "${STAGER_SOCKETS}/s"),),
            workers=WorkerModel(1, 2, limit_variable="LIMIT", shares=(Share("SHARE", 8, 1, 2),)),
            checks=(("serve", "-t", "$(id)"),),
            environment={"A": "'${LIMIT}\n"},
        ),
        Process("it's *)\n; id #", Shell("echo 'a\nb'\n# end")),
    ),
    environment={"B": "${C}\n'", "EMPTY": ""},
    tools=(HostTool("a tool's", "", "pack age", ("x*",), ("/y/*",), variable="TOOL", optional=True),),
    writable=("app/it's", "app/$(id)"),
)


@pytest.mark.parametrize(
    "manifest", [EVERYTHING, Manifest("1", (), (WEB,)), Manifest("1", (), (Process("a", Shell("")),))]
)
def test_both_scripts_parse_in_bash_without_a_word(manifest):
    for script in launch_scripts(manifest):
        assert script.startswith("#!/bin/bash -p\n")
        ended = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=True)
        assert ended.stderr == b""


def test_values_are_not_run_when_it_is_parsed_and_started(tmp_path):
    startup, stop = launch_scripts(EVERYTHING)
    for name, script in (("startup", startup), ("stop", stop)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    ended = subprocess.run([tmp_path / "startup", "-h"], capture_output=True, check=True)
    assert ended.stderr == b""
    assert b"web, it's *)\n; id #" in ended.stdout
    assert subprocess.run([tmp_path / "stop"], capture_output=True, check=False).returncode == 0


def test_equal_manifests_give_equal_scripts_whatever_was_measured_and_packed():
    other = replace(EVERYTHING, layers=(Layer("app", "0", 1, 2),), measured={"worker_bytes": 5})
    assert launch_scripts(EVERYTHING) == launch_scripts(other)
    turned = replace(EVERYTHING, environment=dict(reversed(EVERYTHING.environment.items())))
    assert launch_scripts(EVERYTHING) == launch_scripts(turned)


def test_bytes_that_are_no_text_can_be_written():
    manifest = replace(EVERYTHING, writable=("app/\udcff",), environment={"A": "\udc80"})
    for script in launch_scripts(manifest):
        script.encode()


@pytest.mark.parametrize(
    "name", ["a-b", "1A", "", "A=B", "A B", "UID", "PPID", "SHELLOPTS", "stager_x", "Ä", "A\n"]
)
def test_a_variable_that_a_shell_cannot_set_is_a_configuration_error(name):
    with pytest.raises(ConfigurationError) as caught:
        launch_scripts(replace(EVERYTHING, environment={name: "x"}))
    assert repr(name) in caught.value.brief
    with pytest.raises(ConfigurationError):
        launch_scripts(Manifest("1", (), (replace(WEB, environment={name: "x"}),)))


@pytest.mark.parametrize("signal", ["KILL", "STOP", "SIGTERM", "", "CHLD", "15"])
def test_a_signal_that_stops_nothing_gracefully_is_refused(signal):
    for process in (
        replace(WEB, stop_signal=signal),
        replace(WEB, companions=(Companion("c", ("x",), signal),)),
    ):
        with pytest.raises(TemplateFailed, match=repr(signal)):
            launch_scripts(Manifest("1", (), (process,)))


@pytest.mark.parametrize(
    "process",
    [
        replace(WEB, command=("x", "${STAGER_SOCKET}/y")),
        replace(WEB, checks=(("x", "${STAGER_NOPE}"),)),
        replace(WEB, environment={"A": "${STAGER_NOPE}"}),
        replace(WEB, companions=(Companion("c", ("x",), "TERM", "${STAGER_NOPE}/s"),)),
    ],
)
def test_a_misspelt_variable_of_ours_is_refused(process):
    with pytest.raises(TemplateFailed, match=r"refers to STAGER_(SOCKET|NOPE), which nothing sets"):
        launch_scripts(Manifest("1", (), (process,)))


def test_variables_of_tools_models_and_environments_are_known():
    command = (
        "${STAGER_TOOL}",
        "${STAGER_LIMIT}",
        "${STAGER_SHARE}",
        "${STAGER_ALL}",
        "${STAGER_OWN}",
        "${OTHER}",
    )
    process = replace(
        WEB,
        command=(*command, *(f"${{{name}}}" for name in CONTRACT)),
        workers=WorkerModel(1, 2, limit_variable="STAGER_LIMIT", shares=(Share("STAGER_SHARE", 1, 1, 1),)),
        environment={"STAGER_OWN": "x"},
    )
    tools = (HostTool("t", "", "t", ("t",), variable="STAGER_TOOL"),)
    launch_scripts(Manifest("1", (), (process,), environment={"STAGER_ALL": "x"}, tools=tools))


def test_a_worker_of_no_size_is_refused():
    with pytest.raises(TemplateFailed, match="cannot be counted"):
        launch_scripts(Manifest("1", (), (replace(WEB, workers=WorkerModel(1, 0)),)))


def test_only_what_is_needed_is_in_the_script():
    startup, _ = launch_scripts(Manifest("1", (), (WEB,)))
    assert "stager_supervise" not in startup
    assert "stager_find_tool" not in startup
    startup, _ = launch_scripts(EVERYTHING)
    assert "stager_supervise" in startup
    assert "stager_find_tool" in startup


def test_both_read_the_same_before_the_droplet_is_known():
    # What a person who opens two droplets may rely on.
    one, two = (
        launch_scripts(Manifest("1", (), (process,)))[1] for process in (WEB, Process("x", Shell("y")))
    )
    assert one.splitlines()[:100] == two.splitlines()[:100]

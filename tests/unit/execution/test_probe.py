"""Questions never raise for an answer, and never outlast their time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from stager.execution.probe import Answer, probe


def test_an_answer_is_the_status_and_what_was_printed_stdout_first(fp):
    fp.register(["php", "-v"], stdout="PHP 8.2\n", stderr="Warning\n", returncode=3)
    assert probe(["php", "-v"]) == Answer(3, "PHP 8.2\nWarning\n")


def test_the_question_is_argv_and_no_shell_sees_it(programs):
    programs("say", 'printf "%s|" "$@"')
    assert probe(["say", "a b", "$(id)", "", "-x", "'"]).output == "a b|$(id)||-x|'|"


def test_a_program_that_is_not_there_is_an_answer():
    answer = probe(["no-such-program-anywhere"])
    assert answer == Answer(None, "no-such-program-anywhere: No such file or directory")


def test_a_program_that_may_not_be_run_is_an_answer(tmp_path):
    path = tmp_path / "text"
    path.write_text("#!/bin/sh\n")
    assert probe([str(path)]) == Answer(None, f"{path}: Permission denied")


def test_bytes_that_are_not_utf8_are_replaced(programs):
    programs("say", r"printf 'a\xffb'")
    assert probe(["say"]) == Answer(0, "a\ufffdb")


def test_the_environment_is_the_callers_or_exactly_the_one_given(programs, monkeypatch):
    programs("say", 'echo "$SEEN"')
    monkeypatch.setenv("SEEN", "the caller's")
    assert probe(["say"]).output == "the caller's\n"
    path = {"PATH": os.environ["PATH"]}
    assert probe(["say"], environment=path).output == "\n"
    assert probe(["say"], environment={**path, "SEEN": "given"}).output == "given\n"


def test_it_is_asked_in_the_directory_given_with_nothing_on_stdin(programs, tmp_path):
    programs("say", "pwd; cat")
    assert probe(["say"], directory=str(tmp_path)).output == f"{tmp_path}\n"


def test_a_program_that_takes_too_long_is_killed_with_what_it_started(programs, tmp_path):
    programs("slow", f"sleep 30 & echo $! > {tmp_path}/pid; wait")
    started = time.monotonic()
    answer = probe(["slow"], timeout=2)
    assert answer == Answer(None, "slow did not answer within 2 seconds")
    assert time.monotonic() - started < 25
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "what it started still runs"
        time.sleep(0.02)


def test_an_interrupt_ends_the_program_and_goes_on(programs, tmp_path, monkeypatch):
    programs("slow", "sleep 30")
    from stager.execution import probe as module

    class Interrupted(module.subprocess.Popen):
        def communicate(self, *arguments, **options):
            raise KeyboardInterrupt

    monkeypatch.setattr(module.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        probe(["slow"])

"""Questions to bash, to the servers and to parsers; every answer is a finding and none is an exception."""

from __future__ import annotations

import os

import pytest

from stager.execution.probe import Answer
from stager.model.droplet import Manifest
from stager.model.finding import Finding
from stager.model.host import ToolFact
from stager.model.plan import Process, SyntaxCheck
from stager.phases import static_checks
from stager.phases.static_checks import (
    check_configuration,
    check_drains,
    check_scripts,
    check_syntax,
    clean_environment,
    run_plugin_checks,
)

MARKER = "STAGER_BUILD=abc"
NOT_CHECKED = "the configuration of web was not checked: "


@pytest.fixture
def answers(monkeypatch):
    """Every question gets the next of these answers; what was asked is in ``answers.asked``."""

    def give(*given):
        left = list(given)
        give.asked = []

        def probe(argv, **options):
            give.asked.append((list(argv), options))
            return left.pop(0)

        monkeypatch.setattr(static_checks, "probe", probe)

    return give


def test_scripts_are_parsed_and_never_run(tmp_path):
    (tmp_path / "startup").write_text(f"touch {tmp_path}/ran\n")
    (tmp_path / "stop").write_text("if true; then\n")
    (finding,) = check_scripts(tmp_path, MARKER)
    assert (finding.check, finding.level, finding.path) == ("scripts", "error", "stop")
    assert "syntax error" in finding.message
    assert not (tmp_path / "ran").exists()


def test_a_host_without_bash_skips_scripts(answers, tmp_path):
    answers(Answer(None, "bash: No such file or directory"), Answer(0, ""))
    assert check_scripts(tmp_path, MARKER) == [
        Finding("scripts", "skipped", "bash is not on this host: bash: No such file or directory", "startup")
    ]


CHECKED = Manifest("1", (), (Process("web", ("x",), checks=(("x", "-t"),)), Process("worker", ("y",))))


def test_only_processes_with_checks_are_checked_and_on_loopback(answers, tmp_path):
    answers(Answer(0, "Syntax OK\n"))
    assert check_configuration(tmp_path, CHECKED, MARKER) == []
    ((argv, options),) = answers.asked
    assert argv == [str(tmp_path / "startup"), "--check", "-t", "web"]
    assert options["environment"]["VCAP_APP_HOST"] == "127.0.0.1"
    assert options["environment"]["STAGER_BUILD"] == "abc"
    assert options["directory"] == "/"
    assert options["timeout"] == 60


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(1, "\nline one\nline two\n"), [("error", "line one\nline two")]),
        (Answer(2, ""), [("error", "exit status 2")]),
        (
            Answer(None, "startup did not answer within 60 seconds"),
            [("error", "startup did not answer within 60 seconds")],
        ),
        (
            Answer(4, "x\nstartup: apache2 is missing\n"),
            [("skipped", NOT_CHECKED + "startup: apache2 is missing")],
        ),
        (Answer(4, ""), [("skipped", NOT_CHECKED + "a host tool is missing")]),
        (Answer(0, "fine\nAH00558: odd\n[pool] NOTICE: ok\n"), [("warning", "AH00558: odd")]),
        (
            Answer(0, "PHP Warning:  x\n[core:warn] y\n[error] z\nforewarned\n"),
            [("warning", "PHP Warning:  x"), ("warning", "[core:warn] y"), ("warning", "[error] z")],
        ),
    ],
)
def test_what_a_server_says_of_its_configuration_becomes_findings(answers, tmp_path, answer, found):
    answers(answer)
    findings = check_configuration(tmp_path, CHECKED, MARKER)
    assert [(one.level, one.message) for one in findings] == found
    assert {one.check for one in findings} <= {"configuration"}


def test_the_environment_of_checks_holds_nothing_of_the_callers_but_the_path(monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    seen = clean_environment(MARKER)
    assert set(seen) == {"PATH", "LANG", "STAGER_BUILD"}
    path = [*os.environ["PATH"].split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    assert seen["PATH"].split(":") == list(dict.fromkeys(path))


def test_a_file_is_parsed_by_its_absolute_path_and_named_by_the_droplets(answers, tmp_path):
    checks = (SyntaxCheck("php", ("-l",), "app/index.php"),)
    file = str(tmp_path / "index.php")
    answers(Answer(255, f"Parse error in {file} on line 1\n"))
    (finding,) = check_syntax(checks, tmp_path, {"php": ToolFact("php", "/usr/bin/php")}, MARKER)
    assert finding == Finding("syntax", "error", "Parse error in app/index.php on line 1", "app/index.php")
    assert answers.asked[0][0] == ["/usr/bin/php", "-l", file]


def test_a_parser_that_is_missing_is_skipped_by_name(tmp_path):
    checks = (SyntaxCheck("php", (), "app/x"),)
    (finding,) = check_syntax(checks, tmp_path, {"php": ToolFact("php")}, MARKER)
    assert finding == Finding("syntax", "skipped", "php is not on this host: not parsed", "app/x")


def test_processes_that_cannot_drain_are_named():
    manifest = Manifest("1", (), (Process("web", ("x",)), Process("worker", ("y",), drains=False)))
    assert check_drains(manifest) == [
        Finding("drain", "info", "worker cannot finish requests in flight when it is stopped")
    ]


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (ValueError("boom"), "the check itself failed: ValueError: boom"),
        (SystemExit(1), "the check itself failed: SystemExit: 1"),
    ],
)
def test_a_check_that_raises_is_a_finding_and_the_others_run(outcome, message):
    class Check:
        def __init__(self, name, outcome):
            self.name = name
            self.outcome = outcome

        def run(self, droplet):
            if isinstance(self.outcome, BaseException):
                raise self.outcome
            return self.outcome

    fine = Finding("fine", "info", "seen")
    findings = run_plugin_checks([Check("bad", outcome), Check("fine", (fine,))], None)
    assert findings == [Finding("bad", "error", message), fine]

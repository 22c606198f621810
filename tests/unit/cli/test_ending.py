"""Every way in which a command can end becomes a message, a report and an exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import click
import pytest

from stager import __version__
from stager.cli import stager
from stager.cli.ending import as_bug, run
from stager.errors import DiskFull, Interrupted, SourceUnreadable, StagerError


def ending_in(error):
    """A command line with one command, ``build``, which ends in an exception or returns a value."""

    @click.group()
    def group():
        pass

    @group.command("build", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def build(rest):
        if isinstance(error, BaseException):
            raise error
        return error

    return group


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (None, 0),
        (0, 0),
        (60, 60),
        (click.exceptions.Exit(3), 3),
        (SourceUnreadable("No."), 11),
        (Interrupted("Ended by SIGTERM."), 130),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.UsageError("No."), 2),
        (ValueError("odd"), 1),
        (EOFError(), 1),
        (SystemExit(0), 1),
        (SystemExit("text"), 1),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 52),
        (OSError(errno.EIO, os.strerror(errno.EIO)), 1),
    ],
)
def test_the_exit_code_says_how_it_ended(outcome, code, capfd):
    expected = 130 if isinstance(outcome, EOFError) and EOF_IS_ABORT else code
    assert run(ending_in(outcome), ["build"]) == expected


def eof_becomes_abort():
    """Whether this version of click takes an EOFError of ours for Ctrl-D at a prompt."""
    try:
        ending_in(EOFError()).main(["build"], standalone_mode=False)
    except click.Abort:
        return True
    except EOFError:
        return False
    raise AssertionError


EOF_IS_ABORT = eof_becomes_abort()


def test_a_bug_is_one_apology_and_a_traceback_only_on_demand(capfd, monkeypatch):
    assert run(ending_in(ValueError("odd")), ["build"]) == 1
    said = capfd.readouterr().err
    assert said == (
        "stager: This is a bug in stager, not in your application.\n"
        "  ValueError: odd\n"
        f"→ Please report it with the version ({__version__}) and what --debug prints.\n"
    )
    assert run(ending_in(ValueError("odd")), ["build", "--debug"]) == 1
    said = capfd.readouterr().err
    assert "Traceback (most recent call last):" in said
    assert said.count("This is a bug in stager") == 1
    assert said.endswith(f"→ Please report it with the version ({__version__}).\n")
    monkeypatch.setenv("STAGER_DEBUG", "1")
    assert run(ending_in(ValueError("odd")), ["build"]) == 1
    assert "Traceback" in capfd.readouterr().err


def test_an_error_on_purpose_shows_no_traceback(capfd):
    error = SourceUnreadable("There is no source x.", details="seen", resolution="Name one.")
    assert run(ending_in(error), ["build"]) == 11
    assert capfd.readouterr() == ("", "stager: There is no source x.\n  seen\n→ Name one.\n")


@pytest.mark.parametrize("report", [["--report", "PATH"], ["--report=PATH"]])
@pytest.mark.parametrize("error", [ValueError("odd"), Interrupted("Interrupted."), click.UsageError("No.")])
def test_what_ends_before_the_command_reports_is_reported_all_the_same(tmp_path, capfd, report, error):
    path = tmp_path / "report.json"
    arguments = [argument.replace("PATH", str(path)) for argument in report]
    code = run(ending_in(error), ["build", "--json", *arguments])
    document = json.loads(path.read_text())
    assert document == json.loads(capfd.readouterr().out)
    assert document["status"] == "failed"
    assert document["exit_code"] == code
    assert document["phases"] == []


def test_usage_errors_name_the_command_and_where_help_is(tmp_path, capfd):
    code = run(stager, ["build", "x", "--verify", "all", "--json", "--report", str(tmp_path / "r")])
    out, err = capfd.readouterr()
    assert code == 2
    assert err.splitlines()[0] == (
        "stager: Invalid value for '--verify': 'all' is not one of 'none', 'static', 'boot'."
    )
    assert err.splitlines()[-1] == "→ `stager build --help` shows what there is."
    assert json.loads(out)["error"]["code"] == "usage"
    assert json.loads(out) == json.loads((tmp_path / "r").read_text())


def test_a_near_command_is_suggested(capfd):
    assert run(stager, ["biuld", "x"]) == 2
    assert "No such command 'biuld'. Did you mean 'build'?" in capfd.readouterr().err
    assert run(stager, ["xyzzy"]) == 2
    assert "Did you mean" not in capfd.readouterr().err


def test_errors_are_events_where_events_were_asked_for(capfd):
    run(stager, ["build", "--progress", "json"])
    (line,) = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["code"], event["exit_code"]) == ("error", "usage", 2)


def test_a_report_that_cannot_be_written_is_told_and_the_first_error_counts(tmp_path, capfd):
    assert run(ending_in(ValueError("odd")), ["build", "--report", str(tmp_path / "no/r")]) == 1
    assert "Cannot write the report" in capfd.readouterr().err


def test_a_full_disk_is_no_bug():
    error = as_bug(OSError(errno.EDQUOT, "Quota", "/x"), is_debugging=False)
    assert isinstance(error, DiskFull)
    assert "/x" in error.details
    assert type(as_bug(OSError(errno.EACCES, "No"), is_debugging=False)) is StagerError


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["build", "--help"], ["--version"]])
def test_help_and_version_end_well(arguments, capfd):
    assert run(stager, arguments) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "stager" in out


def shell(script, **environment):
    return subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "-m", "stager"],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_help_that_nobody_reads_to_its_end_is_fine():
    done = shell('set -o pipefail; "$@" --help | true')
    assert (done.returncode, done.stderr) == (0, "")


def test_a_version_that_cannot_be_written_is_an_error_once():
    done = shell('"$@" --version > /dev/full')
    assert done.returncode == 52
    assert done.stderr.count("No space left on device") == 1
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_get_in_nobodys_way(tmp_path, closed):
    (tmp_path / "app").mkdir()
    (tmp_path / "app/index.php").write_text("<?php echo 'hello';")
    done = shell(f'cd "{tmp_path}"; "$@" build app -o a.tar.gz --report r.json {closed}')
    assert done.returncode == 0
    assert done.stdout == ("" if ">&- " in f"{closed} ".replace("2>&- ", "") else "a.tar.gz\n")
    report = json.loads((tmp_path / "r.json").read_text())
    # Nothing of what was meant for a closed stream has gone into a file that got its number.
    digest = subprocess.run(["sha256sum", tmp_path / "a.tar.gz"], capture_output=True, text=True, check=True)
    assert digest.stdout.split()[0] == report["droplet"]["sha256"]


def test_a_closed_stdin_is_an_empty_source():
    done = shell('"$@" build - <&-')
    assert done.returncode == 11
    assert "It is empty." in done.stderr


def test_quick_commands_import_nothing_slow():
    slow = {"yaml", "jinja2", "sh", "rich", "asyncio", "isal", "zstandard", "tarfile", "logging"}
    script = (
        "import sys\nfrom stager.cli import stager\nfrom stager.cli.ending import run\n"
        "assert run(stager, sys.argv[1:]) == 0\n"
        f"print(sorted(set(sys.modules) & {slow}), file=sys.stderr)"
    )
    for arguments in (["--version"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stderr == "[]\n", arguments

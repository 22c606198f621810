"""Builds that fail: a clear error, the right code, a report, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PHP = {"index.php": "<?php echo 'hello';"}


def report_of(done):
    document = json.loads(done.stdout)
    assert document["status"] == "failed"
    assert document["exit_code"] == done.returncode
    assert document["droplet"] is None
    assert document["error"]["brief"]
    assert document["error"]["resolution"]
    return document


def names_in(directory):
    return sorted(os.listdir(directory))


def test_an_empty_tree_shows_what_was_looked_for(stager_cli, tree, tmp_path):
    done = stager_cli("build", tree({}), "--json", "-o", tmp_path / "out.tar.gz")
    assert done.returncode == 21
    document = report_of(done)
    assert document["error"]["code"] == "nothing-detected"
    assert document["error"]["fault"] == "application"
    assert "app is empty." in document["error"]["details"]
    assert "php" in document["error"]["details"]
    assert not (tmp_path / "out.tar.gz").exists()


def test_a_missing_source_is_named(stager_cli, tmp_path):
    done = stager_cli("build", tmp_path / "nowhere", "--json")
    assert done.returncode == 11
    assert "nowhere" in report_of(done)["error"]["brief"]


def test_an_unreadable_source_is_named(stager_cli, tree, stranger):
    source = tree(PHP)
    (source / "index.php").chmod(0o600)
    target = source.parent / "out"
    target.mkdir()
    target.chmod(0o777)
    done = stager_cli("build", source, "--json", "-o", target / "x.tar.gz", account=stranger, cwd="/")
    assert done.returncode == 11
    assert "index.php" in done.stdout
    assert names_in(target) == []


def test_an_unknown_runtime_is_an_error_with_a_suggestion(stager_cli, tree):
    done = stager_cli("build", tree(PHP), "--runtime", "phpp", "--json")
    assert done.returncode == 23
    assert "Did you mean 'php'?" in report_of(done)["error"]["resolution"]


def test_a_wrong_key_names_file_line_and_the_near_key(stager_cli, tree):
    done = stager_cli("build", tree({**PHP, "stager.yml": "runtime: php\nmemroy: 1G\n"}), "--json")
    assert done.returncode == 10
    text = json.dumps(report_of(done)["error"])
    assert "stager.yml line 2" in text
    assert "memroy" in text
    assert "memory" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["build"], 2),
        (["build", ".", "--bogus"], 2),
        (["biuld", "."], 2),
        (["build", ".", "-o", "droplet.rar"], 2),
        (["build", ".", "--env", "novalue"], 2),
        (["verify", "nothing-there"], 62),
    ],
)
def test_usage_errors_have_their_code_and_no_traceback(stager_cli, arguments, code):
    done = stager_cli(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "→" in done.stderr


def test_the_report_is_written_for_usage_errors_too(stager_cli, tmp_path):
    done = stager_cli("build", ".", "--bogus", "--report", tmp_path / "report.json")
    assert done.returncode == 2
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["exit_code"] == 2
    assert document["error"]["fault"] == "usage"


def test_the_report_file_is_the_document_of_json(stager_cli, tree, tmp_path):
    done = stager_cli("build", tree(PHP), "--json", "--report", tmp_path / "report.json", "-o", "a.tar.gz")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "report.json").read_text())


def test_an_output_directory_that_does_not_exist_is_named(stager_cli, tree, tmp_path):
    done = stager_cli("build", tree(PHP), "-o", tmp_path / "no/such/place.tar.gz", "--json")
    assert done.returncode == 51
    assert "no/such" in report_of(done)["error"]["brief"]


def test_an_output_directory_that_cannot_be_written_to_is_named(
    stager_cli, tree, tmp_path, unprivileged_user
):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    done = stager_cli(
        "build", tree(PHP), "-o", closed / "x.tar.gz", "--json", account=unprivileged_user, cwd="/"
    )
    assert done.returncode == 51
    assert report_of(done)["error"]["code"] == "output-not-writable"
    assert names_in(closed) == []


def test_a_directory_is_never_overwritten_by_a_droplet(stager_cli, tree, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    done = stager_cli("build", tree(PHP), "--format", "dir", "-o", precious)
    assert done.returncode == 51
    assert (precious / "thesis.txt").read_text() == "years of work"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_leaves_neither_droplet_nor_temporary_file(stager_cli, tree, small_disk):
    source = tree({**PHP, "noise.bin": os.urandom(3_000_000)})
    done = stager_cli("build", source, "-o", small_disk / "x.tar.gz", "--json")
    assert done.returncode == 52
    assert report_of(done)["error"]["code"] == "disk-full"
    assert names_in(small_disk) == []


def test_a_full_disk_for_the_workspace_is_an_error_of_the_platform(stager_cli, tree, small_disk, tmp_path):
    source = tree({**PHP, "noise.bin": os.urandom(3_000_000)})
    subprocess.run(["tar", "-czf", tmp_path / "app.tar.gz", "-C", source, "."], check=True)
    done = stager_cli("build", tmp_path / "app.tar.gz", "--json", environment={"TMPDIR": str(small_disk)})
    assert done.returncode == 52
    assert report_of(done)["error"]["fault"] == "platform"
    assert names_in(small_disk) == []


def test_a_report_on_a_full_disk_is_an_error_and_not_half_a_report(stager_cli, tree, small_disk, tmp_path):
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={small_disk}/filler", "bs=4096"], capture_output=True, check=False
    )
    done = stager_cli("build", tree(PHP), "-o", tmp_path / "x.tar.gz", "--report", small_disk / "report.json")
    assert done.returncode == 52
    assert "report" in done.stderr
    assert names_in(small_disk) == ["filler"]


def test_stdout_that_is_closed_early_changes_nothing(tree, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    stager = Path(sys.executable).with_name("stager")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [stager, "build", tree(PHP), "--json", "-o", tmp_path / "x.tar.gz", "--report", report],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert json.loads(report.read_text())["status"] == "succeeded"


def test_stdout_on_a_full_device_is_an_error(tree, tmp_path):
    stager = Path(sys.executable).with_name("stager")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [stager, "build", tree(PHP), "-o", tmp_path / "x.tar.gz"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 52
    assert "stdout" in done.stderr

"""``stager run`` on a host that lacks what the droplet needs, or has another version of it."""

import glob
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

STAGER = str(Path(sys.executable).with_name("stager"))
FOLDERS = ("/usr/bin", "/usr/local/bin")


@pytest.fixture
def run_on(agent, tmp_path):
    """``stager run`` where files of the host are covered, for it alone."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
        pytest.skip("only root can hide files of the host")

    def run(droplet, covers):
        pairs = [(shlex.quote(str(cover)), shlex.quote(path)) for path, cover in covers.items()]
        script = [f"mount --bind {cover} {path}" for cover, path in pairs]
        script.append(f'exec "$@" --state-dir {shlex.quote(str(agent.state))}')
        argv = ["unshare", "--mount", "bash", "-euc", "\n".join(script), "bash", STAGER, "run", droplet]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run


def versions(name):
    found = (path for folder in FOLDERS for path in glob.glob(f"{folder}/{name}"))
    return sorted({os.path.realpath(path) for path in found})


def test_another_version_is_named_beside_the_one_that_is_needed(run_on, agent, droplet, tmp_path):
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\necho is Python 3.4.1\nexit 1\n")
    other.chmod(0o755)
    done = run_on(droplet, dict.fromkeys(versions("python3") + versions("python3.[0-9]*[0-9]"), other))
    assert done.returncode == 60, done.stderr
    assert "a host tool or user is missing" in done.stderr
    assert "is not on this host" in done.stderr
    assert "apt-get install python3" in done.stderr
    assert "is Python 3.4.1" in done.stderr
    (kept,) = agent.instances()
    assert (kept["exit_code"], kept["reason"]) == (4, "exit")


def test_a_tool_that_is_missing_is_named_with_its_package(run_on, agent, php_droplet, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run_on(php_droplet, {"/usr/lib/apache2/modules": empty})
    assert done.returncode == 60, done.stderr
    assert "mod_php is not on this host" in done.stderr
    assert "apt-get install libapache2-mod-php" in done.stderr

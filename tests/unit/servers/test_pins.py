"""What is installed of servers: the pins are complete, for every Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stager.servers.pins import PINS, pins_for

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


@pytest.fixture(scope="module")
def uv():
    """uv with its own cache: an index that has been read is not read again."""
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    cache = subprocess.run(
        [program, "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return [
        program,
        "--cache-dir",
        cache,
        "pip",
        "compile",
        "--python",
        sys.executable,
        "--quiet",
        "--no-header",
        "--no-annotate",
    ]


def valid(lines, version):
    """What is installed of requirements on Linux."""
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.5",
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
    }
    found = [Requirement(line) for line in lines]
    return {str(one).partition(";")[0] for one in found if not one.marker or one.marker.evaluate(environment)}


def test_every_root_is_pinned_with_all_that_it_needs(uv):
    def resolve(root):
        done = subprocess.run(
            [*uv, "--universal", "--python-version", VERSIONS[0], "-"],
            input="\n".join([root, *PINS[root]]),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    with ThreadPoolExecutor(4) as pool:
        for root, lines in zip(PINS, pool.map(resolve, PINS), strict=True):
            for version in VERSIONS:
                assert valid(lines, version) == valid(PINS[root], version)


def test_pins_are_exact_and_agree_with_each_other():
    for root, lines in PINS.items():
        assert canonicalize_name(root) == root
        assert root in {Requirement(line).name for line in lines}
        for line in lines:
            found = Requirement(line)
            assert found.name == canonicalize_name(found.name)
            assert re.fullmatch(r"==[0-9a-z.]+", str(found.specifier))
    for version in VERSIONS:
        chosen = set().union(*(valid(lines, version) for lines in PINS.values()))
        assert len({Requirement(one).name for one in chosen}) == len(chosen)


def test_what_the_application_brings_itself_is_not_pinned():
    assert pins_for((), ()) == ()
    assert pins_for(("gunicorn",), {"gunicorn"}) == ()
    both = pins_for(("gunicorn", "uvicorn-worker"), ())
    assert both == tuple(sorted(set(both)))
    assert {Requirement(line).name for line in both} >= {"gunicorn", "uvicorn", "uvicorn-worker", "h11"}
    without = pins_for(("gunicorn", "uvicorn", "uvicorn-worker"), {"gunicorn", "click"})
    assert not {"gunicorn", "click"} & {Requirement(line).name for line in without}
    with pytest.raises(KeyError):
        pins_for(("nothing",), ())

"""Who takes more than it may is ended or refused, with the reason, and its neighbour serves on.

As root in control groups, where there are any; as an ordinary user by rlimits and samples.
"""

import http.client
import json
import os
import urllib.parse
from pathlib import Path

import pytest

SERVER = r"""
import http.server, os, threading, time, urllib.parse

kept = []


def memory(_):
    while True:
        kept.append(b"x" * (1 << 20))
        time.sleep(0.005)


def disk(directory):
    for number in range(400):
        with open(os.path.join(os.path.expandvars(directory), f"file{number}"), "wb") as file:
            file.write(bytes(1 << 20))
        time.sleep(0.01)


def fds(_):
    try:
        while True:
            kept.append(open(os.devnull))
    except OSError as error:
        said = error.strerror
    kept.clear()
    return said


def size(_):
    try:
        with open(os.path.expandvars("$TMPDIR/large"), "wb") as file:
            file.truncate(1 << 40)
    except OSError as error:
        return error.strerror


def cpu(_):
    for _ in range(4):
        if os.fork() == 0:
            while True:
                pass


def fork(_):
    # Slow enough for a busy machine that has nothing but samples.
    for _ in range(700):
        try:
            if os.fork() == 0:
                time.sleep(1000)
                os._exit(0)
        except OSError as error:
            return error.strerror
        time.sleep(0.002)


deeds = {f"/{one.__name__}": one for one in (memory, disk, fds, size, cpu, fork)}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        deed = deeds.get(url.path)
        said = None
        if url.path in ("/memory", "/disk"):
            threading.Thread(target=deed, args=(urllib.parse.unquote(url.query),), daemon=True).start()
        elif deed:
            said = deed(url.query)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((said or "well").encode())

    def log_message(self, *arguments):
        pass


address = os.environ["VCAP_APP_HOST"], int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
MIB = 1 << 20
LIMITS = "health: {timeout: 20}\ngrace: 1\nmemory: 128M\ndisk: 40M\nfds: 64\n"


@pytest.fixture(scope="module")
def hog_droplet(build_droplet):
    files = {"Procfile": "web: exec python3 server.py\n", "server.py": SERVER, "stager.yml": LIMITS}
    return build_droplet("hog", files)


@pytest.fixture(params=["ours", "unprivileged"])
def side(request, agent, tmp_path, stager_cli):
    """The commands as the user that runs the tests, and as an ordinary one."""
    if request.param == "ours":
        yield agent
        return
    theirs = type(agent)(tmp_path / "theirs", stager_cli, request.getfixturevalue("unprivileged_user"))
    yield theirs
    theirs.end()


@pytest.fixture
def pair(side, hog_droplet, droplet):
    """A hog, and its neighbour: another application of the same user."""
    (neighbour,) = side.detached(droplet)["instances"]
    (hog,) = side.detached(hog_droplet)["instances"]
    return hog, neighbour


def crashed(side, hog):
    return next(
        (one for one in side.instances("hog") if one["id"] == hog["id"] and one["reason"]),
        None,
    )


def ends_for(side, pair, reason, path):
    """Let the hog do it, until it has ended for that reason; what its err.log says."""
    hog, neighbour = pair
    assert side.get(hog, path) == b"well"

    def look():
        assert side.environment_of(neighbour)["PORT"] == str(neighbour["port"])
        return crashed(side, hog)

    found = side.until(look, 60)
    assert (found["state"] in {"crashed", "backoff"}, found["reason"]) == (True, reason)
    again = side.until(lambda: side.running("hog"), 60)[0]
    assert again["id"] != hog["id"]
    assert side.running("shop")[0]["id"] == neighbour["id"]
    return Path(found["logs"], "err.log").read_text()


def test_memory(side, pair):
    said = ends_for(side, pair, "memory", "/memory")
    assert "Memory limit of 128 MiB exceeded: " in said
    actual = int(said.partition("exceeded: ")[2].split(" ")[0])
    assert actual >= 128


@pytest.mark.parametrize("where", ["$TMPDIR", "$STAGER_SOCKETS", "$HOME"])
def test_disk(side, pair, where):
    said = ends_for(side, pair, "disk", f"/disk?{urllib.parse.quote(where)}")
    assert "Disk limit of 40 MiB exceeded: " in said
    assert int(said.partition("exceeded: ")[2].split(" ")[0]) > 40
    assert ("the droplet's directory" in said) == (where == "$HOME")
    # What it has written is not what its neighbours have to live with.
    left = sum(os.lstat(file).st_size for file in side.state.rglob("file[0-9]*"))
    assert left < 40 * MIB


def test_open_files_and_the_size_of_a_file_are_refused_by_limits_that_are_named(side, pair):
    hog, neighbour = pair
    assert side.get(hog, "/fds") == b"Too many open files"
    assert side.get(hog, "/size") == b"File too large"
    assert side.get(neighbour)
    assert side.running("hog")[0]["id"] == hog["id"]
    events = [json.loads(line) for line in (side.state / "hog" / "events.jsonl").read_text().splitlines()]
    started = next(one["text"] for one in events if one["event"] == "started")
    names = {"cgroup2": "(v2)", "cgroup1": "(v1)", "rlimits": "rlimits and watching"}
    assert names[hog["means"]] in started
    if side.account is not None and hog["means"] != "rlimits":
        assert hog["means"] == "cgroup2"


def test_processor_time(side, pair):
    hog, neighbour = pair
    assert side.get(hog, "/cpu") == b"well"
    for _ in range(20):
        assert side.get(neighbour)
    assert side.running("shop")[0]["id"] == neighbour["id"]
    side.json("stop", "hog")
    assert not side.marked(hog["id"])


def test_processes(side, pair):
    hog, neighbour = pair
    try:
        said = side.get(hog, "/fork")
    except (OSError, http.client.HTTPException):
        # Ended by us while it was at it.
        said = b""
    if hog["means"] == "rlimits":
        found = side.until(lambda: crashed(side, hog), 60)
        assert found["reason"] in {"processes", "memory"}
        assert "exceeded" in Path(found["logs"], "err.log").read_text()
    elif said != b"Resource temporarily unavailable":
        # Whichever of the two limits is nearer: in a group of pids forks are refused.
        assert side.until(lambda: crashed(side, hog), 60)["reason"] == "memory"
    assert side.get(neighbour)
    assert side.running("shop")[0]["id"] == neighbour["id"]

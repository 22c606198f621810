"""``stager run`` in a terminal, where Ctrl-C reaches whoever is in the foreground, not only stager."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

STAGER = str(Path(sys.executable).with_name("stager"))
SERVER = """
import http.server, os, signal, threading, time


def say(number, _):
    print("got", signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        threading.Timer(1.5, lambda: (print("drained", flush=True), os._exit(0))).start()


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, say)
address = os.environ["VCAP_APP_HOST"], int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture(scope="session")
def draining(build_droplet):
    return build_droplet("slow", {"Procfile": "web: exec python3 server.py\n", "server.py": SERVER})


@pytest.fixture
def terminal(agent):
    """``stager run`` as a shell would have it: its leader, and the end that a person types at."""
    ours, theirs = pty.openpty()
    processes = []

    def run(droplet, *arguments):
        argv = [STAGER, "run", droplet, "--state-dir", agent.state, *agent.variables(), *arguments]
        with agent.root.joinpath("out").open("wb") as out:
            process = subprocess.Popen(["setsid", "--ctty", *argv], stdin=theirs, stdout=out, stderr=theirs)
        processes.append(process)
        return process

    def type_(text):
        os.write(ours, text)

    run.type = type_
    yield run
    os.close(theirs)
    os.close(ours)
    for process in processes:
        assert process.wait(60) is not None


def test_ctrl_c_stops_gracefully_however_often_it_is_typed(agent, draining, terminal):
    process = terminal(draining, "--keep")
    (instance,) = agent.until(lambda: agent.running("slow"))
    terminal.type(b"\x03")
    logs = Path(instance["logs"])
    agent.until((logs / "out.log").is_file)
    # Whoever is impatient types it again: what is being done goes on.
    terminal.type(b"\x03\x03")
    assert process.wait(60) == 0
    assert (logs / "out.log").read_text() == "got SIGTERM\ndrained\n"
    assert not agent.marked(instance["id"])


def test_a_terminal_that_goes_away_stops_it_as_well(agent, draining, terminal):
    process = terminal(draining, "--keep")
    (instance,) = agent.until(lambda: agent.running("slow"))
    process.send_signal(1)
    assert process.wait(60) == 0
    assert Path(instance["logs"], "out.log").read_text() == "got SIGTERM\ndrained\n"


def test_a_detached_one_goes_on_without_its_terminal(agent, draining, terminal):
    assert terminal(draining, "--detach").wait(60) == 0
    (instance,) = agent.running("slow")
    terminal.type(b"\x03")
    assert agent.get(instance)
    assert agent.running("slow") == [instance]

"""Whole boots of small hand-written droplets: an application in Python, a startup and a stop in bash."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stager.launch import boot as booting
from stager.launch import ports, stopping
from stager.launch.account import unprivileged_account
from stager.launch.boot import boot
from stager.launch.processes import Tree, read_stat
from stager.model.droplet import Manifest
from stager.model.memory import MIB, WorkerModel
from stager.model.plan import Companion, Health, Process, Shell
from stager.phases.launch_scripts import launch_scripts

PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

STARTUP = """#!/bin/bash
[[ ${own-} ]] || own=1 exec setsid "$0" "$@"
unset own
cd "${0%/*}" || exit 1
while getopts p:t: option; do case $option in p) export PORT=$OPTARG ;; t) type=$OPTARG ;; esac; done
stat=$(< /proc/$$/stat); fields=(${stat##*) })
export STAGER_INSTANCE=$$.${fields[19]} STAGER_SOCKETS=$(mktemp -d /tmp/stager.XXXXXX)
echo "$$ $STAGER_INSTANCE $STAGER_SOCKETS" > run.pid
echo "starting $type"
cd app && exec PYTHON -I -S server.py
"""

STOP = """#!/bin/bash
read -r pid instance sockets < "${0%/*}/run.pid"
marked() { grep -lzx "STAGER_INSTANCE=$instance" /proc/[0-9]*/environ 2> /dev/null; }
kill -TERM $pid
for try in {1..40}; do [[ $(marked) ]] || break; sleep 0.02; done
for file in $(marked); do kill -KILL "${file//[!0-9]/}"; done
rm -rf "$sockets"
"""

SERVER = """
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)
    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the requests in flight

def drain(number, frame):
    threading.Thread(target=server.shutdown).start()

def serve(handler=Handler, port=None):
    global server
    server = Server((os.environ["VCAP_APP_HOST"], int(port or os.environ["PORT"])), handler)
    signal.signal(signal.SIGTERM, drain)
    server.serve_forever(0.02)
    server.server_close()
"""


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(stopping, "HOLD_SECONDS", 0.15)
    monkeypatch.setattr(stopping, "STOP_MARGIN", 3.0)


@pytest.fixture
def droplet(tmp_path):
    """Writes a droplet; ``server`` follows the definitions of SERVER."""

    def write(server="serve()", startup=STARTUP, stop=STOP):
        root = tmp_path / "a droplet"
        for folder in ("app", "logs", "tmp", "run"):
            (root / folder).mkdir(parents=True)
        (root / "app/server.py").write_text(f"{SERVER}\n{server}\n")
        for name, text in (("startup", startup), ("stop", stop)):
            (root / name).write_text(text.replace("PYTHON", PYTHON))
            (root / name).chmod(0o755)
        account = unprivileged_account()
        if account:
            for path in (root, *root.rglob("*")):
                os.chown(path, account.uid, account.gid)
        return root

    return write


def manifest(**fields):
    fields.setdefault("health", Health(timeout=30))
    process = Process("web", ("x",), grace=fields.pop("grace", 1.0), drains=fields.pop("drains", True))
    return Manifest("0", (), fields.pop("processes", (process,)), **fields)


def brief(result):
    return [(finding.check, finding.level) for finding in result.findings]


def is_gone(root):
    """Whether nothing runs any more that has to do with the droplet."""
    needle = os.fsencode(root)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := read_stat(int(entry.name))) and stat.is_running:
            try:
                if os.fsencode((entry / "cwd").readlink()).startswith(needle):
                    return False
            except OSError:
                continue
    return True


def test_a_droplet_is_booted_asked_measured_and_stopped(droplet):
    lines = []
    result = boot(root := droplet(), manifest(), on_line=lines.append)
    assert result.findings == ()
    assert (result.boot.status, result.boot.http_status, result.boot.log_tail) == ("served", 200, ())
    assert 0.01 < result.boot.seconds_to_ready < 5
    assert 0.1 < result.boot.seconds_to_stop < 3
    assert 3 * MIB < result.boot.memory_bytes < 100 * MIB
    assert (result.processes, result.boot.workers, result.boot.worker_bytes) == (1, 1, 0)
    assert lines[0] == "starting web"
    assert "starting web" in (root / "logs/boot.log").read_text()
    assert not Path((root / "run.pid").read_text().split()[2]).exists()
    assert is_gone(root)
    assert ports.is_port_free(result.port)


def test_the_environment_is_small_and_what_is_given_arrives_to_the_byte(droplet):
    secret = "a 'b' \"c\" $(d) `e` ü\n\\f"
    root = droplet("""
with open("../environ", "wb") as file:
    file.write(open("/proc/self/environ", "rb").read())
serve()
""")
    result = boot(root, manifest(), environment={"VCAP_SERVICES": secret, "PORT": "1"})
    assert result.findings == ()
    found = dict(item.split(b"=", 1) for item in (root / "environ").read_bytes().split(b"\0") if item)
    of_bash = {b"OLDPWD", b"PWD", b"SHLVL", b"_", b"STAGER_INSTANCE", b"STAGER_SOCKETS"}
    names = b"LANG PATH PORT VCAP_APPLICATION VCAP_APP_HOST VCAP_SERVICES"
    assert sorted(set(found) - of_bash) == names.split()
    assert found[b"VCAP_SERVICES"] == secret.encode()
    assert found[b"PORT"] == str(result.port).encode()
    assert found[b"LANG"] == b"C.UTF-8"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("user", [None, "www-data"])
def test_root_does_not_boot_as_root(droplet, tmp_path, user):
    root = droplet("print('uid', os.getuid(), os.getgroups(), flush=True); serve()")
    expected = user or unprivileged_account().name
    entry = pwd.getpwnam(expected)
    for path in (root, root / "logs"):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    result = boot(root, manifest(), user=user)
    assert result.findings == ()
    assert result.boot.user == expected
    assert f"uid {entry.pw_uid} [{entry.pw_gid}]" in (root / "logs/boot.log").read_text()


def test_logs_and_run_files_go_where_the_caller_says(droplet, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    root = droplet("print('run dir', os.environ['STAGER_RUN_DIR'], flush=True); serve()")
    assert boot(root, manifest(), state=state).findings == ()
    assert f"run dir {state}\n" in (state / "logs/boot.log").read_text()
    assert list((root / "logs").iterdir()) == []


def test_a_process_that_exits_fails_at_once_with_its_last_words(droplet):
    result = boot(droplet("sys.exit('no database')"), manifest(health=Health(timeout=60)))
    assert brief(result) == [("boot", "error")]
    assert result.findings[0].message.startswith("The web process ended with exit code 1 after ")
    assert result.findings[0].message.endswith(", before it was ready. Its last words: no database")
    assert result.boot.status == "failed"
    assert result.boot.log_tail == ("starting web", "no database")


def test_a_process_that_leaves_another_in_the_background_is_told_to_stay(droplet):
    begin = "subprocess.Popen(['sleep', '20'], start_new_session=True)"
    code = f"import subprocess; print('startup: one worker'); {begin}"
    result = boot(droplet(code), manifest(health=Health(timeout=60)))
    message = result.findings[0].message
    assert message.startswith("The web process ended with exit code 0 after ")
    assert "its command has to stay in the foreground: without &" in message
    assert "startup:" not in message


def test_what_a_server_that_died_at_once_left_in_tmp_is_removed(droplet):
    boot(root := droplet("sys.exit(1)"), manifest())
    assert not Path((root / "run.pid").read_text().split()[2]).exists()


def test_the_log_tail_has_the_last_thirty_lines(droplet):
    result = boot(droplet("[print(n) for n in range(50)]; sys.exit(1)"), manifest())
    assert result.boot.log_tail == tuple(str(number) for number in range(20, 50))


def test_a_process_that_is_killed_is_told_by_its_signal(droplet):
    result = boot(droplet("os.kill(os.getpid(), signal.SIGSEGV)"), manifest())
    assert "ended by SIGSEGV" in result.findings[0].message


def test_a_missing_host_tool_is_what_startup_says_it_is(droplet):
    result = boot(droplet(startup="#!/bin/bash\necho startup: php is missing; exit 4\n"), manifest())
    said = "ended with exit code 4 (startup's own code for: a host tool or user is missing)"
    assert said in result.findings[0].message


def test_an_application_that_never_listens_is_told(droplet):
    result = boot(root := droplet("time.sleep(60)"), manifest(health=Health(timeout=3)))
    assert brief(result) == [("boot", "error")]
    assert f"Nothing listened on port {result.port} within 3." in result.findings[0].message
    assert "listen on no other port. Its last words: starting web" in result.findings[0].message
    assert is_gone(root)


def test_an_application_that_ignores_its_port_is_told_where_it_listens(droplet, free_port):
    result = boot(droplet(f"serve(port={free_port})"), manifest(health=Health(timeout=4)))
    assert brief(result) == [("boot", "error")]
    assert f"its processes listen on {free_port} (127.0.0.1) instead." in result.findings[0].message
    assert ports.is_port_free(free_port)


def test_an_application_that_listens_on_another_address_is_told(droplet):
    server = "s = Server(('127.0.0.2', int(os.environ['PORT'])), Handler); s.serve_forever()"
    result = boot(droplet(server), manifest(health=Health(timeout=4)))
    assert f"It listens on port {result.port} of 127.0.0.2 alone" in result.findings[0].message


def test_accepting_connections_is_not_being_ready(droplet):
    server = """
import socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(60)
"""
    result = boot(droplet(server), manifest(health=Health(timeout=4)))
    assert result.boot.status == "failed"
    assert f"Port {result.port} accepts connections, but gave no HTTP answer" in result.findings[0].message


def test_listening_and_then_exiting_is_a_failure(droplet):
    server = """
import socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(0.2)
sys.exit("could not open error log")
"""
    result = boot(droplet(server), manifest(health=Health(timeout=60)))
    assert "ended with exit code 1" in result.findings[0].message


def test_listening_before_being_ready_is_waited_for(droplet):
    server = """
import socket
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(0.6)
class Late(Server):
    def __init__(self, address, handler):
        super().__init__(address, handler, bind_and_activate=False)
        self.socket = listener
Server = Late
serve()
"""
    result = boot(droplet(server), manifest())
    assert result.findings == ()
    assert result.boot.seconds_to_ready > 0.6


def test_server_errors_are_waited_out(droplet):
    server = """
began = time.monotonic()
class Warming(Handler):
    def do_GET(self):
        self.answer(503 if time.monotonic() < began + 0.5 else 404)
serve(Warming)
"""
    result = boot(droplet(server), manifest())
    assert result.findings == ()
    assert result.boot.http_status == 404
    assert result.boot.seconds_to_ready > 0.5


def test_server_errors_until_the_deadline_are_a_finding_with_the_status(droplet):
    server = """
class Broken(Handler):
    def do_GET(self):
        self.answer(500)
serve(Broken)
"""
    result = boot(droplet(server), manifest(health=Health(timeout=4)))
    assert brief(result) == [("boot", "error")]
    assert "GET / was still answered 500 after 4." in result.findings[0].message
    assert result.boot.http_status == 500
    assert '"GET / HTTP/1.1" 500' in result.boot.log_tail[-1]


@pytest.mark.parametrize(("status", "outcome"), [(200, "served"), (302, "served"), (404, "failed")])
def test_a_health_path_has_to_say_yes_itself(droplet, status, outcome):
    server = f"""
class Health(Handler):
    def do_GET(self):
        self.answer({status} if self.path == "/he%20alth?x=1" else 500)
serve(Health)
"""
    result = boot(droplet(server), manifest(health=Health(path="/he alth?x=1", timeout=4)))
    assert (result.boot.status, result.boot.http_status) == (outcome, status)


SILENT = """
import json, socket
listener = socket.create_server((os.environ["VCAP_APP_HOST"], int(os.environ["PORT"])))
signal.pause()
"""
STATE = """
import json
time.sleep(0.3)
with open("../run/state.json", "w") as file:
    file.write(STATE)
signal.pause()
"""


def test_what_speaks_no_http_is_ready_when_it_accepts_a_connection(droplet):
    result = boot(droplet(SILENT), manifest(health=Health(timeout=10, check="tcp")))
    assert result.findings == ()
    assert result.boot.status == "served"
    assert result.boot.http_status is None
    assert result.boot.seconds_to_ready > 0


def test_without_being_told_so_a_connection_is_not_enough(droplet):
    result = boot(droplet(SILENT), manifest(health=Health(timeout=4)))
    assert "accepts connections, but gave no HTTP answer" in result.findings[0].message


def test_a_state_file_is_the_sign_where_there_is_one(droplet):
    health = Health(timeout=10, check="tcp", state_file="run/state.json")
    result = boot(
        droplet(STATE.replace("STATE", "json.dumps({'state': 'RUNNING'})")), manifest(health=health)
    )
    assert result.findings == ()
    assert result.boot.seconds_to_ready > 0.3


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("json.dumps({'state': 'STARTING'})", 'run/state.json says "STARTING" after'),
        ("json.dumps(['RUNNING'])", "run/state.json says null after"),
        ("'RUNN'", "run/state.json holds no JSON after"),
        ("signal.pause()", "run/state.json holds no JSON after"),
    ],
)
def test_a_state_file_that_does_not_say_so_is_quoted(droplet, state, said):
    health = Health(timeout=4, state_file="run/state.json")
    result = boot(droplet(STATE.replace("STATE", state)), manifest(health=health))
    assert brief(result) == [("boot", "error")]
    assert said in result.findings[0].message


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("pass", "is not there"),
        ("os.mkfifo(name)", "is no file"),
        ("os.mkdir(name)", "is no file"),
    ],
)
def test_a_state_file_that_is_none_is_no_sign(droplet, made, said):
    health = Health(timeout=1.0, state_file="run/state.json")
    server = f"name = '../run/state.json'\n{made}\nsignal.pause()"
    result = boot(droplet(server), manifest(health=health))
    assert f"run/state.json {said} after" in result.findings[0].message


def test_another_process_than_web_does_not_write_its_state_file():
    health = Health(state_file="run/state.json", check="tcp")
    web, worker = Process("web", ("x",)), Process("worker", ("x",))
    both = manifest(processes=(web, worker), health=health)
    assert (both.sign_of("web"), both.sign_of("worker")) == ("state-file", "life")
    assert manifest(processes=(worker,), health=health).sign_of("worker") == "state-file"
    assert manifest(processes=(web,), health=Health(check="tcp")).sign_of("web") == "tcp"


def test_an_answer_that_never_ends_is_an_answer(droplet, monkeypatch):
    monkeypatch.setattr("stager.launch.asking._BODY_SECONDS", 0.3)
    monkeypatch.setattr(booting, "_REQUESTS_SECONDS", 0.3)
    server = """
class Stream(Handler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"data: x\\n\\n")
                time.sleep(0.02)
        except OSError:
            pass
serve(Stream)
"""
    result = boot(droplet(server), manifest())
    assert (result.boot.status, result.findings) == ("served", ())


def test_a_port_that_somebody_takes_first_is_changed_for_another(droplet, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        another = ports.free_port()
        offered = [another, taken]
        monkeypatch.setattr(ports, "free_port", offered.pop)
        result = boot(droplet(), manifest())
    assert result.findings == ()
    assert result.port == another


def test_an_answer_of_somebody_else_is_not_the_droplets(droplet, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(ports, "free_port", lambda: stranger.server_address[1])
        result = boot(droplet("time.sleep(0.3); serve()"), manifest())
        stranger.shutdown()
        thread.join()
    assert brief(result) == [("boot", "error")]
    assert "Address already in use" in result.findings[0].message
    assert result.is_port_taken


def test_a_request_in_flight_that_is_cut_is_an_error_where_the_server_drains(droplet):
    root = droplet("drain = signal.SIG_DFL; serve()")
    result = boot(root, manifest(drains=True))
    assert brief(result) == [("in-flight", "error")]
    assert "lost: the connection was cut" in result.findings[0].message
    assert result.boot.status == "served"


def test_a_server_that_cannot_drain_is_only_said_to_be_one(droplet):
    result = boot(droplet("drain = signal.SIG_DFL; serve()"), manifest(drains=False))
    assert brief(result) == [("in-flight", "info")]
    assert "cannot drain" in result.findings[0].message


def test_an_answer_that_does_not_wait_for_the_body_counts(droplet):
    server = """
class Early(Handler):
    def do_POST(self):
        self.answer(405)
        self.close_connection = True
drain = signal.SIG_DFL
serve(Early)
"""
    assert boot(droplet(server), manifest()).findings == ()


def test_an_application_without_an_answer_to_post_skips_the_request_in_flight(droplet):
    server = """
class Deaf(Handler):
    def do_POST(self):
        self.close_connection = True
serve(Deaf)
"""
    assert brief(boot(droplet(server), manifest())) == [("in-flight", "skipped")]


def test_a_failing_stop_is_an_error_with_what_it_said(droplet):
    result = boot(root := droplet(stop=STOP + "echo half done; exit 7\n"), manifest())
    assert brief(result) == [("stop", "error")]
    assert result.findings[0].message == "./stop ended with exit code 7. It said: half done"
    assert is_gone(root)


def test_a_stop_that_hangs_is_ended_with_everything(droplet, monkeypatch):
    monkeypatch.setattr(stopping, "STOP_MARGIN", 0.6)
    stop = '#!/bin/bash\ncd "${0%/*}"; echo waiting; sleep 60\n'
    result = boot(root := droplet(stop=stop), manifest(grace=0.1))
    checks = ["stop", "leftovers", "port", "leftovers"]
    assert brief(result) == [(check, "error") for check in checks]
    assert "./stop did not end within 0." in result.findings[0].message
    assert "It said: waiting" in result.findings[0].message
    assert is_gone(root)


def test_what_ignores_the_signal_is_named_and_killed(droplet):
    root = droplet("drain = signal.SIG_IGN; serve()", stop=STOP.replace("kill -KILL", ":"))
    result = boot(root, manifest())
    assert brief(result) == [("leftovers", "error"), ("port", "error")]
    assert "python3" in result.findings[0].message
    assert f"Port {result.port} is still listened on" in result.findings[1].message
    assert result.boot.log_tail
    assert is_gone(root)
    assert ports.is_port_free(result.port)


def test_a_stop_that_kills_what_ignores_the_signal_is_fine(droplet):
    assert boot(droplet("drain = signal.SIG_IGN; serve()"), manifest()).findings == ()


DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {act}
        time.sleep(60)
    os._exit(0)
os.wait()
serve()
"""
STOP_ONE = STOP.replace("[[ $(marked) ]]", "kill -0 $pid 2> /dev/null").replace("kill -KILL", ":")


def test_a_daemon_that_survives_is_found_by_its_environment(droplet):
    result = boot(root := droplet(DAEMON.format(act="os.chdir('/')"), stop=STOP_ONE), manifest())
    assert brief(result) == [("leftovers", "error")]
    assert result.processes == 2
    assert is_gone(root)


def test_a_child_without_environment_group_or_parent_is_still_known(droplet):
    server = """
if os.fork() == 0:
    os.setsid()
    os.execve("/bin/sleep", ["sleep", "60"], {})
serve()
"""
    result = boot(root := droplet(server, stop=STOP_ONE), manifest())
    assert brief(result) == [("leftovers", "error")]
    assert "(sleep) still runs" in result.findings[0].message
    assert is_gone(root)


def test_a_port_that_cannot_be_bound_by_anybody_is_a_warning(droplet, monkeypatch):
    monkeypatch.setattr(ports, "is_port_free", lambda port: False)
    assert brief(boot(droplet(), manifest())) == [("port", "warning")]


def test_a_socket_directory_that_stays_is_an_error_and_removed(droplet):
    result = boot(root := droplet(stop=STOP.replace("rm -rf", ": ")), manifest())
    directory = (root / "run.pid").read_text().split()[2]
    assert brief(result) == [("leftovers", "error")]
    assert directory in result.findings[0].message
    assert not Path(directory).exists()


def test_a_startup_in_its_callers_group_is_not_stopped_but_ended(droplet):
    result = boot(root := droplet(startup=STARTUP.replace("own-", "PATH")), manifest())
    assert brief(result) == [("stop", "error")]
    assert "caller's process group" in result.findings[0].message
    assert is_gone(root)


def test_a_startup_that_cannot_be_executed_is_a_finding(droplet):
    root = droplet()
    (root / "startup").chmod(0o644)
    result = boot(root, manifest())
    assert brief(result) == [("boot", "error")]
    assert result.findings[0].message.endswith(": Permission denied.")
    assert result.boot.status == "failed"


def test_a_stop_that_cannot_be_executed_is_a_finding(droplet):
    root = droplet()
    (root / "stop").unlink()
    result = boot(root, manifest())
    assert brief(result) == [("stop", "error")]
    assert is_gone(root)


def test_a_worker_has_to_run_for_a_while(droplet):
    processes = (Process("worker", ("x",)),)
    root = droplet("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); time.sleep(60)")
    result = boot(root, manifest(processes=processes), process="worker", settle=0.4)
    assert result.findings == ()
    assert (result.boot.status, result.boot.seconds_to_ready, result.boot.http_status) == (
        "served",
        None,
        None,
    )
    assert (root / "logs/boot.log").read_text() == "starting worker\n"


def test_a_worker_that_ends_is_a_failure(droplet):
    processes = (Process("worker", ("x",)),)
    result = boot(droplet("sys.exit(0)"), manifest(processes=processes), process="worker", settle=5)
    assert "The worker process ended with exit code 0" in result.findings[0].message


def test_a_process_that_the_droplet_does_not_have_is_skipped(tmp_path):
    result = boot(tmp_path, manifest(), process="worker")
    assert brief(result) == [("boot", "skipped")]
    assert "the droplet has: web" in result.findings[0].message


@pytest.mark.parametrize(
    ("process", "server"),
    [
        (Process("web", (PYTHON, "-I", "-S", "server.py"), grace=2.0), DAEMON.format(act="os.chdir('/')")),
        (Process("web", Shell(f"{PYTHON} -I -S server.py"), grace=2.0), "serve()"),
        (
            Process(
                "web",
                (PYTHON, "-I", "-S", "server.py"),
                grace=2.0,
                companions=(Companion("beside", ("/bin/sleep", "60")),),
            ),
            "serve()",
        ),
    ],
    ids=["daemon", "shell", "companion"],
)
def test_the_scripts_that_are_rendered_leave_nothing(droplet, process, server):
    whole = manifest(processes=(process,))
    startup, stop = launch_scripts(whole)
    result = boot(root := droplet(server, startup, stop), whole)
    assert result.findings == ()
    assert result.boot.status == "served"
    assert is_gone(root)


PREFORK = """
import gc, socket
def serve_forked():
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    listener.setblocking(False)
    class Shared(Server):
        def __init__(self):
            super().__init__(None, Handler, bind_and_activate=False)
            self.socket = listener
    def work():
        global server, ballast
        ballast = bytearray(b"x") * (18 << 20)
        server = Shared()
        signal.signal(signal.SIGTERM, drain)
        server.serve_forever(0.02)
        server.server_close()
        os._exit(0)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            work()
        children.append(child)
    signal.signal(signal.SIGTERM, lambda *_: [os.kill(child, signal.SIGTERM) for child in children])
    for child in children:
        os.waitpid(child, 0)
serve_forked()
"""


def test_one_workers_memory_is_recorded_in_steps_where_workers_are_counted(droplet):
    process = Process("web", ("x",), grace=1.0, workers=WorkerModel(32, 64))
    result = boot(droplet(PREFORK), manifest(processes=(process,)))
    assert result.findings == ()
    assert (result.processes, result.boot.workers) == (4, 3)
    assert result.boot.worker_bytes == 32 * MIB
    assert result.boot.memory_bytes > 3 * 18 * MIB


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_runs_after_an_exception(droplet, error):
    def interrupt(line):
        raise error

    root = droplet("os.fork(); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    with pytest.raises(error):
        boot(root, manifest(), on_line=interrupt)
    assert is_gone(root)


def test_nothing_runs_after_an_exception_during_the_stop(droplet, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(stopping.HeldRequest, "finish", interrupt)
    root = droplet(stop='#!/bin/bash\ncd "${0%/*}"; sleep 60\n')
    with pytest.raises(KeyboardInterrupt):
        boot(root, manifest())
    assert is_gone(root)


def test_the_timeout_ends_the_waiting_before_the_health_timeout(droplet):
    began = time.monotonic()
    result = boot(droplet("time.sleep(60)"), manifest(health=Health(timeout=60)), timeout=0.4)
    assert result.boot.status == "failed"
    assert time.monotonic() - began < 40  # the health timeout is 60


def test_the_tree_of_an_ended_boot_is_empty(droplet):
    result = boot(root := droplet(), manifest())
    pid = int((root / "run.pid").read_text().split()[0])
    assert result.findings == ()
    assert Tree(pid, 0).members() == ()
    shutil.rmtree(root)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

"""How Node applications are started and stopped, whatever their start script looks like."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: Shows where it runs, and answers a request slowly.
SERVER = """
const http = require("http");
const server = http.createServer((request, response) => {
  if (request.url === "/slow") return setTimeout(() => response.end("took its time"), 1200);
  response.end(JSON.stringify({
    environment: process.env, argv: process.argv.slice(2), pid: process.pid, options: process.execArgv,
    heap: require("v8").getHeapStatistics().heap_size_limit / 2 ** 20, kept: server.keepAliveTimeout,
  }));
});
server.listen(process.env.PORT, process.env.VCAP_APP_HOST);
"""
MODULE = """
import { createServer } from "node:http";
const answer = await Promise.resolve("{}");
createServer((request, response) => {
  if (request.url !== "/slow") return response.end(answer);
  setTimeout(() => response.end("took its time"), 1200);
}).listen(process.env.PORT, process.env.VCAP_APP_HOST);
"""
CLUSTER = """
const cluster = require("cluster");
if (cluster.isPrimary) {
  for (let count = 0; count < Number(process.env.WEB_CONCURRENCY); count++) cluster.fork();
  cluster.on("exit", () => cluster.fork());
} else require("./server.js");
"""
OWN_END = """
process.on("SIGTERM", () => { console.log("my own end"); process.exit(0); });
"""
OWN_CLOSE = """
process.on("SIGTERM", () => server.close(() => { console.log("closed by myself"); process.exit(0); }));
"""
WORKER_THREAD = """
const { Worker } = require("worker_threads");
new Worker("require('worker_threads').parentPort.postMessage('from a thread')", { eval: true })
  .on("message", (text) => console.log(text));
"""


@pytest.fixture
def serve(built, tree, unpack, start, tmp_path, account):
    """Build and start an application of these files; ``start`` is its script."""

    def do(script="node server.js", files=None, environment=None, **keys):
        manifest = {"name": "shop", "scripts": {"start": script}, **keys}
        report = built(
            tree({"package.json": json.dumps(manifest), "server.js": SERVER, **(files or {})}),
        )
        directory = unpack(tmp_path / "droplet.tar.gz", account=account)
        return start(directory, account=account, environment=environment), report["processes"]["web"]

    return do


def facts(site):
    return json.loads(site.get("/").text)


def assert_says(site, text):
    """Its log may reach the file through another process, and later than its end."""
    deadline = time.monotonic() + 60
    while text not in site.said() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert text in site.said()


def is_alive(pid):
    """Whether it runs; what nobody has asked about after its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def end_with_a_request_in_flight(site):
    """Send TERM while /slow works; return its answer, or what went wrong."""
    finish = site.begin("/slow")
    site.process.send_signal(signal.SIGTERM)
    try:
        return finish().text
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        site.process.wait(60)


@pytest.mark.parametrize(
    ("script", "command", "expected"),
    [
        ("node server.js --of nobody 'two words' \"$PORT\"", ["--of", "nobody", "two words", None], {}),
        ("GREETING=hello node server.js", [], {"GREETING": "hello"}),
        ("cross-env GREETING='good morning' MORE=1 node server.js x", ["x"], {"GREETING": "good morning"}),
        ("NODE_OPTIONS=--no-warnings node server.js", [], {}),
        ("npm run serve -- --from npm", ["--from", "npm"], {}),
    ],
)
def test_a_plain_start_script_is_run_without_npm_or_a_shell(serve, script, command, expected):
    scripts = {"start": script, "serve": "node server.js"}
    site, web = serve(scripts=scripts, devDependencies={"cross-env": "7.0.3"})
    assert isinstance(web, list)
    assert web[0] == "${STAGER_NODE}"
    seen = facts(site)
    assert seen["argv"] == [str(site.port) if word is None else word for word in command]
    assert seen["pid"] == site.process.pid
    assert {name: seen["environment"].get(name) for name in expected} == expected
    # Of 512 MiB; what the script says in NODE_OPTIONS is kept beside it.
    assert 300 < seen["heap"] < 480
    assert end_with_a_request_in_flight(site) == "took its time"
    assert site.process.returncode == 0


@pytest.mark.parametrize(
    "script",
    [
        "echo first; GREETING=hello node server.js",
        "node server.js & wait $!",
        "node -e 'console.log(1)' && exec node server.js",
    ],
)
def test_a_start_script_that_needs_a_shell_runs_as_written_and_leaves_nothing(serve, script):
    site, _ = serve(script)
    child = facts(site)["pid"]
    assert site.stop().returncode == 0
    site.process.wait(20)
    assert not is_alive(child)
    assert site.is_port_free()


def test_heap_variables_and_keep_alive_are_set_and_the_users_win(serve):
    site, _ = serve(environment={"NODE_OPTIONS": "--max-old-space-size=99", "NODE_ENV": "staging"})
    seen = facts(site)
    assert 99 <= seen["heap"] < 180
    assert seen["environment"]["NODE_ENV"] == "staging"
    # Longer than routers keep theirs: 90 s at the most.
    assert seen["kept"] == 95_000
    assert "npm_lifecycle_event" not in seen["environment"]


def test_requests_in_flight_finish_and_no_new_ones_are_accepted(serve, wait_until_read):
    site, _ = serve(files={"server.js": SERVER.replace("1200", "4000")})
    slow = site.begin("/slow")
    idle, half = site.connect(), site.connect()
    idle.request("GET", "/")
    idle.getresponse().read()
    half.sock.sendall(b"GET / HTTP/1.1\r\nHost")
    wait_until_read(half.sock)
    # On a connection from before, just as TERM comes: a router does that.
    site.process.send_signal(signal.SIGSTOP)
    site.process.send_signal(signal.SIGTERM)
    idle.request("GET", "/")
    site.process.send_signal(signal.SIGCONT)
    assert idle.getresponse().status == 200
    site.wait_until_refused()
    half.sock.sendall(b": localhost\r\n\r\n")
    answer = http.client.HTTPResponse(half.sock)
    answer.begin()
    assert (answer.status, answer.getheader("Connection")) == (200, "close")
    answer.close()
    assert slow().text == "took its time"
    assert site.process.wait(20) == 0


@pytest.mark.parametrize(
    ("files", "main"),
    [
        ({"server.mjs": MODULE}, "server.mjs"),
        ({"cluster.js": CLUSTER}, "cluster.js"),
        ({"server.js": SERVER + WORKER_THREAD}, "server.js"),
    ],
)
def test_modules_clusters_and_programs_with_threads_finish_their_requests(serve, files, main):
    site, _ = serve(f"node {main}", files, {"WEB_CONCURRENCY": "2"})
    assert end_with_a_request_in_flight(site) == "took its time"
    assert site.process.returncode == 0
    assert site.is_port_free()


def test_an_applications_own_end_is_not_interfered_with(serve):
    site, _ = serve(files={"server.js": SERVER + OWN_END})
    assert end_with_a_request_in_flight(site) == "RemoteDisconnected"
    assert_says(site, "my own end")


def test_a_server_that_closes_itself_does_not_wait_for_idle_connections(serve):
    site, _ = serve(files={"server.js": SERVER + OWN_CLOSE})
    idle = site.connect()
    idle.request("GET", "/")
    idle.getresponse().read()
    began = time.monotonic()
    assert end_with_a_request_in_flight(site) == "took its time"
    # With a connection that is kept for 95 s.
    assert time.monotonic() - began < 60
    assert_says(site, "closed by myself")


def test_a_lone_file_is_an_application(built, tree, unpack, start, tmp_path):
    report = built(tree({"server.js": SERVER}), "--verify", "boot")
    assert report["runtimes"] == ["node"]
    assert report["verification"]["boot"]["status"] == "served"
    assert [one for one in report["verification"]["findings"] if one["level"] in {"error", "warning"}] == []


def test_a_secret_of_npmrc_is_used_and_not_in_the_droplet(built, tree, unpack, tmp_path):
    files = {
        "package.json": json.dumps({"name": "shop", "scripts": {"start": "node server.js"}}),
        "server.js": SERVER,
        ".npmrc": "//registry.example.com/:_authToken=a-token-of-mine\nfund=false\n",
    }
    report = built(tree(files))
    assert any(".npmrc line 1 holds a secret in plain text" in one for one in report["warnings"])
    droplet = unpack(tmp_path / "droplet.tar.gz")
    assert not (droplet / "app/.npmrc").exists()
    assert not any(b"a-token-of-mine" in path.read_bytes() for path in droplet.rglob("*") if path.is_file())


def test_a_node_that_the_droplet_does_not_find_is_named(built, tree, unpack, start, tmp_path, programs):
    built(tree({"server.js": SERVER}))
    directory = unpack(tmp_path / "droplet.tar.gz")
    text = (directory / "startup").read_text()
    # As if it had been planned on a host with another one.
    major = re.search(r"node (\d+)", text)[1]
    for before, after in (("v", "."), ("node ", ""), ("NODE_MAJOR_VERSION ", "")):
        text = text.replace(f"{before}{major}{after}", f"{before}98{after}")
    (directory / "startup").write_text(text)
    refused = start(directory, is_waiting=False)
    assert refused.process.wait(20) == 4
    assert "node 98" in refused.said()


def test_a_worker_of_another_runtimes_droplet_has_node_and_a_heap(built, tree, unpack, start, tmp_path):
    files = {
        "index.php": "<?php echo 'php serves';",
        "composer.json": "{}",
        "package.json": json.dumps({"scripts": {"build": "node -e 0"}}),
        "Procfile": "worker: node worker.js\n",
        "worker.js": "console.log(process.env.NODE_OPTIONS, process.version); setInterval(() => {}, 1e3);",
    }
    report = built(tree(files))
    assert report["runtimes"] == ["node", "php"]
    worker = start(unpack(tmp_path / "droplet.tar.gz"), "-t", "worker", is_waiting=False)
    assert_says(worker, "--max-old-space-size=")

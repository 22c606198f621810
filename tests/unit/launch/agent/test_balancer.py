"""One port in front of several instances: what clients notice of a change is nothing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from stager.errors import ConfigurationError, CouldNotVerify
from stager.launch.agent.balancer import Balancer, Server
from stager.launch.processes import read_stat
from stager.model.plan import Health

#: Answers with its name after 20 ms, keeps connections, and says 503 at /down; /slow takes half a second.
INSTANCE = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while True:
            request = await reader.readuntil(b"\\r\\n\\r\\n")
            if b"/slow" in request:
                print("asked slowly", flush=True)
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.02)
            status = b"503 No" if b"/down" in request else b"200 OK"
            name = sys.argv[2].encode()
            writer.write(b"HTTP/1.1 %b\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (status, len(name), name))
            await writer.drain()
    except Exception:
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


class Instances:
    """Starts small servers, on free ports; what is left of them ends with the test."""

    def __init__(self):
        self.processes = {}

    def start(self, *names):
        servers = []
        for name in names:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
            argv = [sys.executable, "-c", INSTANCE, str(port), name]
            self.processes[name] = subprocess.Popen(argv, stdout=subprocess.PIPE)
            servers.append(Server(name, port))
        for server in servers:
            wait_until(lambda server=server: is_open(server.port))
        return servers

    def kill(self, *names):
        for name in names:
            process = self.processes.pop(name)
            process.kill()
            process.communicate()


@pytest.fixture
def instances():
    found = Instances()
    yield found
    found.kill(*list(found.processes))


@pytest.fixture
def balancer(tmp_path, free_port):
    one = Balancer(tmp_path / "balancer", free_port, host="127.0.0.1", name="shop")
    yield one
    one.stop(1.0)


def wait_until(is_so, seconds=30.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def is_open(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def ask(balancer, path="/"):
    with urllib.request.urlopen(f"http://127.0.0.1:{balancer.port}{path}", timeout=30) as answer:
        return answer.read().decode()


class Load:
    """Clients that keep their connections, with pauses, and others that make one for each request."""

    def __init__(self, port):
        self.port = port
        self.answers = []
        self.lost = []
        self.is_over = False

    async def client(self, *, keeps, seed):
        chance = random.Random(seed)
        reader = writer = None
        while not self.is_over:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(
                    b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"" if keeps else b"Connection: close\r\n") + b"\r\n"
                )
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                assert head.startswith(b"HTTP/1.1 200"), head
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.answers.append((await reader.readexactly(length)).decode())
                if not keeps or b"connection: close" in head.lower():
                    writer.close()
                    writer = None
            except (OSError, AssertionError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.lost.append(repr(error))
                writer = None
            await asyncio.sleep(chance.choice((0, 0, 0.02, 0.3)))
        if writer is not None:
            writer.close()

    def wait_for(self, *names):
        """Wait until each of these has answered, and 30 requests have been answered."""
        before = len(self.answers)
        wait_until(lambda: len(self.answers) >= before + 30 and {*names} <= {*self.answers[before:]})

    def during(self, work):
        async def run():
            clients = [
                asyncio.create_task(self.client(keeps=bool(seed % 3), seed=seed)) for seed in range(12)
            ]
            try:
                await asyncio.to_thread(work)
            finally:
                self.is_over = True
                await asyncio.gather(*clients)

        asyncio.run(run())


def test_no_request_is_lost_while_instances_are_replaced(balancer, instances):
    generations = [[f"g{number}a", f"g{number}b"] for number in range(4)]
    balancer.apply(instances.start(*generations[0]))
    load = Load(balancer.port)

    def replace():
        load.wait_for(*generations[0])
        for old, new in itertools.pairwise(generations):
            balancer.apply(instances.start(*new))
            assert balancer.wait_until_drained(20)
            # What is killed answers nothing: a request on its way would be lost.
            instances.kill(*old)
            load.wait_for(*new)

    load.during(replace)
    assert load.lost == []
    assert set(load.answers[-4:]) <= set(generations[-1])


def test_what_an_instance_that_dies_did_not_take_goes_to_another(balancer, instances):
    balancer.apply(instances.start("a", "b", "c"))
    load = Load(balancer.port)

    def kill():
        load.wait_for("a", "b", "c")
        instances.kill("b")
        load.wait_for("a", "c")

    load.during(kill)
    assert load.lost == []
    assert set(load.answers[-5:]) <= {"a", "c"}


def test_what_haproxy_refuses_does_not_come_into_force(balancer, instances):
    (server,) = instances.start("a")
    balancer.apply([server])
    with pytest.raises(ConfigurationError, match="does not accept") as caught:
        balancer.apply([Server("b", 80, host="no-such-host.invalid")])
    assert "no-such-host.invalid" in caught.value.details
    assert ask(balancer) == "a"
    assert not balancer.apply([server])
    assert sorted(path.name for path in balancer.directory.iterdir()) == [
        "balancer.json", "haproxy.cfg", "haproxy.log", "master.sock",
    ]  # fmt: skip


def test_an_instance_that_is_not_well_gets_no_requests(tmp_path, free_port, instances):
    health = Health(path='/up/it\'s "here" $HOME #1?a=b&c')
    balancer = Balancer(tmp_path / "balancer", free_port, host="127.0.0.1", health=health)
    try:
        balancer.apply(instances.start("a"))
        assert ask(balancer) == "a"
    finally:
        balancer.stop(1.0)
    balancer = Balancer(tmp_path / "balancer", free_port, host="127.0.0.1", health=Health(path="/down"))
    try:
        balancer.apply(instances.start("b"))

        def is_out():
            with contextlib.suppress(urllib.error.HTTPError):
                ask(balancer)
                return False
            return True

        wait_until(is_out)
    finally:
        balancer.stop(1.0)


def test_what_does_not_speak_http_is_served_by_connections(tmp_path, free_port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        balancer = Balancer(tmp_path / "balancer", free_port, host="127.0.0.1", health=Health(check="tcp"))
        try:
            balancer.apply([Server("a", server.getsockname()[1])])
            with socket.create_connection(("127.0.0.1", free_port), timeout=10) as client:
                client.sendall(b"HELO\n")
                server.settimeout(10)
                # Its own checks connect, too, and say nothing.
                heard = b""
                while not heard:
                    connection, _ = server.accept()
                    heard = connection.recv(100)
                connection.sendall(b"250 well\n")
                connection.close()
                assert (heard, client.recv(100)) == (b"HELO\n", b"250 well\n")
        finally:
            balancer.stop(1.0)


def test_a_port_that_is_taken_is_said_so(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        balancer = Balancer(tmp_path / "balancer", taken.getsockname()[1], host="127.0.0.1")
        with pytest.raises(CouldNotVerify, match="does not work") as caught:
            balancer.apply([])
    assert "cannot bind" in caught.value.details.lower()
    assert balancer.process is None


def test_it_is_found_again_and_started_again_when_it_was_killed(balancer, instances):
    servers = instances.start("a")
    balancer.apply(servers)
    again = Balancer(balancer.directory, balancer.port, host="127.0.0.1", name="shop")
    assert again.process == balancer.process
    assert not again.apply(servers)
    pid = balancer.process.pid
    workers = balancer.workers().current
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: balancer.process is None)
    wait_until(lambda: not is_open(balancer.port))
    assert again.apply(servers)
    assert ask(again) == "a"
    assert again.workers().current.isdisjoint(workers)


@pytest.mark.parametrize("is_wanted", [True, False])
def test_one_that_a_killed_supervisor_did_not_note_is_found_by_its_mark(balancer, instances, is_wanted):
    servers = instances.start("a")
    balancer.apply(servers)
    lost = balancer.process
    (balancer.directory / "balancer.json").unlink()
    again = Balancer(balancer.directory, balancer.port, host="127.0.0.1", name="shop")
    if is_wanted:
        assert again.apply(servers)
        assert ask(again) == "a"
        assert again.process != lost
    else:
        again.stop(1.0)
        assert not is_open(balancer.port)
    assert read_stat(lost.pid) != lost


def test_stopping_finishes_requests_and_leaves_nothing(balancer, instances):
    balancer.apply(instances.start("a"))
    with socket.create_connection(("127.0.0.1", balancer.port)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert instances.processes["a"].stdout.readline() == b"asked slowly\n"
        balancer.stop(30.0)
        client.settimeout(30)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    assert balancer.process is None
    assert not is_open(balancer.port)
    balancer.stop(30.0)


def test_a_state_directory_may_lie_deep(tmp_path, free_port, instances):
    deep = tmp_path / ("d" * 100) / "b"
    deep.mkdir(parents=True)
    balancer = Balancer(deep / "balancer", free_port, host="127.0.0.1")
    try:
        balancer.apply(instances.start("a"))
        assert ask(balancer) == "a"
    finally:
        balancer.stop(1.0)

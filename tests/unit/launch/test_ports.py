from __future__ import annotations

import os
import socket

import pytest

from stager.launch import ports


def test_a_free_port_is_free_and_a_taken_one_is_not():
    port = ports.free_port()
    assert ports.is_port_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_port_free(port)


def test_a_port_that_is_bound_without_listening_is_not_free():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert not ports.is_port_free(bound.getsockname()[1])


def test_finished_connections_do_not_keep_a_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()  # who closes first stays in TIME_WAIT
            client.recv(1)
    assert ports.is_port_free(port)


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
)
def test_listeners_are_found_with_their_address(family, address):
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"no {address} here")
    with server:
        inode = os.fstat(server.fileno()).st_ino
        expected = ports.Listener(address, server.getsockname()[1], inode)
        assert expected in ports.listeners()
        assert expected in ports.listeners_of([os.getpid()])
        assert expected not in ports.listeners_of([os.getppid()])
        tables = [one for table in ("tcp", "tcp6") for one in ports._read_table(f"/proc/net/{table}")]
        assert expected in tables


def test_listeners_are_found_where_the_kernel_may_not_be_asked(monkeypatch):
    def refuse(family):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(ports, "_ask_kernel", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] in {one.port for one in ports.listeners_of([os.getpid()])}


def test_connections_are_no_listeners():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address):
            connection, _ = server.accept()
            server.close()
            assert address[1] not in {one.port for one in ports.listeners_of([os.getpid()])}
            connection.close()

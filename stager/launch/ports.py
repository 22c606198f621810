"""TCP ports: a free one, and who listens where."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LOOPBACK = "127.0.0.1"
_LISTEN = 10

# sock_diag(7), of which Python's socket module knows no names.
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
#: Family, protocol, what else is wanted (nothing), the states that are; a socket's own names are left out.
_QUESTION = struct.Struct("=BBBxI48x")
#: Port, address, inode; what is between them does not matter here.
_ANSWER = struct.Struct("=4x2s2x16s44xI")


class Listener(NamedTuple):
    """One listening socket. ``inode`` tells it from a later one on the same port."""

    address: str
    port: int
    inode: int


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_port_free(port: int) -> bool:
    """Whether nobody answers on it and it can be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        if client.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        # As servers do: connections in TIME_WAIT do not count.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listeners() -> tuple[Listener, ...]:
    """Every listening TCP socket of the host.

    The kernel is asked for these alone, which takes it 0.1 ms: its tables in /proc have all connections, and
    take 8 ms without any. They are read where it does not answer, as in some containers.
    """
    try:
        return tuple(one for family in (socket.AF_INET, socket.AF_INET6) for one in _ask_kernel(family))
    except OSError:
        return tuple(one for table in ("/proc/net/tcp", "/proc/net/tcp6") for one in _read_table(table))


def _ask_kernel(family: int) -> Iterator[Listener]:
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 1 << _LISTEN)
    header = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(header + question)
        while True:
            data = kernel.recv(1 << 17)
            while data:
                size, kind, *_ = _HEADER.unpack_from(data)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-int.from_bytes(data[16:20], sys.byteorder, signed=True), "sock_diag")
                port, address, inode = _ANSWER.unpack_from(data, _HEADER.size)
                packed = address[:4] if family == socket.AF_INET else address
                yield Listener(socket.inet_ntop(family, packed), int.from_bytes(port, "big"), inode)
                data = data[-(-size // 4) * 4 :]


def _read_table(path: str) -> Iterator[Listener]:
    try:
        with open(path, encoding="ascii") as file:
            lines = file.readlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if int(fields[3], 16) == _LISTEN:
            address, port = fields[1].split(":")
            yield Listener(_address(address), int(port, 16), int(fields[9]))


def listeners_of(pids: Iterable[int]) -> tuple[Listener, ...]:
    """Those that one of these processes holds open, by port."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    return tuple(sorted((one for one in listeners() if one.inode in inodes), key=lambda one: one.port))


def _socket_inodes(pid: int) -> set[int]:
    inodes: set[int] = set()
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return inodes
    for name in names:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(int(target[8:-1]))
    return inodes


def _address(digits: str) -> str:
    """Addresses are printed as 32-bit words in the host's byte order (proc(5))."""
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))

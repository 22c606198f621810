"""Load through one port: wrk for its weight, and clients of our own that know what became of each request."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

CONNECTIONS = 4
#: Seconds after which a request that has no answer is lost.
PATIENCE = 30
_PAUSE = 0.02
#: An hour: it is told when to end.
_LONG = "3600s"
_REQUESTS = re.compile(r"(\d+) requests in")
_REFUSED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_SOCKETS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


@dataclass
class Asked:
    """What became of the requests: how many got a good answer, and why the others did not."""

    answered: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def add(self, other: Asked) -> None:
        self.answered += other.answered
        self.lost.update(other.lost)

    @property
    def count(self) -> int:
        return self.answered + self.lost.total()

    def __str__(self) -> str:
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(self.lost.items()))
        return f"{self.count} requests, {self.lost.total()} lost{f' ({reasons})' if reasons else ''}"


class Wrk:
    """As many requests as four kept connections can have, until it is ended."""

    def __init__(self, port: int) -> None:
        # Behind everything else: what is to be started under its load has to get some of two cores, too.
        self._process = subprocess.Popen(
            ["nice", "-n", "10", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{_LONG}", f"--timeout={PATIENCE}s",
             f"http://127.0.0.1:{port}/"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def end(self) -> Asked:
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=2 * PATIENCE)
        requests = _REQUESTS.search(said)
        if requests is None:
            raise RuntimeError(said)
        asked = Asked()
        if refused := _REFUSED.search(said):
            asked.lost["bad answers"] = int(refused[1])
        if broken := _SOCKETS.search(said):
            for reason, number in zip(("connect", "read", "write", "timeout"), broken.groups(), strict=True):
                asked.lost[reason] = int(number)
        # It counts a bad answer as a request, and a connection that broke not.
        asked.answered = int(requests[1]) - asked.lost["bad answers"]
        asked.lost = +asked.lost
        return asked


class Client(threading.Thread):
    """One request after the other, on a kept connection or on a new one for each.

    Nothing is asked again: the balancer promises that no client finds its kept connection closed.
    """

    def __init__(self, port: int, *, is_keeping: bool) -> None:
        super().__init__(daemon=True)
        self.asked = Asked()
        self._port = port
        self._is_keeping = is_keeping
        self._is_over = threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._is_over.wait(_PAUSE):
            if (reason := self._ask()) is None:
                self.asked.answered += 1
            else:
                self.asked.lost[reason] += 1
                self._close()
            if not self._is_keeping:
                self._close()
        self._close()

    def end(self) -> Asked:
        self._is_over.set()
        self.join(2 * PATIENCE)
        return self.asked

    def _ask(self) -> str | None:
        """Why there was no good answer, or None."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        try:
            self._connection.request("GET", "/")
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        return None if answer.status == http.client.OK else str(answer.status)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Load:
    """wrk, a client that keeps its connection and one that does not, at each of these ports."""

    def __init__(self, ports: list[int]) -> None:
        self.began = time.monotonic()
        self._wrks = [Wrk(port) for port in ports]
        self._clients = [
            Client(port, is_keeping=is_keeping) for port in ports for is_keeping in (True, False)
        ]
        for client in self._clients:
            client.start()

    def end(self) -> dict[str, Asked]:
        """What became of the requests of either."""
        found = {"wrk": Asked(), "client": Asked()}
        for kind, askers in (("wrk", self._wrks), ("client", self._clients)):
            for one in askers:
                found[kind].add(one.end())
        return found

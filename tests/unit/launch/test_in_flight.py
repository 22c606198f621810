from __future__ import annotations

import socket
import threading

import pytest

from stager.launch.asking import Answer, ask
from stager.launch.deadline import Deadline
from stager.launch.in_flight import BODY, Flight, HeldRequest, judge, ordinary_status

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def peer():
    """A server of one connection: ``peer(function)`` runs it with the connection, returns the port."""
    threads = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(conversation):
        def run():
            with listener.accept()[0] as connection:
                conversation(connection)

        threads.append(threading.Thread(target=run))
        threads[0].start()
        return listener.getsockname()[1]

    yield serve
    listener.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def soon():
    return Deadline.after(30)


def receive(connection, ending):
    data = b""
    while not data.endswith(ending) and (chunk := connection.recv(65536)):
        data += chunk
    return data


def test_half_a_body_is_held_back_until_the_end(peer):
    received = []

    def conversation(connection):
        received.append(receive(connection, BODY[: len(BODY) // 2]))
        received.append(receive(connection, BODY[len(BODY) // 2 :]))
        connection.sendall(OK)

    held = HeldRequest(peer(conversation), "/here", soon())
    assert not held.has_answer(0.1)
    assert held.finish(soon()) == Flight(Answer(200))
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /here HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in head
    assert b"\r\nContent-Length: %d" % len(BODY) in head
    assert body + received[1] == BODY


def test_an_early_answer_is_read_although_the_rest_cannot_be_sent(peer):
    def conversation(connection):
        receive(connection, BODY[: len(BODY) // 2])
        connection.sendall(OK)

    held = HeldRequest(peer(conversation), "/", soon())
    assert held.has_answer(30)
    assert held.finish(soon()) == Flight(Answer(200))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "the connection was cut (RemoteDisconnected)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "the answer was cut short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "the answer was cut short"),
        (b"nonsense\r\n\r\n", "the connection was cut (BadStatusLine)"),
    ],
)
def test_a_cut_connection_is_told_from_an_answer(peer, answer, problem):
    def conversation(connection):
        receive(connection, BODY[len(BODY) // 2 :])
        connection.sendall(answer)

    assert HeldRequest(peer(conversation), "/", soon()).finish(soon()).problem == problem


def test_no_answer_in_time_is_a_problem(peer):
    done = threading.Event()
    held = HeldRequest(peer(lambda connection: done.wait(30)), "/", soon())
    assert held.finish(Deadline.after(0.1)) == Flight(None, "no answer came")
    done.set()


def test_the_ordinary_answer_is_that_of_the_same_request(peer):
    def conversation(connection):
        receive(connection, BODY[-100:])
        connection.sendall(b"HTTP/1.0 405 No\r\n\r\n")

    assert ordinary_status(peer(conversation), "/", soon()) == 405


def test_no_ordinary_answer_is_none(free_port):
    assert ordinary_status(free_port, "/", soon()) is None


def test_waiting_ends_when_it_is_pointless(peer):
    done = threading.Event()
    port = peer(lambda connection: done.wait(30))
    with pytest.raises(ConnectionAbortedError):
        ask(port, "/", Deadline.after(60), is_pointless=lambda: True)
    done.set()


@pytest.mark.parametrize(
    ("flight", "ordinary", "drains", "level", "text"),
    [
        (Flight(Answer(200)), 200, True, None, ""),
        (Flight(Answer(405)), 200, True, None, ""),
        (Flight(Answer(500)), 500, True, None, ""),
        (Flight(Answer(503)), 200, True, "error", "it was answered 503 instead of 200"),
        (Flight(Answer(200), "the answer was cut short"), 200, True, "error", "cut short"),
        (Flight(None, "no answer came"), 200, True, "error", "no answer came"),
        (Flight(None, "no answer came"), 200, False, "info", "cannot drain"),
        (None, 200, True, "error", "refused"),
        (None, None, True, "skipped", "does not answer a POST"),
    ],
)
def test_the_verdict_on_a_request_in_flight(flight, ordinary, drains, level, text):
    found = judge(flight, ordinary, drains=drains)
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(text in finding.message for finding in found)

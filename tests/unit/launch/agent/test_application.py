from __future__ import annotations

import socket
from pathlib import Path

import pytest

from stager.launch.agent.application import PortBook
from stager.launch.agent.declaring import name_of


def test_no_port_is_given_out_twice():
    book = PortBook()
    taken = [book.take() for _ in range(50)]
    assert len(set(taken)) == 50


def test_a_taken_port_is_passed_over_for_the_next_free_one():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        book = PortBook()
        assert book.take(port) > port
        assert book.take(port, is_fixed=True) == port


def test_a_port_that_was_given_back_is_given_out_again(free_port):
    book = PortBook()
    assert book.take(free_port) == free_port
    assert book.take(free_port) != free_port
    book.give_back(free_port)
    assert book.take(free_port) == free_port


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/x/shop.droplet.tar.gz", "shop"),
        ("/x/shop-1.2.droplet.tar.zst", "shop-1.2"),
        ("/x/my shop's.tar.gz", "my-shop-s"),
        ("/x/.hidden", "hidden"),
        ("/x/ä", "app"),
        ("/x/.tar.gz", "tar.gz"),
        ("/x/" + "y" * 150, "y" * 100),
    ],
)
def test_an_application_is_called_like_its_droplet(path, name):
    assert name_of(Path(path)) == name

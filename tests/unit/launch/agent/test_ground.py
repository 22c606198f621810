import threading

import pytest

from stager.errors import DropletCorrupt
from stager.launch.agent.droplets import Unpacked
from stager.launch.agent.ground import Ground
from stager.model.droplet import Manifest


@pytest.fixture
def droplet(tmp_path):
    return Unpacked(tmp_path, Manifest("1", (), ()), "ab", unpacked_at=1)


def entering(ground, index, renew, is_wanted=lambda: True):
    thread = threading.Thread(target=ground.enter_clean, args=(index, renew, is_wanted), daemon=True)
    thread.start()
    return thread


def test_what_is_clean_is_entered_as_it_is(droplet):
    ground = Ground(droplet)
    scan = ground.scan
    for index in (0, 1):
        ground.enter_clean(index, pytest.fail, lambda: True)
    assert ground.scan is scan


def test_what_is_soiled_is_replaced_once_when_everybody_has_left(droplet):
    ground = Ground(droplet)
    ground.enter(0)
    ground.enter(1)
    ground.is_soiled = True
    ground.leave(0)
    renewed = []

    def renew():
        renewed.append(1)
        return droplet

    threads = [entering(ground, index, renew) for index in (0, 2)]
    threads[0].join(0.3)
    assert threads[0].is_alive()
    assert not renewed
    ground.leave(1)
    for thread in threads:
        thread.join(10)
    assert (renewed, ground.is_soiled) == ([1], False)


def test_who_is_not_wanted_any_more_does_not_wait(droplet):
    ground = Ground(droplet)
    ground.enter(1)
    ground.is_soiled = True
    thread = entering(ground, 0, pytest.fail, lambda: False)
    thread.join(10)
    assert not thread.is_alive()


def test_where_it_cannot_be_replaced_it_stays_soiled_and_nobody_is_in_it(droplet):
    ground = Ground(droplet)
    ground.is_soiled = True

    def renew():
        raise DropletCorrupt("gone")

    with pytest.raises(DropletCorrupt):
        ground.enter_clean(0, renew, lambda: True)
    assert ground.is_soiled
    ground.enter_clean(0, lambda: droplet, lambda: True)
    assert not ground.is_soiled


def test_what_somebody_else_has_unpacked_is_not_measured(tmp_path):
    ground = Ground(Unpacked(tmp_path, Manifest("1", (), ()), "ab"))
    assert (ground.scan, ground.size) == (None, 0)

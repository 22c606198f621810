from __future__ import annotations

import os
import pwd

import pytest

from stager.errors import CouldNotVerify
from stager.launch import account
from stager.launch.account import current_user, unprivileged_account

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


@only_root
def test_root_becomes_somebody_with_no_other_groups():
    found = unprivileged_account()
    assert found.uid == pwd.getpwnam(found.name).pw_uid != 0
    assert found.groups == (found.gid,)


@only_root
def test_the_first_user_that_exists_is_taken(monkeypatch):
    monkeypatch.setattr(account, "UNPRIVILEGED", ("no-such-user", "www-data"))
    assert unprivileged_account().name == "www-data"


@only_root
@pytest.mark.parametrize("user", ["root", "no-such-user"])
def test_root_itself_and_unknown_users_are_refused(user):
    with pytest.raises(CouldNotVerify) as raised:
        unprivileged_account(user)
    assert raised.value.brief == "There is no unprivileged user to start the droplet as."
    assert user in raised.value.details
    assert "existing user other than root" in raised.value.resolution


def test_others_stay_who_they_are(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: pwd.getpwnam("daemon").pw_uid)
    assert current_user() == "daemon"
    assert unprivileged_account() is None
    assert unprivileged_account("daemon") is None
    with pytest.raises(CouldNotVerify) as raised:
        unprivileged_account("nobody")
    assert raised.value.brief == "The droplet cannot be started as nobody."


def test_a_user_without_a_name_is_a_number(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 987_654)
    assert current_user() == "987654"

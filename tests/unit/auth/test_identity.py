"""The local user: the same in every session, and named only when Jupyter knows a name."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jupyter_server.auth.identity import IdentityProvider, User

from devstudio_server.auth import LOCAL_TENANT_ID, Permission, local_actor


def test_the_local_user_is_always_the_same_and_may_do_everything() -> None:
    first, second = local_actor(), local_actor(User("ana"))
    assert (first.tenant_id, first.user_id) == (second.tenant_id, second.user_id)
    assert first.tenant_id == LOCAL_TENANT_ID
    assert first.sole_user
    assert all(first.may(permission) for permission in Permission)
    assert not first.may("something:else")


def test_a_name_that_jupyter_made_up_is_not_kept() -> None:
    handler: Any = SimpleNamespace(log=logging.getLogger("test"))
    user = IdentityProvider().generate_anonymous_user(handler)
    assert user.name.startswith("Anonymous")
    assert local_actor(user).name == local_actor().name == "Local user"


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (User("ana"), "ana"),
        (User("ana", "Ana Lima"), "Ana Lima"),
        (User("a", "b", "Ana L."), "Ana L."),
        (None, "Local user"),
    ],
)
def test_a_name_that_a_person_has_is_kept(user: User | None, name: str) -> None:
    assert local_actor(user).name == name


def test_what_is_no_user_gives_no_name() -> None:
    assert local_actor(cast("User", "token")).name == "Local user"

"""Jupyter's identity providers of ours, and the local user: the same in every session."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from jupyter_server.auth.identity import IdentityProvider, User
from traitlets import TraitError

from devstudio_server.auth import LOCAL_TENANT_ID, Permission, local_actor
from devstudio_server.auth.errors import SettingsError
from devstudio_server.auth.identity import LocalIdentityProvider, TeamIdentityProvider, auth_mode
from devstudio_server.auth.user import NOBODY, StudioUser, actor_of_user
from support.team import Team


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


def test_a_user_of_another_identity_provider_is_nobody_here() -> None:
    ana = StudioUser.of(local_actor())
    assert actor_of_user(ana) == local_actor()
    for foreign in (User("ana"), None, "ana", {"name": "ana"}):
        assert actor_of_user(foreign) is NOBODY
    assert not any(NOBODY.may(permission) for permission in Permission)


def test_jupyters_clients_hear_nothing_of_the_actor() -> None:
    shown = LocalIdentityProvider(token="t").identity_model(StudioUser.of(local_actor()))
    assert set(shown) == {"username", "name", "display_name", "initials", "avatar_url", "color"}


@pytest.mark.parametrize(("said", "mode"), [("", "local"), ("local", "local"), ("team", "team"), (" TEAM ", "team")])
def test_the_mode_is_one_of_two(monkeypatch: pytest.MonkeyPatch, said: str, mode: str) -> None:
    monkeypatch.setenv("DEVSTUDIO_AUTH", said)
    assert auth_mode() == mode


@pytest.mark.parametrize("said", ["teams", "none", "off", "0"])
def test_another_mode_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("DEVSTUDIO_AUTH", said)
    with pytest.raises(SettingsError, match="DEVSTUDIO_AUTH"):
        auth_mode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"DEVSTUDIO_JWT_ISSUER": ""}, "set DEVSTUDIO_JWT_ISSUER to"),
        ({"DEVSTUDIO_JWT_AUDIENCE": ""}, "set DEVSTUDIO_JWT_AUDIENCE to"),
        ({"DEVSTUDIO_JWT_KEY_FILE": ""}, "none is set"),
        ({"DEVSTUDIO_JWT_SECRET": "s" * 40}, "KEY_FILE and DEVSTUDIO_JWT_SECRET"),
        ({"DEVSTUDIO_JWT_JWKS_URL": "https://id.example.test/keys"}, "JWKS_URL and DEVSTUDIO_JWT_KEY_FILE"),
        ({"DEVSTUDIO_JWT_KEY_FILE": "/absent"}, "'/absent' cannot be read"),
        ({"DEVSTUDIO_JWT_KEY_FILE": "", "DEVSTUDIO_JWT_SECRET": "short"}, "shorter than 32 bytes"),
        ({"DEVSTUDIO_JWT_KEY_FILE": "", "DEVSTUDIO_JWT_JWKS_URL": "file:///etc/passwd"}, "DEVSTUDIO_JWT_JWKS_URL"),
    ],
)
def test_a_team_starts_with_whole_settings_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    for name, value in (Team(tmp_path).environment | change).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TraitError, match=said):
        TeamIdentityProvider()


def test_jupyters_token_is_never_set_in_a_team(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (Team(tmp_path).environment | {"JUPYTER_TOKEN": "given"}).items():
        monkeypatch.setenv(name, value)
    provider = TeamIdentityProvider()
    assert provider.token == ""
    provider.token = "set-later"
    assert provider.token == ""
    assert (provider.login_available, provider.auth_enabled, provider.updatable_fields) == (False, True, [])
    provider.threads.shutdown()

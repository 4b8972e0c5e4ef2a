"""Who one is in the local mode, and what belongs to a team only."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.studio import TOKEN, Api, Studio


def test_the_local_user_has_every_role_and_no_end(api: Api) -> None:
    me = api.get("me").expect(200)
    assert me["mode"] == "local"
    assert me["roles"] == ["admin_devstudio", "operator"]
    assert {"spec:read", "user:revoke", "audit:read", "metrics:read"} <= set(me["permissions"])
    assert me["expires_at"] is None


@pytest.mark.parametrize(
    ("path", "body"), [("auth/launch-codes", {}), ("auth/sign-out", None), ("auth/revocations", {"token_id": "x"})]
)
def test_launch_codes_and_revocations_belong_to_a_team(api: Api, path: str, body: Any) -> None:
    problem = api.post(path, body).problem(409)
    assert problem["type"] == "urn:devstudio:problem:NoTeam"
    assert "docs/team.md" in problem["detail"]


def test_jupyters_token_opens_the_server_as_before(studio: Studio) -> None:
    for options in ({"headers": {"Authorization": f"token {TOKEN}"}}, {"params": {"token": TOKEN}}):
        assert httpx.get(f"{studio.url}/api/v1/me", **options).status_code == 200
        identity = httpx.get(f"{studio.url}/api/me", **options).json()["identity"]
        assert set(identity) == {"username", "name", "display_name", "initials", "avatar_url", "color"}
    refused = httpx.get(f"{studio.url}/api/v1/me", headers={"Authorization": "token wrong"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'token realm="jupyter"'
    assert '"local_token"' in studio.log


def test_a_launch_is_no_address_of_the_local_mode(studio: Studio) -> None:
    assert httpx.get(f"{studio.url}/auth/launch", params={"code": "x"}).status_code in {302, 403, 404}

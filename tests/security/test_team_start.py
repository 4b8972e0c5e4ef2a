"""A server does not serve a team by half: what would let tenants see each other ends the start, with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.studio import Studio
from support.team import Team

CASES: dict[str, tuple[dict[str, str], tuple[str, ...], str]] = {
    "no issuer": ({"DEVSTUDIO_JWT_ISSUER": ""}, (), "set DEVSTUDIO_JWT_ISSUER to what the tokens"),
    "a secret beside public keys": ({"DEVSTUDIO_JWT_SECRET": "s" * 40}, (), "set exactly one of"),
    "a mode that is none": ({"DEVSTUDIO_AUTH": "teams"}, (), "DEVSTUDIO_AUTH is 'teams'"),
    "another authorizer": (
        {},
        ("--ServerApp.authorizer_class=jupyter_server.auth.authorizer.AllowAllAuthorizer",),
        "ServerApp.authorizer_class would not keep tenants apart",
    ),
    "other contents": (
        {},
        ("--ServerApp.contents_manager_class=jupyter_server.services.contents.largefilemanager.LargeFileManager",),
        "ServerApp.contents_manager_class would not keep tenants apart",
    ),
    "handlers without credentials": (
        {},
        ("--ServerApp.allow_unauthenticated_access=True",),
        "ServerApp.allow_unauthenticated_access would not keep tenants apart",
    ),
    "another identity provider": (
        {},
        ("--ServerApp.identity_provider_class=jupyter_server.auth.identity.PasswordIdentityProvider",),
        "Jupyter has another identity provider",
    ),
    "a plain process is allowed": (
        {},
        ("--DevStudioApp.allow_process_sandbox=True",),
        "In team mode code never runs as a plain process",
    ),
    "a plain process is asked for": (
        {},
        ("--DevStudioApp.sandbox_backend=process",),
        "In team mode code never runs as a plain process",
    ),
    "no isolation works": (
        {"DOCKER_HOST": "unix:///absent/docker.sock"},
        ("--DevStudioApp.sandbox_backend=docker",),
        "Team mode needs a sandbox that isolates",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_start_ends(tmp_path: Path, case: str) -> None:
    environment, arguments, said = CASES[case]
    studio: Studio = Team(tmp_path / "team").studio(tmp_path / "data", environment, arguments)
    try:
        with pytest.raises(AssertionError, match="the server ended"):
            studio.start()
        assert studio.process.wait(30) != 0
    finally:
        studio.stop()
        studio.api.close()
    assert said in studio.log

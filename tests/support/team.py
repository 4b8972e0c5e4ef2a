"""A team: the environment of a server in team mode, and tokens as the identity provider of the team makes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import RSAAlgorithm

from devstudio_server.auth import Role
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id
from support.studio import Api, Studio

ISSUER = "https://identity.example.test/"
AUDIENCE = "devstudio"
KEY_ID = "team-2026"
LIFETIME_S = 3600
OPERATOR = UUID("0199aa00-0000-7000-8000-00000000cafe")
"""A tenant of its own, in whose name a test waits for the server."""


class Team:
    """An identity provider with one RSA key, whose public half is a JWKS file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        """Make the key and its file."""
        self.key = generate_private_key(public_exponent=65537, key_size=2048)
        self.private_pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.jwk = {**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": KEY_ID, "use": "sig"}
        self.key_file = folder / "team.jwks.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.key_file.write_text(json.dumps({"keys": [self.jwk]}))

    @property
    def environment(self) -> dict[str, str]:
        """Return what turns team mode on."""
        return {
            "DEVSTUDIO_AUTH": "team",
            "DEVSTUDIO_JWT_ISSUER": ISSUER,
            "DEVSTUDIO_JWT_AUDIENCE": AUDIENCE,
            "DEVSTUDIO_JWT_KEY_FILE": str(self.key_file),
        }

    def claims(
        self, tenant: UUID, *, user: str = "ana", roles: Iterable[str] = (Role.ADMIN_DEVSTUDIO,), **more: Any
    ) -> dict[str, Any]:
        """Return the claims of a good token; ``more`` replaces or adds claims, and None leaves one out."""
        issued = int(now().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user,
            "name": user.capitalize(),
            "jti": str(new_id()),
            "iat": issued,
            "exp": issued + LIFETIME_S,
            "tenant_id": str(tenant),
            "devstudio_roles": [str(role) for role in roles],
        }
        return {name: value for name, value in (claims | more).items() if value is not None}

    def token(
        self, tenant: UUID, *, user: str = "ana", roles: Iterable[str] = (Role.ADMIN_DEVSTUDIO,), **claims: Any
    ) -> str:
        """Return a good token, or one with other ``claims``."""
        return self.signed(self.claims(tenant, user=user, roles=roles, **claims))

    def signed(self, claims: dict[str, Any], **headers: Any) -> str:
        """Sign any claims with the team's key."""
        return jwt.encode(claims, self.key, "RS256", headers={"kid": KEY_ID} | headers)

    def studio(self, data_dir: Path, env: Mapping[str, str] | None = None, arguments: tuple[str, ...] = ()) -> Studio:
        """Return a server of this team that keeps its data in ``data_dir``."""
        return Studio(data_dir, {**self.environment, **(env or {})}, arguments, bearer=self.token(OPERATOR))

    def api(self, url: str, tenant: UUID, *, user: str = "ana", roles: Iterable[str] = (Role.ADMIN_DEVSTUDIO,)) -> Api:
        """Return a client that calls the API as ``user`` of ``tenant``."""
        return Api(url, self.token(tenant, user=user, roles=roles), scheme="Bearer")

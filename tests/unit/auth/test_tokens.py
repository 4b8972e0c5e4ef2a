"""Tokens of each kind of key, and what is read from them; what is refused is in tests/security/test_bad_tokens.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from devstudio_server.auth import Role
from devstudio_server.auth.errors import BadCredentialError, Reason
from devstudio_server.auth.keys import FixedKeys, key_file, secret_key
from devstudio_server.auth.tokens import Claims, TokenRules, TokenVerifier, mint_token, user_id_of
from devstudio_server.kit.clock import now
from support.forged_tokens import BAD, Forger
from support.team import AUDIENCE, ISSUER, Team

RULES = TokenRules(ISSUER, AUDIENCE)
TENANT = UUID("0199aa00-0000-7000-8000-000000000001")
SECRET = "a-secret-of-more-than-thirty-two-bytes"


def key_pair(folder: Path, kind: str) -> tuple[str, FixedKeys]:
    """Return what signs, and the source of what verifies."""
    if kind == "secret":
        return SECRET, secret_key(SECRET)
    key: Any = (
        Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    path = folder / "public.pem"
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), key_file(str(path))


def mint(key: str, **options: Any) -> str:
    arguments: dict[str, Any] = {"user": "ana", "roles": ["executor", "viewer"], "issuer": ISSUER, "audience": AUDIENCE}
    return mint_token(key, TENANT, **(arguments | options))


def reason(verifier: TokenVerifier, token: str) -> Reason:
    with pytest.raises(BadCredentialError) as error:
        verifier.verify(token)
    return error.value.reason


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "secret"])
def test_a_minted_token_is_verified(tmp_path: Path, kind: str) -> None:
    signs, verifies = key_pair(tmp_path, kind)
    claims = TokenVerifier(RULES, verifies).verify(mint(signs, name="Ana Lima", email="ana@example.test"))
    assert claims == Claims(
        tenant_id=TENANT,
        user_id=user_id_of(ISSUER, "ana"),
        issuer=ISSUER,
        subject="ana",
        token_id=claims.token_id,
        roles=frozenset({Role.EXECUTOR, Role.VIEWER}),
        issued_at=claims.issued_at,
        expires_at=claims.issued_at + timedelta(hours=1),
        name="Ana Lima",
        email="ana@example.test",
    )
    assert abs(claims.issued_at - now()) < timedelta(seconds=10)
    assert UUID(claims.token_id).version == 7


@pytest.mark.parametrize("signed_by", ["rsa", "ed25519", "secret"])
@pytest.mark.parametrize("verified_by", ["rsa", "ed25519", "secret"])
def test_no_key_verifies_what_another_signed(tmp_path: Path, signed_by: str, verified_by: str) -> None:
    signs, _ = key_pair(tmp_path, signed_by)
    _, verifies = key_pair(tmp_path, verified_by)
    if signed_by == verified_by == "secret":
        verifies = secret_key(SECRET + "!")
    found = reason(TokenVerifier(RULES, verifies), mint(signs))
    assert found is (Reason.SIGNATURE if signed_by == verified_by else Reason.ALGORITHM)


def test_a_person_has_the_same_id_each_time() -> None:
    own = uuid4()
    assert user_id_of(ISSUER, str(own)) == user_id_of("https://other/", str(own).upper()) == own
    assert user_id_of(ISSUER, "ana") == user_id_of(ISSUER, "ana") != user_id_of(ISSUER, "Ana")
    assert user_id_of(ISSUER, "ana") != user_id_of("https://other/", "ana")
    for spelled in (own.hex, f"{{{own}}}", own.urn):  # other spellings are other texts, not other ways to the same id
        assert user_id_of(ISSUER, spelled) != own


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ana Lima"}, "Ana Lima"),
        ({"name": "  ", "preferred_username": "alima"}, "alima"),
        ({"name": 7}, ""),
        ({"name": "Ana\r\nX-Admin: 1\x1b[31m"}, "AnaX-Admin: 1[31m"),
        ({"name": "é" * 500}, "é" * 200),
    ],
)
def test_names_are_made_fit_for_tables_and_logs(tmp_path: Path, claims: dict[str, Any], name: str) -> None:
    team = Team(tmp_path)
    token = team.token(TENANT, **({"name": None} | claims))
    assert TokenVerifier(RULES, key_file(str(team.key_file))).verify(token).name == name


def test_the_limits_are_settings(tmp_path: Path) -> None:
    team = Team(tmp_path)
    keys = key_file(str(team.key_file))
    token = team.token(TENANT)
    assert reason(TokenVerifier(replace(RULES, max_bytes=len(token) - 1), keys), token) is Reason.OVERSIZED
    assert reason(TokenVerifier(replace(RULES, max_lifetime_s=3599), keys), token) is Reason.LIFETIME
    issued = int(now().timestamp())
    expired = team.token(TENANT, iat=issued - 100, exp=issued - 20)
    assert TokenVerifier(RULES, keys).verify(expired).subject == "ana"
    assert reason(TokenVerifier(replace(RULES, clock_skew_s=10), keys), expired) is Reason.EXPIRED


def test_each_kind_of_mistake_has_its_reason(tmp_path: Path) -> None:
    team = Team(tmp_path)
    forger, verifier = Forger(team, TENANT, "http://127.0.0.1:9/"), TokenVerifier(RULES, key_file(str(team.key_file)))
    expected = {
        "alg none": Reason.ALGORITHM,
        "HS256 with the public PEM": Reason.ALGORITHM,
        "ES256": Reason.ALGORITHM,
        "kid as SQL": Reason.KEY,
        "another key": Reason.SIGNATURE,
        "payload changed": Reason.SIGNATURE,
        "expired": Reason.EXPIRED,
        "not yet valid": Reason.NOT_YET_VALID,
        "issued in the future": Reason.NOT_YET_VALID,
        "another audience": Reason.AUDIENCE,
        "another issuer": Reason.ISSUER,
        "no sub": Reason.CLAIMS,
        "tenant a list": Reason.CLAIMS,
        "roles unknown": Reason.ROLES,
        "lives too long": Reason.LIFETIME,
        "too long": Reason.OVERSIZED,
        "crit": Reason.MALFORMED,
        "names twice: alg": Reason.MALFORMED,
    }
    assert {what: reason(verifier, BAD[what](forger)) for what in expected} == expected

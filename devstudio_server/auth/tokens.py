"""JSON Web Tokens: how one is verified, and how one is made to try team mode (RFC 7519, RFC 8725)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devstudio_server.auth.errors import BadCredentialError, Reason
from devstudio_server.auth.keys import EDDSA, HS256, RS256, KeySource
from devstudio_server.auth.permissions import Role
from devstudio_server.kit.clock import now
from devstudio_server.kit.ids import new_id

CLOCK_SKEW_S = 30.0
MAX_TOKEN_BYTES = 8192
MAX_LIFETIME_S = 8 * 3600
REQUIRED = ("aud", "iss", "exp", "iat", "sub", "jti", "tenant_id", "devstudio_roles")

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# A token that brings its own key, or asks for rules that we do not know, is refused; nothing in it is fetched.
_REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit", "b64", "cty", "zip", "enc"})
_TYPES = frozenset({"jwt", "at+jwt"})
_LAST_TIME = 2**33
MAX_NAME = 200
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (jwt.ExpiredSignatureError, Reason.EXPIRED),
    (jwt.ImmatureSignatureError, Reason.NOT_YET_VALID),
    (jwt.InvalidAudienceError, Reason.AUDIENCE),
    (jwt.InvalidIssuerError, Reason.ISSUER),
    (jwt.InvalidAlgorithmError, Reason.ALGORITHM),
    (jwt.InvalidSignatureError, Reason.SIGNATURE),
)


@dataclass(frozen=True)
class TokenRules:
    """What every token has to fulfil. Times are in seconds."""

    issuer: str
    audience: str
    clock_skew_s: float = CLOCK_SKEW_S
    max_bytes: int = MAX_TOKEN_BYTES
    max_lifetime_s: int = MAX_LIFETIME_S


@dataclass(frozen=True)
class Claims:
    """What a verified token says."""

    tenant_id: UUID
    user_id: UUID
    issuer: str
    subject: str
    token_id: str
    roles: frozenset[Role]
    issued_at: datetime
    expires_at: datetime
    name: str = ""
    email: str | None = None


_Time = Annotated[int | float, Field(gt=0, lt=_LAST_TIME, allow_inf_nan=False)]
_Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Header(BaseModel):
    """The part of a token that says how it is signed."""

    model_config = ConfigDict(strict=True, extra="allow")

    alg: str
    kid: Annotated[str, Field(max_length=255)] | None = None
    typ: str = "JWT"


class _Payload(BaseModel):
    """The claims, of exactly these types: a number in quotes is no number."""

    model_config = ConfigDict(strict=True, extra="ignore")

    iss: _Text
    sub: _Text
    aud: str | Annotated[list[str], Field(min_length=1)]
    exp: _Time
    iat: _Time
    nbf: _Time = 1
    jti: _Text
    tenant_id: str
    devstudio_roles: Annotated[list[str], Field(max_length=64)]


class TokenVerifier:
    """Verifies tokens by one set of rules with one source of keys. Safe to share between threads; may block."""

    def __init__(self, rules: TokenRules, keys: KeySource) -> None:
        """Verify by ``rules`` with ``keys``."""
        self.rules = rules
        self._keys = keys

    def verify(self, token: str) -> Claims:
        """Return what ``token`` says; raises `BadCredentialError`, whose reason is not for the sender."""
        rules = self.rules
        if len(token) > rules.max_bytes:
            raise BadCredentialError(Reason.OVERSIZED)
        header, payload, extra = _read(token)
        key = self._keys.find(header.kid)
        if header.alg != key.algorithm:
            raise BadCredentialError(Reason.ALGORITHM)
        try:
            jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                leeway=rules.clock_skew_s,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise BadCredentialError(_reason_of(error)) from error
        lifetime = payload.exp - payload.iat
        if not 0 < lifetime <= rules.max_lifetime_s:
            raise BadCredentialError(Reason.LIFETIME)
        return Claims(
            tenant_id=_tenant_of(payload.tenant_id),
            user_id=user_id_of(payload.iss, payload.sub),
            issuer=payload.iss,
            subject=payload.sub,
            token_id=payload.jti,
            roles=_roles_of(payload.devstudio_roles),
            issued_at=datetime.fromtimestamp(payload.iat, UTC),
            expires_at=datetime.fromtimestamp(payload.exp, UTC),
            name=_said(extra, "name", "preferred_username"),
            email=_said(extra, "email") or None,
        )


def user_id_of(issuer: str, subject: str) -> UUID:
    """Return the id of a person: their ``sub`` when it is a UUID, else one made of issuer and ``sub``."""
    return _uuid(subject) or uuid5(NAMESPACE_URL, f"{issuer}#{subject}")


def mint_token(  # noqa: PLR0913 - one argument for each claim
    secret_or_key: str,
    tenant: UUID,
    user: str,
    roles: Iterable[str],
    lifetime: timedelta = timedelta(hours=1),
    *,
    issuer: str,
    audience: str,
    name: str = "",
    email: str = "",
    kid: str | None = None,
) -> str:
    """Return a token as an identity provider would make it, signed with a secret (HS256) or a private key in PEM.

    ``user`` is the ``sub``; ``lifetime`` counts from now. RSA keys sign RS256, Ed25519 keys EdDSA.
    """
    issued = int(now().timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": user,
        "jti": str(new_id()),
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "tenant_id": str(tenant),
        "devstudio_roles": list(roles),
    }
    claims |= {key: value for key, value in (("name", name), ("email", email)) if value}
    key: Any = secret_or_key
    algorithm = HS256
    if "-----BEGIN" in secret_or_key:
        key = load_pem_private_key(secret_or_key.encode(), None)
        algorithm = RS256 if isinstance(key, RSAPrivateKey) else EDDSA
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)


def _read(token: str) -> tuple[_Header, _Payload, dict[str, Any]]:
    """Take a token apart, before anything in it is believed."""
    if not _COMPACT.fullmatch(token):
        raise BadCredentialError(Reason.MALFORMED)
    header_part, payload_part, _signature = token.split(".")
    raw_header, raw_payload = _json(header_part), _json(payload_part)
    if not _REFUSED_HEADERS.isdisjoint(raw_header):
        raise BadCredentialError(Reason.MALFORMED)
    try:
        header = _Header.model_validate(raw_header)
    except ValidationError as error:
        raise BadCredentialError(Reason.MALFORMED) from error
    if header.typ.lower() not in _TYPES:
        raise BadCredentialError(Reason.MALFORMED)
    try:
        return header, _Payload.model_validate(raw_payload), raw_payload
    except ValidationError as error:
        raise BadCredentialError(Reason.CLAIMS) from error


def _json(part: str) -> dict[str, Any]:
    """Read one part as a JSON object whose names come once each."""
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        data = json.loads(raw.decode(), object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCredentialError(Reason.MALFORMED) from error
    if not isinstance(data, dict):
        raise BadCredentialError(Reason.MALFORMED)
    return data


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name comes twice"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> Any:
    message = f"{name} is no number of JSON"
    raise ValueError(message)


def _reason_of(error: jwt.PyJWTError) -> Reason:
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.CLAIMS)


def _uuid(text: str) -> UUID | None:
    """Read a UUID in its one usual form; the other forms that Python takes would be other names for the same id."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if found.int and str(found) == text.lower() else None


def _tenant_of(text: str) -> UUID:
    tenant_id = _uuid(text)
    if tenant_id is None:
        raise BadCredentialError(Reason.CLAIMS)
    return tenant_id


def _roles_of(names: list[str]) -> frozenset[Role]:
    """Return the roles that we know; other systems share the claim, but somebody without a role of ours is refused."""
    roles = frozenset(role for role in Role if role in names)
    if not roles:
        raise BadCredentialError(Reason.ROLES)
    return roles


def _said(claims: dict[str, Any], *names: str) -> str:
    """Return the first of these optional texts, cut to what the tables take and without control characters."""
    for name in names:
        value = claims.get(name)
        if isinstance(value, str) and value.strip():
            return "".join(c for c in value if c.isprintable()).strip()[:MAX_NAME]
    return ""

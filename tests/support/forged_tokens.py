"""Tokens that must never open anything, each with one thing wrong, and most signed with the right key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from devstudio_server.kit.clock import now
from support.team import ISSUER, KEY_ID, Team

HOUR = 3600


def part(data: Any) -> str:
    """Return one part of a token: JSON data, or bytes as they are."""
    raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True)
class Forger:
    """Makes bad tokens for a team and a tenant that exist. ``trap`` is an address that counts who asks it."""

    team: Team
    tenant: UUID
    trap: str

    def claims(self, **more: Any) -> dict[str, Any]:
        """Return good claims with ``more``; None leaves a claim out."""
        return self.team.claims(self.tenant, **more)

    def said(self, **claims: Any) -> str:
        """Sign other claims with the right key."""
        return self.team.signed(self.claims(**claims))

    def header(self, **headers: Any) -> str:
        """Sign good claims under other headers with the right key and algorithm."""
        return self.rs256({"alg": "RS256", "typ": "JWT", "kid": KEY_ID} | headers, self.claims())

    def rs256(self, header: Any, payload: Any, key: rsa.RSAPrivateKey | None = None) -> str:
        """Sign any two parts by hand as RS256, whatever they say."""
        text = f"{part(header)}.{part(payload)}"
        signature = (key or self.team.key).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{part(signature)}"

    def hs(self, secret: bytes, payload: Any = None, digest: str = "sha256", **headers: Any) -> str:
        """Sign by hand with a secret, which no library does with a public key."""
        header = {"alg": f"HS{digest[3:]}", "typ": "JWT", "kid": KEY_ID} | headers
        text = f"{part(header)}.{part(payload or self.claims())}"
        return f"{text}.{part(hmac.new(secret, text.encode(), digest).digest())}"

    def unsigned(self, algorithm: Any, signature: str = "") -> str:
        """Sign nothing."""
        return f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': KEY_ID})}.{part(self.claims())}.{signature}"

    def other(self, algorithm: str, key: Any, **headers: Any) -> str:
        """Sign good claims with a key of the attacker's."""
        return jwt.encode(self.claims(), key, algorithm, headers={"kid": KEY_ID} | headers)

    def public(self, encoding: Encoding, kind: PublicFormat) -> bytes:
        """Return the team's public key, which everybody knows."""
        return self.team.key.public_key().public_bytes(encoding, kind)


def _issued(seconds: float) -> int:
    return int(now().timestamp() + seconds)


def _twice(forger: Forger, name: str, second: Any) -> bytes:
    """Return good claims in which one name comes a second time."""
    good = json.dumps(forger.claims())
    return f"{good[:-1]}, {json.dumps(name)}: {json.dumps(second)}}}".encode()


def _tampered(forger: Forger, **claims: Any) -> str:
    header, _, signature = forger.said().split(".")
    return f"{header}.{part(forger.claims(**claims))}.{signature}"


def _own_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _with_own_jwk(forger: Forger) -> str:
    key = _own_key()
    jwk = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return forger.other("RS256", key, jwk=jwk)


def _nested(forger: Forger) -> str:
    inner = forger.said()
    return forger.rs256({"alg": "RS256", "typ": "JWT", "cty": "JWT", "kid": KEY_ID}, inner.encode())


def _deep(forger: Forger, depth: int = 2500) -> str:
    text = json.dumps(forger.claims())[:-1] + ', "x": ' + "[" * depth + "]" * depth + "}"
    return forger.rs256({"alg": "RS256", "kid": KEY_ID}, text.encode())


def _encrypted(forger: Forger) -> str:
    return ".".join(
        [part({"alg": "RSA-OAEP", "enc": "A256GCM"}), part(b"k"), part(b"iv"), part(b"c"), forger.unsigned("x")[:8]]
    )


BAD: dict[str, Callable[[Forger], str]] = {
    # No signature
    "alg none": lambda f: f.unsigned("none", "x"),
    "alg None": lambda f: f.unsigned("None", "x"),
    "alg nOnE": lambda f: f.unsigned("nOnE", "x"),
    "alg none, empty signature": lambda f: f.unsigned("none"),
    "alg null": lambda f: f.unsigned(None, "x"),
    "alg empty": lambda f: f.unsigned("", "x"),
    "alg a list": lambda f: f.unsigned(["RS256"], "x"),
    "no alg": lambda f: f.rs256({"typ": "JWT", "kid": KEY_ID}, f.claims()),
    "alg none, rightly signed": lambda f: f.header(alg="none"),
    "signature left out": lambda f: f.said().rsplit(".", 1)[0],
    "signature empty": lambda f: f.said().rsplit(".", 1)[0] + ".",
    # A public key as a secret
    "HS256 with the public PEM": lambda f: f.hs(f.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    "HS256 with the public PEM, no newline": lambda f: f.hs(
        f.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip()
    ),
    "HS256 with the PKCS1 PEM": lambda f: f.hs(f.public(Encoding.PEM, PublicFormat.PKCS1)),
    "HS256 with the DER": lambda f: f.hs(f.public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "HS256 with the JWK": lambda f: f.hs(json.dumps(f.team.jwk).encode()),
    "HS256 with the JWKS file": lambda f: f.hs(f.team.key_file.read_bytes()),
    "HS256 with the modulus": lambda f: f.hs(f.team.jwk["n"].encode()),
    "HS384 with the public PEM": lambda f: f.hs(
        f.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), digest="sha384"
    ),
    "HS512 with the public PEM": lambda f: f.hs(
        f.public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), digest="sha512"
    ),
    "HS256 with an empty secret": lambda f: f.hs(b""),
    "HS256 with a guessed secret": lambda f: f.hs(b"secret"),
    # Algorithms that are not enabled
    "RS384": lambda f: jwt.encode(f.claims(), f.team.key, "RS384", headers={"kid": KEY_ID}),
    "RS512": lambda f: jwt.encode(f.claims(), f.team.key, "RS512", headers={"kid": KEY_ID}),
    "PS256": lambda f: jwt.encode(f.claims(), f.team.key, "PS256", headers={"kid": KEY_ID}),
    "ES256": lambda f: f.other("ES256", ec.generate_private_key(ec.SECP256R1())),
    "EdDSA": lambda f: f.other("EdDSA", Ed25519PrivateKey.generate()),
    "rs256 in small letters": lambda f: f.header(alg="rs256"),
    "an unknown algorithm": lambda f: f.header(alg="ROT13"),
    # Keys
    "another key": lambda f: f.other("RS256", _own_key()),
    "another key, no kid": lambda f: jwt.encode(f.claims(), _own_key(), "RS256"),
    "kid unknown": lambda f: f.header(kid="other"),
    "kid to /dev/null": lambda f: f.hs(b"", kid="../../../../../../dev/null"),
    "kid to the key file": lambda f: f.hs(f.team.key_file.read_bytes(), kid=str(f.team.key_file)),
    "kid as SQL": lambda f: f.hs(b"secret", kid="x' UNION SELECT 'secret' -- "),
    "kid as a command": lambda f: f.hs(b"secret", kid="|echo secret"),
    "kid as an address": lambda f: f.hs(b"secret", kid=f.trap),
    "kid a number": lambda f: f.header(kid=1),
    "kid a list": lambda f: f.header(kid=[KEY_ID]),
    "kid an object": lambda f: f.header(kid={"$ne": ""}),
    "kid endless": lambda f: f.header(kid="k" * 3000),
    "jwk of the attacker": _with_own_jwk,
    "jwk beside the right key": lambda f: f.header(jwk=f.team.jwk),
    "jku of the attacker": lambda f: f.other("RS256", _own_key(), jku=f.trap),
    "jku beside the right key": lambda f: f.header(jku=f.trap),
    "x5u of the attacker": lambda f: f.other("RS256", _own_key(), x5u=f.trap),
    "x5u beside the right key": lambda f: f.header(x5u=f.trap),
    "x5c": lambda f: f.header(x5c=["MIIB"]),
    # Other rules
    "crit": lambda f: f.header(crit=["exp"]),
    "crit unknown": lambda f: f.header(crit=["urn:example:rule"], **{"urn:example:rule": True}),
    "b64 false": lambda f: f.header(b64=False, crit=["b64"]),
    "zip": lambda f: f.rs256(
        {"alg": "RS256", "zip": "DEF", "kid": KEY_ID}, zlib.compress(json.dumps(f.claims()).encode())
    ),
    "typ of another use": lambda f: f.header(typ="logout+jwt"),
    "typ a number": lambda f: f.header(typ=7),
    "a token in a token": _nested,
    "encrypted": _encrypted,
    # Signatures
    "payload changed": lambda f: _tampered(f, devstudio_roles=["admin_devstudio"], name="Mallory"),
    "tenant changed": lambda f: _tampered(f, tenant_id="0199aa00-0000-7000-8000-00000000beef"),
    "signature cut": lambda f: f.said()[:-10],
    "signature of other bytes": lambda f: f.said().rsplit(".", 1)[0] + "." + part(b"\x00" * 256),
    "signature not base64": lambda f: f.said().rsplit(".", 1)[0] + ".!!!!",
    "one letter changed": lambda f: f.said()[:-30] + ("A" if f.said()[-30] != "A" else "B") + f.said()[-29:],
    # Times
    "expired": lambda f: f.said(iat=_issued(-2 * HOUR), exp=_issued(-HOUR)),
    "expired beyond the skew": lambda f: f.said(iat=_issued(-HOUR), exp=_issued(-60)),
    "not yet valid": lambda f: f.said(nbf=_issued(HOUR)),
    "issued in the future": lambda f: f.said(iat=_issued(600), exp=_issued(HOUR)),
    "lives too long": lambda f: f.said(exp=_issued(9 * HOUR)),
    "lives for a hundred years": lambda f: f.said(exp=_issued(876_000 * HOUR)),
    "issued after it expires": lambda f: f.said(iat=_issued(20), exp=_issued(10)),
    "exp text": lambda f: f.said(exp=str(_issued(HOUR))),
    "exp true": lambda f: f.said(exp=True),
    "exp endless": lambda f: f.rs256(
        {"alg": "RS256", "kid": KEY_ID}, json.dumps(f.claims(exp=1)).replace('"exp": 1', '"exp": 1e999').encode()
    ),
    "exp NaN": lambda f: f.rs256(
        {"alg": "RS256", "kid": KEY_ID}, json.dumps(f.claims(exp=1)).replace('"exp": 1', '"exp": NaN').encode()
    ),
    "exp a list": lambda f: f.said(exp=[_issued(HOUR)]),
    "iat text": lambda f: f.said(iat="now"),
    "iat negative": lambda f: f.said(iat=-1),
    "nbf text": lambda f: f.said(nbf="0"),
    # Issuer and audience
    "another audience": lambda f: f.said(aud="grafana"),
    "other audiences": lambda f: f.said(aud=["grafana", "devstudio2"]),
    "audience as a prefix": lambda f: f.said(aud="devstudi"),
    "audience empty": lambda f: f.said(aud=[]),
    "audience an object": lambda f: f.said(aud={"devstudio": True}),
    "another issuer": lambda f: f.said(iss="https://identity.example.test.evil.test/"),
    "issuer without its slash": lambda f: f.said(iss="https://identity.example.test"),
    "issuer a list": lambda f: f.rs256({"alg": "RS256", "kid": KEY_ID}, f.claims(iss=[ISSUER])),
    # Claims left out
    **{
        f"no {name}": lambda f, name=name: f.said(**{name: None})
        for name in ("aud", "iss", "exp", "iat", "sub", "jti", "tenant_id", "devstudio_roles")
    },
    # Wrong types
    "sub a number": lambda f: f.said(sub=7),
    "sub empty": lambda f: f.said(sub=""),
    "sub with a line end": lambda f: f.said(sub="ana\nbob"),
    "sub endless": lambda f: f.said(sub="s" * 300),
    "jti a number": lambda f: f.said(jti=7),
    "jti empty": lambda f: f.said(jti=""),
    "tenant no UUID": lambda f: f.said(tenant_id="acme"),
    "tenant as SQL": lambda f: f.said(tenant_id=f"{f.tenant}' OR '1'='1"),
    "tenant with a path": lambda f: f.said(tenant_id=f"../{f.tenant}"),
    "tenant a list": lambda f: f.said(tenant_id=[str(f.tenant)]),
    "tenant an object": lambda f: f.said(tenant_id={"$ne": None}),
    "tenant a number": lambda f: f.said(tenant_id=f.tenant.int),
    "tenant a star": lambda f: f.said(tenant_id="*"),
    "tenant zero": lambda f: f.said(tenant_id="00000000-0000-0000-0000-000000000000"),
    "tenant in braces": lambda f: f.said(tenant_id=f"{{{f.tenant}}}"),
    "tenant as a URN": lambda f: f.said(tenant_id=f"urn:uuid:{f.tenant}"),
    "tenant without hyphens": lambda f: f.said(tenant_id=f.tenant.hex),
    "roles a text": lambda f: f.said(devstudio_roles="admin_devstudio"),
    "roles an object": lambda f: f.said(devstudio_roles={"admin_devstudio": True}),
    "roles of numbers": lambda f: f.said(devstudio_roles=[1]),
    "roles empty": lambda f: f.said(devstudio_roles=[]),
    "roles unknown": lambda f: f.said(devstudio_roles=["root", "superuser"]),
    "roles in capitals": lambda f: f.said(devstudio_roles=["ADMIN_DEVSTUDIO"]),
    "roles endless": lambda f: f.said(devstudio_roles=["viewer"] * 65),
    # Shapes
    "names twice: tenant_id": lambda f: f.rs256(
        {"alg": "RS256", "kid": KEY_ID}, _twice(f, "tenant_id", "0199aa00-0000-7000-8000-00000000beef")
    ),
    "names twice: exp": lambda f: f.rs256({"alg": "RS256", "kid": KEY_ID}, _twice(f, "exp", _issued(HOUR))),
    "names twice: alg": lambda f: f.rs256(b'{"alg":"none","alg":"RS256","kid":"%s"}' % KEY_ID.encode(), f.claims()),
    "payload a list": lambda f: f.rs256({"alg": "RS256", "kid": KEY_ID}, [f.claims()]),
    "payload no JSON": lambda f: f.rs256({"alg": "RS256", "kid": KEY_ID}, b"tenant_id=1"),
    "payload not UTF-8": lambda f: f.rs256({"alg": "RS256", "kid": KEY_ID}, b'{"sub": "\xff\xfe"}'),
    "payload nested deeply": _deep,
    "header a list": lambda f: f.rs256([{"alg": "RS256"}], f.claims()),
    "header nested deeply": lambda f: f.rs256(b"[" * 2500 + b"]" * 2500, f.claims()),
    "too long": lambda f: f.said(note="x" * 9000),
    "much too long": lambda f: f.said(note="x" * 40000),
    "cut in half": lambda f: f.said()[: len(f.said()) // 2],
    "one part": lambda f: f.said().split(".", maxsplit=1)[0],
    "four parts": lambda f: f"{f.said()}.{part(b'x')}",
    "only dots": lambda _: "..",
    "padded base64": lambda f: f.said().replace(".", "==.", 1),
    "with %0d%0a": lambda f: f.said() + "%0d%0aX-Tenant:%20other",
    "with a null byte in words": lambda f: f.said() + "%00",
    "SQL": lambda _: "'OR'1'='1'--",
    "a path": lambda _: "../../../../etc/passwd",
    "Jupyter's token": lambda _: "test-token-7f3a",
    "a digest": lambda f: hashlib.sha256(f.said().encode()).hexdigest(),
}
"""Each bad token by what is wrong with it."""

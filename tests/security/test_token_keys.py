"""Each way to configure keys, on a running server: what it accepts, and what the other ways would have signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode

from devstudio_server.auth.tokens import mint_token
from support.studio import Studio
from support.team import AUDIENCE, ISSUER, KEY_ID, Team

SECRET = "a-shared-secret-of-more-than-32-bytes"
ED_KEY = Ed25519PrivateKey.generate()
ED_PEM = ED_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class KeyServer(BaseHTTPRequestHandler):
    """The address where an identity provider shows its public keys."""

    keys: tuple[Any, ...] = ()

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": self.keys}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), KeyServer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    server.shutdown()
    server.server_close()


def mint(key: str, kid: str | None = None, **options: Any) -> str:
    named = {"issuer": ISSUER, "audience": AUDIENCE, "kid": kid}
    return mint_token(key, uuid4(), "ana", ["viewer"], timedelta(minutes=10), **(named | options))


def status(studio: Studio, token: str) -> int:
    return httpx.get(f"{studio.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code


def started(folder: Path, settings: dict[str, str], bearer: str) -> Studio:
    unset = dict.fromkeys(("DEVSTUDIO_JWT_KEY_FILE", "DEVSTUDIO_JWT_JWKS_URL", "DEVSTUDIO_JWT_SECRET"), "")
    return Studio(folder / "data", {**Team(folder / "team").environment, **unset, **settings}, bearer=bearer)


def test_keys_at_an_address(tmp_path: Path, key_server: str) -> None:
    team = Team(tmp_path / "provider")
    ed_jwk = {**OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True), "kid": "ed"}
    KeyServer.keys = (team.jwk, ed_jwk, {"kty": "oct", "k": base64url_encode(SECRET.encode()).decode(), "kid": "oct"})
    rsa_token = mint(team.private_pem, KEY_ID)
    with started(tmp_path, {"DEVSTUDIO_JWT_JWKS_URL": key_server}, rsa_token) as studio:
        assert status(studio, rsa_token) == 200
        assert status(studio, mint(ED_PEM, "ed")) == 200
        assert status(studio, mint(ED_PEM, KEY_ID)) == 401
        assert status(studio, mint(team.private_pem, "ed")) == 401
        assert status(studio, mint(team.private_pem)) == 401
        assert status(studio, mint(SECRET, "oct")) == 401
        assert status(studio, mint(SECRET, KEY_ID)) == 401


def test_one_key_in_a_pem_file(tmp_path: Path) -> None:
    path = tmp_path / "public.pem"
    path.write_bytes(ED_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with started(tmp_path, {"DEVSTUDIO_JWT_KEY_FILE": str(path)}, mint(ED_PEM)) as studio:
        assert status(studio, mint(ED_PEM, "any")) == 200
        assert status(studio, mint(path.read_text().replace("-----", "=====") * 2)) == 401
        assert status(studio, mint(Team(tmp_path / "other").private_pem)) == 401


def test_an_explicit_secret(tmp_path: Path) -> None:
    with started(tmp_path, {"DEVSTUDIO_JWT_SECRET": SECRET}, mint(SECRET)) as studio:
        assert status(studio, mint(SECRET)) == 200
        assert status(studio, mint(SECRET + "!")) == 401
        assert status(studio, mint(ED_PEM)) == 401
        assert status(studio, mint(Team(tmp_path / "other").private_pem)) == 401
        assert status(studio, mint(SECRET, audience="other")) == 401
        assert SECRET not in studio.log

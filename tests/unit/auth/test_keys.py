"""Where keys come from: files, secrets, and an address that may be slow, gone, or hostile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from devstudio_server.auth import keys
from devstudio_server.auth.errors import BadCredentialError, Reason, SettingsError
from devstudio_server.auth.keys import EDDSA, HS256, RS256, JwksUrl, key_file, read_jwks, secret_key

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it has to be refused
ED_KEY = Ed25519PrivateKey.generate()


def rsa_jwk(kid: str, key: rsa.RSAPrivateKey = RSA_KEY, **more: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def ed_jwk(kid: str, **more: Any) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True), "kid": kid, **more}


def pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_a_jwks_gives_each_key_its_one_algorithm() -> None:
    found = read_jwks({"keys": [rsa_jwk("r", use="sig", alg="RS256"), ed_jwk("e")]})
    assert {kid: key.algorithm for kid, key in found.items()} == {"r": RS256, "e": EDDSA}


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "x", "alg": "HS256"},
        rsa_jwk("x", use="enc"),
        rsa_jwk("x", alg="RS512"),
        rsa_jwk("x", alg="PS256"),
        rsa_jwk("x", alg="HS256"),
        rsa_jwk("x", SHORT_KEY),
        {**rsa_jwk("x"), "kid": 7},
        {"kty": "RSA", "kid": "x"},
        {"kty": "RSA", "kid": "x", "n": "!", "e": "AQAB"},
        {"kty": "OKP", "crv": "X25519", "x": ed_jwk("x")["x"], "kid": "x"},
        {**OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True), "kid": "x"},
        {"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "kid": "x"},
        "x",
        None,
    ],
)
def test_other_keys_of_a_jwks_are_left_out(entry: Any) -> None:
    assert set(read_jwks({"keys": [entry, ed_jwk("good")]})) == {"good"}
    with pytest.raises(SettingsError, match="no RSA key"):
        read_jwks({"keys": [entry]})


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "x", {"keys": []}])
def test_what_is_no_jwks_is_told(document: Any) -> None:
    with pytest.raises(SettingsError):
        read_jwks(document)


def test_a_private_part_in_a_jwks_is_not_kept() -> None:
    private = {**RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True), "kid": "r"}
    assert isinstance(read_jwks({"keys": [private]})["r"].key, rsa.RSAPublicKey)


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, RS256), (ED_KEY, EDDSA)])
def test_a_pem_file_is_the_key_for_every_kid(tmp_path: Path, key: Any, algorithm: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(key))
    source = key_file(str(path))
    assert {source.find(kid).algorithm for kid in (None, "any", "../x")} == {algorithm}


def test_a_key_file_that_is_of_no_use_is_told_by_its_name(tmp_path: Path) -> None:
    private = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    wrong = {
        "nothing": b"",
        "text": b"hello",
        "private": private,
        "curve": pem(ec.generate_private_key(ec.SECP256R1())),
        "short": pem(SHORT_KEY),
        "json": b'{"keys": [}',
    }
    for name, content in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=f"DEVSTUDIO_JWT_KEY_FILE .*{name}"):
            key_file(str(path))
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        key_file(str(tmp_path / "absent"))


def test_a_secret_is_long_and_is_no_key() -> None:
    assert secret_key("s" * 32).find("any").algorithm == HS256
    for wrong in ("", "short", "s" * 31, pem(RSA_KEY).decode(), json.dumps(rsa_jwk("r")), "ssh-ed25519 " + "A" * 60):
        with pytest.raises(SettingsError, match="DEVSTUDIO_JWT_SECRET"):
            secret_key(wrong)


class Provider(ThreadingHTTPServer):
    """An identity provider's address of keys. ``answer`` says what it does; ``asked`` counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.asked = 0
        self.document: Any = {"keys": [rsa_jwk("one")]}
        self.answer: Callable[[_Answering], None] = _Answering.send_document

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks.json"


class _Answering(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.answer(self)

    def send_document(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.document).encode())

    def stay_silent(self) -> None:
        Event().wait(1)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    server = Provider()
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def reason_for(source: JwksUrl, kid: str | None) -> Reason:
    with pytest.raises(BadCredentialError) as error:
        source.find(kid)
    return error.value.reason


def test_keys_are_asked_for_once(provider: Provider) -> None:
    source = JwksUrl(provider.url)
    for _ in range(5):
        assert source.find("one").algorithm == RS256
    assert source.find(None).algorithm == RS256  # the only key there is
    assert provider.asked == 1


def test_many_first_requests_wait_for_one_answer(provider: Provider) -> None:
    def slowly(handler: _Answering) -> None:
        Event().wait(0.1)
        handler.send_document()

    provider.answer = slowly
    source = JwksUrl(provider.url)
    with ThreadPoolExecutor(8) as pool:
        assert [key.algorithm for key in pool.map(source.find, ["one"] * 8)] == [RS256] * 8
    assert provider.asked == 1


def test_an_unknown_key_asks_again_but_not_for_every_token(provider: Provider) -> None:
    source = JwksUrl(provider.url, cooldown_s=0.2)
    source.find("one")
    for number in range(50):
        assert reason_for(source, f"unknown-{number}") is Reason.KEY
    assert provider.asked == 1
    provider.document = {"keys": [rsa_jwk("one"), ed_jwk("two")]}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert source.find("two").algorithm == EDDSA
            break
        except BadCredentialError:
            continue
    assert source.find("two").algorithm == EDDSA
    assert provider.asked == 2


def test_known_keys_stay_good_while_the_address_is_down(provider: Provider) -> None:
    source = JwksUrl(provider.url, cooldown_s=0, lifespan_s=0)
    source.find("one")
    for broken in (
        lambda handler: handler.send_error(500),
        lambda handler: handler.wfile.write(b"no http"),
        lambda handler: (handler.send_response(200), handler.end_headers(), handler.wfile.write(b"<html>")),
        lambda handler: (handler.send_response(200), handler.end_headers(), handler.wfile.write(b'{"keys": []}')),
    ):
        provider.answer = broken
        before = provider.asked
        assert source.find("one").algorithm == RS256
        assert provider.asked == before + 1
        assert reason_for(source, "two") is Reason.KEY


def test_but_not_for_more_than_a_day(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    source = JwksUrl(provider.url, cooldown_s=0)
    source.find("one")
    provider.answer = lambda handler: handler.send_error(500)
    later = time.monotonic() + keys.JWKS_STALE_S + 1
    monkeypatch.setattr(keys.time, "monotonic", lambda: later)
    assert reason_for(source, "one") is Reason.KEY


def test_a_key_that_is_withdrawn_is_no_longer_taken(provider: Provider) -> None:
    source = JwksUrl(provider.url, cooldown_s=0, lifespan_s=0)
    source.find("one")
    provider.document = {"keys": [ed_jwk("two"), ed_jwk("three")]}
    assert reason_for(source, "one") is Reason.KEY
    assert reason_for(source, None) is Reason.KEY  # which of two is not guessed


def test_a_slow_address_is_not_waited_for(provider: Provider) -> None:
    provider.answer = _Answering.stay_silent
    source = JwksUrl(provider.url, timeout_s=0.1)
    began = time.monotonic()
    assert reason_for(source, "one") is Reason.KEY
    assert time.monotonic() - began < 0.9
    provider.answer = _Answering.send_document


def test_a_redirect_is_not_followed(provider: Provider) -> None:
    elsewhere = Provider()
    Thread(target=elsewhere.serve_forever, args=(0.01,), daemon=True).start()

    def redirect(handler: _Answering) -> None:
        handler.send_response(302)
        handler.send_header("Location", elsewhere.url)
        handler.end_headers()

    provider.answer = redirect
    assert reason_for(JwksUrl(provider.url), "one") is Reason.KEY
    assert (provider.asked, elsewhere.asked) == (1, 0)
    elsewhere.shutdown()
    elsewhere.server_close()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "data:application/json,{}", "jwks.json"])
def test_only_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(SettingsError, match="DEVSTUDIO_JWT_JWKS_URL"):
        JwksUrl(url)


def test_tokens_of_every_kind_of_key_can_be_made_for_these_tests() -> None:
    assert jwt.decode(jwt.encode({"a": 1}, ED_KEY, "EdDSA"), ED_KEY.public_key(), ["EdDSA"]) == {"a": 1}

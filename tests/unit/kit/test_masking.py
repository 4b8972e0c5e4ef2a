"""What is masked, what is left, and that no text takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from devstudio_server.kit import masking
from devstudio_server.kit.masking import keep_secret, mask, mask_text


@pytest.fixture
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget afterwards what a test keeps secret."""
    monkeypatch.setattr(masking, "_secrets", set())
    monkeypatch.setattr(masking, "_known", masking._known)
    return


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("write to ana.b+c@example.co.uk now", "write to <e-mail> now"),
        ("CPF 123.456.789-09", "CPF <CPF>"),
        ("CNPJ 12.345.678/0001-95", "CNPJ <CNPJ>"),
        ("CPF 12345678909, CNPJ 11222333000181.", "CPF <CPF>, CNPJ <CNPJ>."),
        ("call (11) 98765-4321", "call <phone>"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "<token>"),
        ("sk-proj-abcdefghijkl1234", "<key>"),
        ("Bearer abc.def-ghi", "Bearer ***"),
        ("postgresql://ana:secret@host/db", "postgresql://***@host/db"),
    ],
)
def test_personal_data_and_secrets_are_replaced_by_what_they_are(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "0199aa00-0000-7000-8000-000000000000",
        "2026-11-22T17:00:00Z",
        "1.2.3",
        "12345678900 and 11222333000180 have wrong check digits",
        "11111111111 is nobody's",
        "1763835000123 milliseconds",
        "a12345678909, 12345678909-a and 0.12345678909",
        "a @ b",
        "#1.2 and 3.4",
        "127.0.0.1:8000",
    ],
)
def test_what_is_neither_is_left(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.usefixtures("_forgotten")
def test_what_is_known_as_a_secret_is_masked_anywhere() -> None:
    keep_secret("my-server-token", "", "short", "my-server-token-and-more", "a.b*c[d]e")
    assert mask_text("x/my-server-token/y") == "x/***/y"
    assert mask_text("my-server-token-and-more") == "***"
    assert mask_text("a.b*c[d]e short") == "*** short"


def test_data_is_masked_with_its_keys() -> None:
    data = {"password": "p", "Api-Key": "k", "token_id": "t", "tokens": 5, "list": ["ana@example.org", {"secret": "s"}]}
    assert mask(data) == {
        "password": "***",
        "Api-Key": "***",
        "token_id": "t",
        "tokens": 5,
        "list": ["<e-mail>", {"secret": "***"}],
    }


@pytest.mark.parametrize("part", ["a", "a@", "eyJ-", "eyJa.", "1.1", "sk-", "://a:", "(11) ", "a.b+"])
def test_no_text_takes_long(part: str) -> None:
    started = time.perf_counter()
    mask_text(part * 100_000)
    assert time.perf_counter() - started < 3

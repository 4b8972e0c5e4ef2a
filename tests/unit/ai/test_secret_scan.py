"""How many secrets are found, how many look-alikes are left alone, and that no text makes the search slow."""

from __future__ import annotations

import time

import pytest

from devstudio_server.ai.secret_scan import find_secrets, mask
from support.secret_corpus import LOOK_ALIKES, secrets

HOSTILE = [
    "a",
    "eyJ",
    "-eyJ",
    "eyJaaaaaaaaaa.",
    "sk-",
    "AKIA",
    "://",
    "://a:",
    "://:a@",
    "password",
    "password=",
    "password= ",
    "-----BEGIN PRIVATE KEY-----",
    "bearer ",
    "token\t",
    "A=\n",
    "=",
    "key",
    "api_key",
    "8Q~",
    "sig=",
    "password='",
    'password="a ',
    "--token ",
    "eyJaaaaaaaa.eyJaaaaaaaa.",
    "\u0130",
    'secret\\"',
]


def test_finds_secrets_and_leaves_look_alikes(capsys: pytest.CaptureFixture[str]) -> None:
    cases = list(secrets())
    missed = [name for name, text, secret in cases if secret in mask(text).text]
    wrong = [text for text in LOOK_ALIKES if find_secrets(text)]
    found = len(cases) - len(missed)
    with capsys.disabled():
        print(f"\nsecrets: {len(cases)} with, {len(LOOK_ALIKES)} without; recall {found / len(cases):.3f}, "
              f"precision {found / (found + len(wrong)):.3f}")  # fmt: skip
    assert missed == []
    assert wrong == []
    assert len(cases) >= 150
    assert len(LOOK_ALIKES) >= 70


@pytest.mark.parametrize("seed", range(10))
def test_other_secrets_of_the_same_shapes_are_found(seed: int) -> None:
    cases = list(secrets(seed + 100))
    missed = [name for name, text, secret in cases if secret in mask(text).text]
    assert len(missed) <= len(cases) // 50, missed


def test_a_masked_text_has_nothing_left_to_mask() -> None:
    everything = "\n".join(text for _, text, _ in secrets())
    once = mask(everything).text
    assert mask(once).text == once


@pytest.mark.parametrize("unit", HOSTILE)
def test_time_is_linear_in_hostile_text(unit: str) -> None:
    """Ten times the text takes about ten times as long: a quadratic search would take a hundred times."""
    small, large = (_seconds(unit * (size // len(unit))) for size in (40_000, 400_000))
    assert large < 40 * max(small, 0.002)


def _seconds(text: str) -> float:
    def once() -> float:
        started = time.process_time()
        find_secrets(text, path=".env")
        return time.process_time() - started

    return min(once() for _ in range(2))

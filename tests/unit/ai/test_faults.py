"""What a provider's failures become: clear errors, recorded costs, and no secret anywhere."""

from __future__ import annotations

import logging
import traceback

import pytest

from devstudio_server.ai.errors import (
    ProviderDisconnected,
    ProviderError,
    ProviderFailed,
    ProviderMalformed,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderTimedOut,
    ProviderUnreachable,
)
from support.ai_world import GOOD_PLAN, KEY, World, plan_conversation
from support.model_server import Fault, ModelServer, ScriptBrain

BODY = "raw-body-of-the-provider"

FAULTS: dict[str, tuple[Fault, type[ProviderError], int, str]] = {
    "key refused": (Fault(401, message=BODY), ProviderMisconfigured, 503, "_API_KEY"),
    "forbidden": (Fault(403, message=BODY), ProviderMisconfigured, 503, "_API_KEY"),
    "no credit": (Fault(402, message=BODY), ProviderMisconfigured, 503, "billing"),
    "model unknown there": (Fault(404, message=BODY), ProviderMisconfigured, 503, "_MODELS"),
    "rate limit": (Fault(429, {"retry-after": "7"}, BODY), ProviderRateLimited, 429, "in 7 seconds"),
    "too long": (Fault(400, message=BODY), ProviderFailed, 502, "too long"),
    "too large": (Fault(413, message=BODY), ProviderFailed, 502, "too long"),
    "internal": (Fault(500, message=BODY), ProviderFailed, 502, "HTTP 500"),
    "overloaded": (Fault(529, message=BODY), ProviderFailed, 502, "HTTP 529"),
    "no json": (Fault(body=b'{"id": "x", "choices": ['), ProviderMalformed, 502, "not its protocol"),
    "a web page": (
        Fault(headers={"content-type": "text/html"}, body=b"<p>Sign in</p>"),
        ProviderMalformed,
        502,
        "not its protocol",
    ),
    "another protocol": (Fault(body=b'{"hello": 1}'), ProviderMalformed, 502, "not its protocol"),
    "odd types": (Fault(body=b'{"choices": [], "content": 7}'), ProviderMalformed, 502, "not its protocol"),
    "null": (Fault(body=b"null"), ProviderMalformed, 502, "not its protocol"),
    "cut": (Fault(cut=True), ProviderDisconnected, 503, "broke before"),
}


def fails(world: World, fault: Fault, **settings: float) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        world.converse(world.gateway([fault], **settings), plan_conversation())
    return raised.value


@pytest.mark.parametrize("name", FAULTS)
def test_fault_becomes_a_clear_error(world: World, name: str) -> None:
    fault, kind, status, words = FAULTS[name]
    error = fails(world, fault)
    assert type(error) is kind
    assert error.status == status
    assert words in error.detail
    (row,) = world.rows()
    assert not row.success
    assert row.tokens_output == 0
    # A provider that refused charges nothing; one whose answer was lost on the way may have worked.
    assert (row.tokens_input > 0, row.cost_estimated > 0, row.estimated) == (error.may_be_billed,) * 3
    assert error.may_be_billed == (kind in {ProviderMalformed, ProviderDisconnected})


def test_retry_after_is_passed_on(world: World) -> None:
    assert fails(world, Fault(429, {"retry-after": "7"})).headers == {"Retry-After": "7"}


@pytest.mark.parametrize("value", ["soon", "nan", "-3", "1e12", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_odd_retry_after_gives_a_bounded_wait(world: World, value: str) -> None:
    seconds = int(fails(world, Fault(429, {"retry-after": value})).headers["Retry-After"])
    assert 1 <= seconds <= 3600


def test_empty_account_is_told_from_a_rate_limit(world: World) -> None:
    error = fails(world, Fault(429, code="insufficient_quota"))
    wanted = {"openai": ProviderMisconfigured, "anthropic": ProviderRateLimited}
    assert type(error) is wanted[world.protocol]


def test_silence_ends_at_the_timeout(world: World) -> None:
    error = fails(world, Fault(silent=True), timeout_s=0.2)
    assert type(error) is ProviderTimedOut
    assert "within 0.2 seconds" in error.detail
    assert world.rows()[0].estimated


def test_nobody_listens(world: World) -> None:
    with ModelServer(ScriptBrain([GOOD_PLAN])) as closed:
        settings = world.settings(closed)
    with pytest.raises(ProviderUnreachable, match="_BASE_URL") as raised:
        world.converse(world.open(settings), plan_conversation())
    assert raised.value.status == 503
    assert world.rows()[0].cost_estimated == 0


@pytest.mark.parametrize("name", [*FAULTS, "silent"])
def test_no_key_and_no_raw_body_in_errors_and_logs(
    world: World, name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name][0] if name in FAULTS else Fault(silent=True)
    for logger in ("openai", "anthropic", "httpx2", "httpcore2", "devstudio", ""):
        caplog.set_level(logging.DEBUG, logger)
    error = fails(world, fault, timeout_s=0.3)
    seen = "".join(traceback.format_exception(error)) + caplog.text + repr(error.__dict__) + "".join(capfd.readouterr())
    assert KEY not in seen
    assert BODY not in "".join(traceback.format_exception(error)) + repr(error.__dict__)


def test_wrong_key_echoed_by_the_server_is_not_shown(world: World) -> None:
    gateway = world.gateway([GOOD_PLAN], **{f"{world.protocol}_api_key": "sk-wrong-canary"})
    with pytest.raises(ProviderMisconfigured) as raised:
        world.converse(gateway, plan_conversation())
    assert "sk-wrong-canary" not in "".join(traceback.format_exception(raised.value))
    assert "sk-wrong-canary" not in repr(gateway.__dict__)

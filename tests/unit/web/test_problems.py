"""The one shape of every error, with nothing internal in it."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from pydantic import BaseModel, ValidationError
from tornado.web import HTTPError

from devstudio_server.kit.errors import AppError, Conflict, Invalid, PreconditionFailed
from devstudio_server.web.problems import as_app_error, invalid_from, problem


def test_the_shape_of_every_error() -> None:
    error = PreconditionFailed("Stale.", errors=[{"loc": ["header", "If-Match"], "msg": "old"}], current_version=3)
    assert problem(error, "req-1") == {
        "type": "urn:devstudio:problem:PreconditionFailed",
        "title": "Changed by someone else",
        "status": 412,
        "detail": "Stale.",
        "request_id": "req-1",
        "errors": [{"loc": ["header", "If-Match"], "msg": "old"}],
        "current_version": 3,
    }


def test_an_extra_member_never_replaces_a_standard_one() -> None:
    assert problem(Conflict("Real.", status=200, type="x", request_id="y"), "r")["status"] == 409
    assert problem(Conflict("Real.", request_id="y"), "r")["request_id"] == "r"


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("password=hunter2"), 500, "Quote the request id"),
        (None, 500, "our fault"),
        (OSError(errno.ENOSPC, "x"), 507, "Free some space"),
        (OSError(errno.EDQUOT, "x"), 507, "Free some space"),
        (OSError(errno.EACCES, "/secret/path"), 500, "our fault"),
        (sqlite3.OperationalError("database or disk is full"), 507, "Free some space"),
        (sqlite3.OperationalError("near SELECT"), 500, "our fault"),
        (HTTPError(401), 401, "Sign in"),
        (HTTPError(403), 403, "may not"),
        (HTTPError(403, "No cookie"), 403, "No cookie"),
        (HTTPError(404), 404, "openapi.json"),
        (HTTPError(405), 405, "Method Not Allowed"),
        (HTTPError(413, "Too big"), 413, "Too big"),
        (HTTPError(406, reason="Odd"), 406, "Odd"),
        (HTTPError(400, "Invalid body: x"), 422, "Invalid body: x"),
    ],
)
def test_any_exception_becomes_an_answer(error: BaseException | None, status: int, words: str) -> None:
    answer = as_app_error(error)
    assert answer.status == status
    assert words in answer.detail
    text = str(problem(answer, "r"))
    assert not any(secret in text for secret in ("hunter2", "/secret", "SELECT"))


def test_an_error_of_ours_stays_itself() -> None:
    error = Conflict("x")
    assert as_app_error(error) is error


def test_findings_of_a_payload_name_their_place() -> None:
    class Inner(BaseModel):
        count: int

    class Body(BaseModel):
        items: list[Inner]
        name: str

    with pytest.raises(ValidationError) as found:
        Body.model_validate({"items": [{"count": 1}, {"count": "x"}]})
    error = invalid_from(found.value, "body")
    assert isinstance(error, Invalid)
    assert [item["loc"] for item in error.errors] == [["body", "items", 1, "count"], ["body", "name"]]
    assert error.detail.startswith("body.items.1.count: ")
    assert error.detail.endswith("(1 more in `errors`)")


def test_the_type_is_stable_for_statuses_without_a_class() -> None:
    assert isinstance(as_app_error(HTTPError(418)), AppError)
    assert as_app_error(HTTPError(418)).type == as_app_error(HTTPError(406)).type == "urn:devstudio:problem:HttpError"

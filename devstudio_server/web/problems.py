"""The one renderer of errors: any exception to a problem document (RFC 9457), with nothing internal in it."""

from __future__ import annotations

import errno
import sqlite3
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from tornado.web import HTTPError

from devstudio_server.kit.errors import AppError, Forbidden, Invalid, NotFound, StorageFull, Unauthorized
from devstudio_server.web.schemas import Problem, ProblemError

CONTENT_TYPE = "application/problem+json"
_SIGN_IN = (
    "Sign in, or send `Authorization: token <JUPYTER_TOKEN>` (local mode) "
    "or `Authorization: Bearer <token>` (team mode)."
)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class InternalError(AppError):
    """Something that we did not foresee. The log has the cause under the request id."""


def as_app_error(error: BaseException | None) -> AppError:
    """Return the `AppError` that tells a client about ``error``."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, HTTPError):
        return _from_tornado(error)
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return StorageFull("The disk is full, so nothing was changed. Free some space and try again.")
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return StorageFull("The disk of the database is full, so nothing was saved. Free some space and try again.")
    return InternalError("This is our fault, not yours. Nothing was changed. Quote the request id when you report it.")


def _from_tornado(error: HTTPError) -> AppError:
    known: dict[int, AppError] = {
        400: _malformed(error.log_message or "The request cannot be read."),
        401: Unauthorized(_SIGN_IN),
        403: Forbidden(error.log_message or "You may not do this here."),
        404: NotFound("There is nothing at this address. The endpoints are listed at /api/v1/openapi.json."),
    }
    if error.status_code in known:
        return known[error.status_code]
    phrase = HTTPStatus(error.status_code).phrase
    # A status that has no class of its own yet.
    made = type("HttpError", (AppError,), {"status": error.status_code, "title": phrase})
    answer: AppError = made(error.log_message or error.reason or phrase)
    return answer


def _malformed(message: str) -> Invalid:
    return Invalid(message, errors=[{"loc": ["body"], "msg": message}])


def problem(error: AppError, request_id: str) -> dict[str, Any]:
    """Return the problem document of ``error`` as JSON data."""
    document = Problem(
        type=error.type,
        title=error.title,
        status=error.status,
        detail=error.detail,
        request_id=request_id,
        errors=[ProblemError.model_validate(item) for item in error.errors],
    )
    return {**error.extra, **document.model_dump()}


def invalid_from(error: ValidationError, where: str) -> Invalid:
    """Turn Pydantic's findings into one `Invalid`; ``where`` is ``body``, ``query`` or ``path``."""
    found = error.errors(include_url=False)
    items = [{"loc": [where, *item["loc"]], "msg": item["msg"].removeprefix("Value error, ")} for item in found]
    first = items[0]
    place = ".".join(str(part) for part in first["loc"])
    more = f" ({len(items) - 1} more in `errors`)" if len(items) > 1 else ""
    return Invalid(f"{place}: {first['msg']}{more}", errors=items)

"""The errors that reach a client: each class carries its status, and one renderer turns it into problem+json.

A subclass names one thing that can go wrong in its domain. Its message says what was wrong, where, and what to do
next; it never holds a secret or the text of another tenant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class AppError(Exception):
    """Base of every error that is an answer. ``status`` is the HTTP status it maps to."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        """``errors`` are ``{loc, msg}`` items; ``extra`` becomes members of the problem document."""
        super().__init__(detail)
        self.detail = detail
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        self.extra = extra

    @property
    def type(self) -> str:
        """The problem type: a stable URN made of the class name."""
        return f"urn:devstudio:problem:{type(self).__name__}"


class Unauthorized(AppError):
    """No credentials, or bad ones."""

    status = 401
    title = "Not signed in"


class Forbidden(AppError):
    """Signed in, but a permission is missing."""

    status = 403
    title = "Not permitted"


class NotFound(AppError):
    """Missing, or another tenant's: the two look alike."""

    status = 404
    title = "Not found"


class MethodNotAllowed(AppError):
    """The path exists, the method does not."""

    status = 405
    title = "Method not allowed"


class Conflict(AppError):
    """The state of the object does not allow this now."""

    status = 409
    title = "Conflict"


class Gone(AppError):
    """What was asked for was there once, and was removed."""

    status = 410
    title = "No longer there"


class PreconditionFailed(AppError):
    """``If-Match`` names another version than the current one."""

    status = 412
    title = "Changed by someone else"


class PayloadTooLarge(AppError):
    """The body is larger than the server takes."""

    status = 413
    title = "Too large"


class UnsupportedMediaType(AppError):
    """The body is not JSON."""

    status = 415
    title = "Unsupported media type"


class Invalid(AppError):
    """The payload does not have the shape that the operation takes."""

    status = 422
    title = "Invalid input"


class TooManyRequests(AppError):
    """A limit of requests is reached; ``Retry-After`` says for how many seconds."""

    status = 429
    title = "Too many requests"


class BadGateway(AppError):
    """An outside service answered with something that cannot be used."""

    status = 502
    title = "Bad answer from an outside service"


class Unavailable(AppError):
    """Something that the operation needs is down or missing."""

    status = 503
    title = "Temporarily unavailable"


class StorageFull(AppError):
    """The disk or its quota is full."""

    status = 507
    title = "Storage is full"

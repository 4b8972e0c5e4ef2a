"""Refuses a body that is too large from its headers, before any of it is in memory."""

from __future__ import annotations

from typing import Any

from tornado import httputil, web
from tornado.routing import PathMatches, Rule

from devstudio_server.kit.errors import PayloadTooLarge
from devstudio_server.web.arguments import MAX_BODY_BYTES, TOO_LARGE
from devstudio_server.web.base import ProblemHandler, WebContext


class _LargeMatches(PathMatches):
    """Matches a path for requests that announce a body larger than any operation takes."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """Return the named parts of the path, or None; hold those that announce nothing to the same size."""
        found = super().match(request)
        if found is None:
            return None
        length = request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > MAX_BODY_BYTES:
            return found
        if request.connection is not None and not length:
            request.connection.set_max_body_size(MAX_BODY_BYTES)  # type: ignore[attr-defined]
        return None


@web.stream_request_body
class TooLargeHandler(ProblemHandler):
    """Answers before the body comes, and keeps nothing of it."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse it."""
        raise PayloadTooLarge(TOO_LARGE)

    def data_received(self, chunk: bytes) -> None:
        """Keep nothing."""


def too_large_rules(base_url: str, context: WebContext) -> list[Rule]:
    """Return the rule that goes before all others of the API."""
    pattern = rf"{base_url.rstrip('/')}/api/(?:v1|admin/devstudio)/.*"
    return [Rule(_LargeMatches(pattern), TooLargeHandler, {"context": context})]

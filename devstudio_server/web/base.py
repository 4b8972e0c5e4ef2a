"""What every handler of ours has in common: who asks, the request's id, and errors as problem documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.decorator import authorized as jupyter_authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import origin_matches_pat
from tornado import web

from devstudio_server.db import Actor, Units
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.kit.errors import AppError, Unauthorized
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.idempotency import KEPT_FOR
from devstudio_server.web.operations import Operation
from devstudio_server.web.ports import Ports
from devstudio_server.web.problems import CONTENT_TYPE, as_app_error, problem
from devstudio_server.web.rate_limits import RateLimiter

AUTH_RESOURCE = "devstudio"
RECHECK_S = 30.0
"""How often a stream asks whether who follows it is still signed in, in seconds."""

_Method = TypeVar("_Method", bound=Callable[..., Any])
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_ASKED_HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-Request-ID, X-XSRFToken"
)
_SHOWN_HEADERS = (
    "ETag, Idempotent-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-ID"
)
_log = get_logger("web")


def authorized(action: str, resource: str) -> Callable[[_Method], _Method]:
    """Jupyter's decorator, with the types that it does not ship."""
    decorate: Callable[[_Method], _Method] = jupyter_authorized(action, resource)
    return decorate


@dataclass(frozen=True)
class WebContext:
    """What handlers share: the database, the adapters, the threads, the limits, and who a signed-in user is."""

    units: Units
    ports: Ports
    executor: Executor
    actor_of: Callable[[Any], Actor]
    limiter: RateLimiter = field(default_factory=RateLimiter)
    answers_kept_for: timedelta = KEPT_FOR
    recheck_s: float = RECHECK_S


class ProblemHandler(APIHandler):
    """A Jupyter handler whose errors are problem documents."""

    operation: Operation | None = None
    """The operation that the request is for; None while or when it is for none."""

    def initialize(self, context: WebContext) -> None:
        """Take the shared context; Tornado calls this for each request."""
        self.context = context
        self.kept_headers: dict[str, str] = {}
        sent = self.request.headers.get("X-Request-ID", "")
        self.request_id = sent if _REQUEST_ID.fullmatch(sent) else str(new_id())
        self.keep_headers({"X-Request-ID": self.request_id})

    async def prepare(self) -> None:  # type: ignore[override]
        """Name the request for everything that is done in it, then find out who asks."""
        REQUEST_ID.set(self.request_id)
        await super().prepare()

    def keep_headers(self, headers: dict[str, str]) -> None:
        """Set headers that stay when Tornado clears them to write an error."""
        self.kept_headers |= headers
        for name, value in headers.items():
            self.set_header(name, value)

    def set_default_headers(self) -> None:
        """Set what every answer has; Tornado calls this again before it writes an error."""
        super().set_default_headers()
        for name, value in getattr(self, "kept_headers", {}).items():
            self.set_header(name, value)

    def set_cors_headers(self) -> None:
        """Let other origins read the answer only when the configuration names them.

        Jupyter would let every origin read the answer to a request with a token.
        """
        if self._origin_is_allowed():
            super().set_cors_headers()
            self.set_header("Access-Control-Expose-Headers", _SHOWN_HEADERS)
            self.set_header("Vary", "Origin")

    def _origin_is_allowed(self) -> bool:
        origin = self.get_origin()
        if not origin:
            return False
        if self.allow_origin:
            return self.allow_origin in ("*", origin)
        return bool(self.allow_origin_pat) and origin_matches_pat(self.allow_origin_pat or "", origin)

    @allow_unauthenticated
    def options(self, **_path: str) -> None:
        """Answer a browser that asks first; without credentials only for an origin that the configuration names."""
        if self._origin_is_allowed():
            self.set_header("Access-Control-Allow-Headers", _ASKED_HEADERS)
            self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE")
        elif not self.current_user:
            raise web.HTTPError(401)
        self.set_header("Allow", self.allowed_methods())
        self.set_status(HTTPStatus.NO_CONTENT)
        self.finish()

    def allowed_methods(self) -> str:
        """Return the methods of this address, as the header ``Allow`` lists them."""
        return "GET, HEAD"

    def get_login_url(self) -> str:
        """Refuse with 401 instead of redirecting to a login page."""
        raise web.HTTPError(401)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render any error as a problem document."""
        cause = kwargs.get("exc_info", (None, None, None))[1]
        if (
            isinstance(cause, web.HTTPError)
            and status_code == HTTPStatus.FORBIDDEN
            and not getattr(self, "_jupyter_current_user", None)
        ):
            cause = web.HTTPError(401)  # Tornado refuses anonymous POSTs with 403
        self.send_problem(as_app_error(cause or web.HTTPError(status_code)))

    def send_problem(self, error: AppError) -> None:
        """Finish with the problem document of ``error``."""
        self.set_status(error.status)
        for name, value in error.headers.items():
            self.set_header(name, value)
        if isinstance(error, Unauthorized):
            self.set_header("WWW-Authenticate", getattr(self.identity_provider, "challenge", 'token realm="jupyter"'))
        if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", self.allowed_methods())
        body = json.dumps(problem(error, self.request_id), ensure_ascii=False)
        self.finish(body, set_content_type=CONTENT_TYPE)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what we did not foresee, with its traceback; foreseen errors are in the request's line."""
        if not isinstance(value, (AppError, web.HTTPError)):
            _log.error("unhandled", request_id=self.request_id, exc_info=(typ, value, tb))


class NotFoundHandler(ProblemHandler):
    """Answers every path below the API that no operation has."""

    @web.authenticated
    @authorized("read", AUTH_RESOURCE)
    async def get(self) -> None:
        """Say that nothing is here."""
        raise web.HTTPError(404)

    @web.authenticated
    @authorized("write", AUTH_RESOURCE)
    async def post(self) -> None:
        """Say that nothing is here."""
        raise web.HTTPError(404)

    head = get
    put = delete = patch = post


class DocumentHandler(ProblemHandler):
    """Serves the OpenAPI document."""

    def initialize(self, context: WebContext, document: dict[str, Any]) -> None:  # type: ignore[override]
        """Take the shared context and the document."""
        super().initialize(context)
        self.document = document

    @web.authenticated
    @authorized("read", AUTH_RESOURCE)
    async def get(self) -> None:
        """Return the document."""
        self.finish(json.dumps(self.document, ensure_ascii=False))

    head = get


def document_route(base_url: str, context: WebContext, document: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """Return the route of the OpenAPI document."""
    path = f"{base_url.rstrip('/')}/api/v1/openapi.json"
    return path, DocumentHandler, {"context": context, "document": document}

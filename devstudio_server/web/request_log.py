"""The one line and the figures of each request, of our handlers and of Jupyter's own.

Jupyter's line would hold the whole address, and its lines about failures the headers. Ours holds the operation, its
route, who asked, and numbers; of the address only ids, and never the query.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from jupyter_server.prometheus.log_functions import prometheus_log_method
from tornado.web import RequestHandler

from devstudio_server.db import current_actor
from devstudio_server.db.scope import REQUEST_ID
from devstudio_server.kit.logging import get_logger, log_line, mask_log_text
from devstudio_server.kit.metrics import API_DURATION, API_REQUESTS, OTHER, UNMATCHED, method_label
from devstudio_server.web.base import ProblemHandler

_SERVER_ERROR = 500
_CLIENT_ERROR = 400
_log = get_logger("web")


def log_request(handler: RequestHandler) -> None:
    """Write the request's one line, and count it. This is Tornado's ``log_function``."""
    method = method_label(handler.request.method)
    if method != OTHER:
        prometheus_log_method(handler)  # Jupyter's own figures; a made-up method would be a label of its own
    if isinstance(handler, ProblemHandler):
        _count(handler, method)
        log_line("web", "request", _line(handler, method) | _of_operation(handler))
        return
    line = _line(handler, method) | {"path": mask_log_text(handler.request.path)[:200]}
    if handler.get_status() >= _SERVER_ERROR:
        _log.error("request", **line)
    elif handler.get_status() >= _CLIENT_ERROR:
        _log.warning("request", **line)
    else:
        _log.debug("request", **line)


def _line(handler: RequestHandler, method: str) -> dict[str, Any]:
    kind = type(handler)
    line: dict[str, Any] = {
        "method": method,
        "route": f"{kind.__module__}.{kind.__name__}",
        "status": handler.get_status(),
        "duration_ms": round(handler.request.request_time() * 1000, 2),
        "bytes_in": len(handler.request.body or b""),
    }
    length = handler._headers.get("Content-Length")  # noqa: SLF001 - Tornado has no way to ask for a set header
    if length is not None:
        line["bytes_out"] = int(length)
    request_id = REQUEST_ID.get()
    if request_id:
        line["request_id"] = request_id
    actor = current_actor()
    if actor is not None:
        line |= {"tenant_id": str(actor.tenant_id), "user_id": str(actor.user_id)}
    return line


def _of_operation(handler: ProblemHandler) -> dict[str, Any]:
    """Return what our own requests have beside: their id, the operation, its route, and the ids in the address."""
    operation = handler.operation
    found: dict[str, Any] = {"request_id": handler.request_id, "route": UNMATCHED}
    if operation is not None:
        ids = {name: value for name, value in handler.path_kwargs.items() if _is_id(value)}
        found |= {"operation": operation.id, "route": operation.url} | ids
    return found


def _is_id(value: Any) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def _count(handler: ProblemHandler, method: str) -> None:
    operation = handler.operation
    endpoint = operation.url if operation else UNMATCHED
    kind = (operation.limit or operation.access).value if operation else OTHER
    API_REQUESTS.labels(method, endpoint, str(handler.get_status())).inc()
    API_DURATION.labels(endpoint, kind).observe(handler.request.request_time())

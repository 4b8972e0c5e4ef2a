"""The one base handler: it runs an `Operation` the way architecture.md §2 says, and renders every error."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import unquote
from uuid import UUID

from jupyter_server.auth.decorator import authorized as jupyter_authorized
from jupyter_server.base.handlers import APIHandler
from pydantic import BaseModel, ValidationError
from tornado import web
from tornado.iostream import StreamClosedError

from devstudio_server.db import Actor, Units
from devstudio_server.kit.errors import (
    AppError,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    PayloadTooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from devstudio_server.kit.ids import new_id
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.call import Call
from devstudio_server.web.operations import Operation
from devstudio_server.web.ports import Ports
from devstudio_server.web.problems import CONTENT_TYPE, as_app_error, invalid_from, problem
from devstudio_server.web.sse import HEARTBEAT, HEARTBEAT_S, ServerEvent

AUTH_RESOURCE = "devstudio"
EVENT_STREAM = "text/event-stream"
MAX_VERSION_DIGITS = 18
MAX_BODY_BYTES = 10 * 1024 * 1024

_Method = TypeVar("_Method", bound=Callable[..., Any])
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_log = get_logger("web")


def authorized(action: str, resource: str) -> Callable[[_Method], _Method]:
    """Jupyter's decorator, with the types that it does not ship."""
    decorate: Callable[[_Method], _Method] = jupyter_authorized(action, resource)
    return decorate


@dataclass(frozen=True)
class WebContext:
    """What handlers share: the database, the adapters, the threads, and who a signed-in user is."""

    units: Units
    ports: Ports
    executor: Executor
    actor_of: Callable[[Any], Actor]


class ProblemHandler(APIHandler):
    """A Jupyter handler whose errors are problem documents."""

    def initialize(self, context: WebContext) -> None:
        """Take the shared context; Tornado calls this for each request."""
        self.context = context
        self.started = time.perf_counter()
        sent = self.request.headers.get("X-Request-ID", "")
        self.request_id = sent if _REQUEST_ID.match(sent) else str(new_id())
        self.set_header("X-Request-ID", self.request_id)

    def set_default_headers(self) -> None:
        """Keep the request id when Tornado clears the headers to write an error."""
        super().set_default_headers()
        if hasattr(self, "request_id"):
            self.set_header("X-Request-ID", self.request_id)

    def get_login_url(self) -> str:
        """Refuse with 401 instead of redirecting to a login page."""
        raise web.HTTPError(401)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Render any error as a problem document."""
        cause = kwargs.get("exc_info", (None, None, None))[1]
        if (
            isinstance(cause, web.HTTPError)
            and status_code == HTTPStatus.FORBIDDEN
            and not getattr(self, "current_user", None)
        ):
            cause = web.HTTPError(401)  # Tornado refuses anonymous POSTs with 403
        self.send_problem(as_app_error(cause or web.HTTPError(status_code)))

    def send_problem(self, error: AppError) -> None:
        """Finish with the problem document of ``error``."""
        self.set_status(error.status)
        for name, value in error.headers.items():
            self.set_header(name, value)
        if isinstance(error, Unauthorized):
            self.set_header("WWW-Authenticate", 'token realm="jupyter"')
        body = json.dumps(problem(error, self.request_id), ensure_ascii=False)
        self.finish(body, set_content_type=CONTENT_TYPE)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what we did not foresee, with its traceback; foreseen errors are in the request's line."""
        if not isinstance(value, (AppError, web.HTTPError)):
            _log.error("unhandled", request_id=self.request_id, exc_info=(typ, value, tb))

    def on_finish(self) -> None:
        """Write the request's one canonical line."""
        _log.info(
            "request",
            request_id=self.request_id,
            method=self.request.method,
            path=self.request.path,
            status=self.get_status(),
            duration_ms=round((time.perf_counter() - self.started) * 1000, 2),
        )


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


class OperationHandler(ProblemHandler):
    """Runs the operations of one path."""

    def initialize(self, context: WebContext, operations: dict[str, Operation]) -> None:  # type: ignore[override]
        """Take the shared context and the operations of this path, by method."""
        super().initialize(context)
        self.operations = operations
        self._call: Call | None = None

    @web.authenticated
    @authorized("read", AUTH_RESOURCE)
    async def get(self, **path: str) -> None:
        """Run the GET operation."""
        await self._run("GET", path)

    @web.authenticated
    @authorized("write", AUTH_RESOURCE)
    async def post(self, **path: str) -> None:
        """Run the POST operation."""
        await self._run("POST", path)

    @web.authenticated
    @authorized("write", AUTH_RESOURCE)
    async def put(self, **path: str) -> None:
        """Run the PUT operation."""
        await self._run("PUT", path)

    @web.authenticated
    @authorized("write", AUTH_RESOURCE)
    async def delete(self, **path: str) -> None:
        """Run the DELETE operation."""
        await self._run("DELETE", path)

    def on_connection_close(self) -> None:
        """Tell the handler's thread that nobody waits any more."""
        super().on_connection_close()
        if self._call is not None:
            self._call.left.set()

    async def _run(self, method: str, path: dict[str, str]) -> None:
        operation = self._operation(method)
        actor = self.context.actor_of(self.current_user)
        if operation.permission is not None and not actor.may(operation.permission):
            message = f"This needs the permission `{operation.permission}`, which you do not have."
            raise Forbidden(message, permission=operation.permission)
        arguments = self._arguments(operation, path)
        context = self.context
        call = Call(actor, context.units, context.ports, self.request_id, if_match=self._if_match())
        self._call = call
        wants_events = EVENT_STREAM in self.request.headers.get("Accept", "")
        if wants_events and operation.stream is not None:
            await self._send_events(operation.stream(call, last_event_id=self._last_event_id(), **arguments))
        elif wants_events and operation.outside:
            await self._send_events(_progress_events(self, operation, call, arguments))
        else:
            self._answer(operation, *await self.in_thread(operation, call, arguments))

    def _operation(self, method: str) -> Operation:
        try:
            return self.operations[method]
        except KeyError:
            allowed = ", ".join(sorted(self.operations))
            message = f"This address takes {allowed}, not {method}."
            raise MethodNotAllowed(message, headers={"Allow": allowed}) from None

    async def in_thread(self, operation: Operation, call: Call, arguments: dict[str, Any]) -> tuple[Any, str]:
        """Run the handler in a worker thread, in a unit of work unless it is declared ``outside``.

        Return its result, and the same as JSON: a long list is written there, too, and not on the event loop.
        """

        def work() -> tuple[Any, str]:
            read_only = operation.method == "GET"
            unit = nullcontext() if operation.outside else call.units.begin(call.actor, read_only=read_only)
            with unit as call._session:  # noqa: SLF001 - the handler opens what the call carries
                result = operation.handler(call, **arguments)
            return result, "" if result is None else result.model_dump_json(by_alias=True)

        return await asyncio.get_running_loop().run_in_executor(self.context.executor, work)

    def _answer(self, operation: Operation, result: Any, body: str) -> None:
        self.set_status(operation.status)
        if result is None:
            self.set_status(204)
            self.finish(set_content_type="application/json")
            return
        version = getattr(result, "version", None)
        if isinstance(version, int):
            self.set_header("ETag", f'"{version}"')
        self.finish(body)

    def compute_etag(self) -> None:
        """Leave the ETag to the object's version; Tornado would hash the body."""

    def _arguments(self, operation: Operation, path: dict[str, str]) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            name: _path_value(name, unquote(path[name]), kind) for name, kind in operation.path_types.items()
        }
        if operation.query is not None:
            arguments["query"] = _validate(operation.query, self._query(), "query")
        if operation.body is not None:
            arguments["body"] = _validate(operation.body, self._json_body(), "body")
        return arguments

    def _query(self) -> dict[str, Any]:
        skipped = {"token", "_xsrf", "no_track_activity"}  # Jupyter's own, and the no-cache stamp of its client
        names = [n for n in self.request.query_arguments if n not in skipped and not n.isdigit()]
        return {name: self.get_query_argument(name) for name in names}

    def _json_body(self) -> Any:
        raw = self.request.body
        if len(raw) > MAX_BODY_BYTES:
            message = f"The body has {len(raw)} bytes; at most {MAX_BODY_BYTES} are taken."
            raise PayloadTooLarge(message)
        content_type = self.request.headers.get("Content-Type", "application/json").split(";")[0].strip().lower()
        if content_type not in ("application/json", "text/plain", ""):
            message = f"The body is `{content_type}`; send `application/json`."
            raise UnsupportedMediaType(message)
        return _parse_json(raw)

    def _if_match(self) -> int | None:
        value = self.request.headers.get("If-Match", "*").strip()
        if value == "*":
            return None
        number = value.removeprefix("W/").strip('"')
        if not number.isdecimal() or len(number) > MAX_VERSION_DIGITS:
            message = 'If-Match holds the version that you read, as its ETag: a number in quotes, such as "3".'
            raise Invalid(message, errors=[{"loc": ["header", "If-Match"], "msg": message}])
        return int(number)

    def _last_event_id(self) -> str | None:
        return self.request.headers.get("Last-Event-ID") or self.get_query_argument("last_event_id", None)

    async def _send_events(self, events: AsyncIterator[ServerEvent]) -> None:
        self.set_header("Content-Type", EVENT_STREAM)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        try:
            async for chunk in _with_heartbeat(events):
                self.write(chunk)
                await self.flush()
        except StreamClosedError:
            return  # the client went away; `on_connection_close` told the handler
        except Exception as error:
            if not self._headers_written:
                raise  # nothing was sent yet, so the client gets a problem document
            self.log_exception(type(error), error, error.__traceback__)
            self.write(ServerEvent("error", problem(as_app_error(error), self.request_id)).encode())
        self.finish(set_content_type=EVENT_STREAM)


async def _with_heartbeat(events: AsyncIterator[ServerEvent]) -> AsyncIterator[bytes]:
    """Encode events, with a comment whenever none came for a while."""
    iterator = aiter(events)
    pending = asyncio.ensure_future(anext(iterator))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_S)
            if not done:
                yield HEARTBEAT
                continue
            try:
                event = pending.result()
            except StopAsyncIteration:
                return
            yield event.encode()
            pending = asyncio.ensure_future(anext(iterator))
    finally:
        pending.cancel()


async def _progress_events(
    handler: OperationHandler, operation: Operation, call: Call, arguments: dict[str, Any]
) -> AsyncIterator[ServerEvent]:
    """Run an ``outside`` operation and tell its progress, then its result or its error."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[ServerEvent | None] = asyncio.Queue()

    def progress(data: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, ServerEvent("progress", data))

    call.progress = progress
    task = asyncio.ensure_future(handler.in_thread(operation, call, arguments))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    while (event := await queue.get()) is not None:
        yield event
    _result, body = task.result()
    yield ServerEvent("result", json.loads(body) if body else None)


def _path_value(name: str, value: str, kind: type) -> Any:
    if kind is not UUID:
        return value
    try:
        return UUID(value)
    except ValueError:
        message = "is not an id; ids are UUIDs such as 0199aa00-0000-7000-8000-000000000000"
        raise Invalid(f"{name} {message}", errors=[{"loc": ["path", name], "msg": message}]) from None


def _validate(model: type[BaseModel], data: Any, where: str) -> BaseModel:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid_from(error, where) from error


def _parse_json(raw: bytes) -> Any:
    if not raw.strip():
        message = "The body is empty; send a JSON object."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}])
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8 (byte {error.start})."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise Invalid(message, errors=[{"loc": ["body", error.lineno, error.colno], "msg": error.msg}]) from error
    except RecursionError as error:
        message = "The body is nested too deeply."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
    except ValueError as error:
        message = f"The body is not JSON: {error}."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error
    if b"\\ud" in raw.lower():
        _refuse_halves(data)
    return data


def _refuse_constant(name: str) -> Any:
    message = f"{name} is no number of JSON"
    raise ValueError(message)


def _refuse_halves(data: Any) -> None:
    """Refuse half a surrogate pair: JSON can escape it, but no text that holds it can be stored or sent."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        message = "The body holds half a surrogate pair, such as `\\ud800`, which is no character."
        raise Invalid(message, errors=[{"loc": ["body"], "msg": message}]) from error


def document_route(base_url: str, context: WebContext, document: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
    """Return the route of the OpenAPI document."""
    path = f"{base_url.rstrip('/')}/api/v1/openapi.json"
    return path, DocumentHandler, {"context": context, "document": document}


def routes(operations: list[Operation], base_url: str, context: WebContext) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return Tornado's routes for ``operations`` below ``base_url``, and the catch-all 404 of each base."""
    by_route: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        methods = by_route.setdefault(operation.route, {})
        if operation.method in methods:
            message = f"{operation.method} {operation.url} is declared twice"
            raise ValueError(message)
        methods[operation.method] = operation
    prefix = base_url.rstrip("/") + "/"
    # Fixed paths come before those with a placeholder, so that `code/patches` is never read as an id.
    ordered = sorted(by_route, key=lambda route: (route.count("(?P"), route))
    found: list[tuple[str, Any, dict[str, Any]]] = [
        (prefix + route + "/?", OperationHandler, {"context": context, "operations": by_route[route]})
        for route in ordered
    ]
    bases = sorted({operation.base for operation in operations})
    return found + [(f"{prefix}{base}(?:/.*)?", NotFoundHandler, {"context": context}) for base in bases]

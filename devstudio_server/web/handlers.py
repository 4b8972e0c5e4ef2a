"""The one handler of operations: it runs an `Operation` the way architecture.md §2 says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextvars import copy_context
from functools import partial
from typing import Any

from jupyter_server.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError

from devstudio_server.kit.errors import Forbidden, Invalid, MethodNotAllowed
from devstudio_server.web.arguments import arguments_of, idempotency_key, if_match, last_event_id
from devstudio_server.web.attachments import MEDIA_TYPE, Attachment
from devstudio_server.web.base import (
    AUTH_RESOURCE,
    DocumentHandler,
    NotFoundHandler,
    ProblemHandler,
    WebContext,
    authorized,
    document_route,
)
from devstudio_server.web.call import Call
from devstudio_server.web.idempotency import KeyedRequest, KeyedWork
from devstudio_server.web.operations import Operation
from devstudio_server.web.problems import as_app_error, problem
from devstudio_server.web.reply import Reply
from devstudio_server.web.sse import ServerEvent
from devstudio_server.web.streaming import progress_events, with_heartbeat

__all__ = [
    "AUTH_RESOURCE",
    "DocumentHandler",
    "NotFoundHandler",
    "OperationHandler",
    "ProblemHandler",
    "WebContext",
    "authorized",
    "document_route",
    "routes",
]

EVENT_STREAM = "text/event-stream"
SEND_S = 30.0
"""How long a client of a stream may take nothing before it is cut off; it resumes from the last id that it has."""


class OperationHandler(ProblemHandler):
    """Runs the operations of one path."""

    def initialize(self, context: WebContext, operations: dict[str, Operation]) -> None:  # type: ignore[override]
        """Take the shared context and the operations of this path, by method."""
        super().initialize(context)
        self.operations = operations
        self.operation = operations.get({"HEAD": "GET"}.get(str(self.request.method), str(self.request.method)))
        self._call: Call | None = None

    @web.authenticated
    @authorized("read", AUTH_RESOURCE)
    async def get(self, **path: str) -> None:
        """Run the GET operation."""
        await self._run("GET", path)

    head = get  # Tornado leaves the body out

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

    def allowed_methods(self) -> str:
        """Return the methods of this address, as the header ``Allow`` lists them."""
        return ", ".join(sorted({*self.operations, *(["HEAD"] if "GET" in self.operations else [])}))

    def decode_argument(self, value: bytes, name: str | None = None) -> str:
        """Decode a segment of the path; Tornado would answer 400."""
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            message = f"is not UTF-8 (byte {error.start})"
            raise Invalid(f"{name or 'path'} {message}", errors=[{"loc": ["path", name], "msg": message}]) from error

    async def _run(self, method: str, path: dict[str, str]) -> None:
        operation, call, arguments = await self.admitted(method, path)
        keyed = self._keyed(operation, call, arguments)
        if not self._wants_events(operation):
            reply = await self.in_thread(operation, call, arguments, keyed)
            self._answer(reply)
            if reply.attachment is not None:
                await self._send_file(reply.attachment)
        elif operation.stream is not None:
            stream = operation.stream(call, last_event_id=last_event_id(self.request), **arguments)
            await self._send_events(operation, stream)
        else:
            events = progress_events(
                call, lambda: self.in_thread(operation, call, arguments, keyed), self._tell_a_replay
            )
            await self._send_events(operation, events)

    async def admitted(self, method: str, path: dict[str, str]) -> tuple[Operation, Call, dict[str, Any]]:
        """Return the operation, the call and its arguments, once permission, limits and shape are as they must be."""
        operation = self.operation = self._operation(method)
        context = self.context
        actor = context.actor_of(self.current_user)
        if operation.permission is not None and not actor.may(operation.permission):
            message = f"This needs the permission `{operation.permission}`, which you do not have."
            raise Forbidden(message, permission=operation.permission)
        quota = await context.limiter.admit(actor, operation.access, operation.limit)
        if quota is not None:
            self.keep_headers(quota.headers)
        arguments = arguments_of(operation, path, self.request)
        version = if_match(self.request) if operation.takes_version else None
        call = Call(actor, context.units, context.ports, self.request_id, if_match=version)
        self._call = call
        return operation, call, arguments

    def _operation(self, method: str) -> Operation:
        try:
            return self.operations[method]
        except KeyError:
            message = f"This address takes {self.allowed_methods()}, not {self.request.method}."
            raise MethodNotAllowed(message) from None

    def _wants_events(self, operation: Operation) -> bool:
        streams = operation.stream is not None or (operation.outside and not operation.inline)
        if not streams or self.request.method == "HEAD":
            return False
        return EVENT_STREAM in self.request.headers.get("Accept", "")

    def _keyed(self, operation: Operation, call: Call, arguments: dict[str, Any]) -> KeyedWork | None:
        key = idempotency_key(self.request) if operation.takes_key else None
        if key is None:
            return None
        return KeyedWork(
            KeyedRequest.of(key, operation, arguments), call.units, call.actor, self.context.answers_kept_for
        )

    async def in_thread(
        self, operation: Operation, call: Call, arguments: dict[str, Any], keyed: KeyedWork | None = None
    ) -> Reply:
        """Run the handler in a worker thread, in a unit of work unless it is declared ``outside``.

        The thread knows the request's id and actor. The answer's JSON is made there, too, and not on the event loop.
        """

        def handle() -> Reply:
            return Reply.of(operation, operation.handler(call, **arguments))

        if operation.inline:
            return handle()

        def work() -> Reply:
            if operation.outside:
                return keyed.outside(handle) if keyed else handle()
            with call.units.begin(call.actor, read_only=operation.method == "GET") as session:
                call._session = session  # noqa: SLF001 - the handler opens what the call carries
                if keyed:
                    return keyed.within(session, handle)
                result = operation.handler(call, **arguments)
            return Reply.of(operation, result)

        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self.context.executor, run, work)

    def _answer(self, reply: Reply) -> None:
        self.set_status(reply.status)
        for name, value in reply.headers.items():
            self.set_header(name, value)
        self._tell_a_replay(reply)
        if reply.attachment is not None:
            return
        if reply.body:
            self.finish(reply.body)
        else:
            self.finish(set_content_type="application/json")

    async def _send_file(self, file: Attachment) -> None:
        """Send a file piece by piece; a client that takes nothing for a while is cut off."""
        self.set_header("Content-Type", MEDIA_TYPE)
        read = partial(next, file.chunks, b"")
        loop = asyncio.get_running_loop()
        try:
            while self.request.method != "HEAD" and (chunk := await loop.run_in_executor(self.context.executor, read)):
                self.write(chunk)
                async with asyncio.timeout(SEND_S):
                    await self.flush()
        except StreamClosedError:
            return
        except TimeoutError:
            self.request.connection.stream.close()  # type: ignore[union-attr] # it takes nothing, and would hold us up
            return
        self.finish(set_content_type=MEDIA_TYPE)

    def _tell_a_replay(self, reply: Reply) -> None:
        if reply.replayed and not self._headers_written:
            self.set_header("Idempotent-Replayed", "true")

    def compute_etag(self) -> None:
        """Leave the ETag to the object's version; Tornado would hash the body."""

    async def still_permitted(self, operation: Operation) -> bool:
        """Tell whether who opened this stream is still signed in, and may still follow it."""
        user = await ensure_async(self.identity_provider.get_user(self))
        if user is None:
            return False
        actor = self.context.actor_of(user)
        return operation.permission is None or actor.may(operation.permission)

    async def _send_events(self, operation: Operation, events: AsyncIterator[ServerEvent]) -> None:
        self.set_header("Content-Type", EVENT_STREAM)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        checked = time.monotonic()
        try:
            async for chunk in with_heartbeat(events):
                self.write(chunk)
                async with asyncio.timeout(SEND_S):
                    await self.flush()
                if time.monotonic() - checked > self.context.recheck_s:
                    checked = time.monotonic()
                    if not await self.still_permitted(operation):
                        break
        except StreamClosedError:
            return  # the client went away; `on_connection_close` told the handler
        except TimeoutError:
            self.request.connection.stream.close()  # type: ignore[union-attr] # it takes nothing, and would hold us up
            return
        except Exception as error:
            if not self._headers_written:
                raise  # nothing was sent yet, so the client gets a problem document
            self.log_exception(type(error), error, error.__traceback__)
            self.write(ServerEvent("error", problem(as_app_error(error), self.request_id)).encode())
        self.finish(set_content_type=EVENT_STREAM)


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

"""WebSockets: an operation that streams answers one on the path of its GET, with the same events as by SSE."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, cast

from tornado import httputil, web
from tornado.iostream import StreamClosedError
from tornado.routing import PathMatches, Rule
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from devstudio_server.kit.errors import AppError
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.arguments import last_event_id
from devstudio_server.web.handlers import AUTH_RESOURCE, SEND_S, OperationHandler, WebContext, authorized
from devstudio_server.web.operations import Operation
from devstudio_server.web.sse import ServerEvent

NORMAL, POLICY, FAILED, TRY_AGAIN = 1000, 1008, 1011, 1013
"""Close codes of RFC 6455. After all but `POLICY` a client connects again from the last id that it has."""
PING_S = 30.0
_LARGEST_MESSAGE = 4096  # a client has nothing to say

_log = get_logger("web")


class OperationSocket(WebSocketHandler, OperationHandler):
    """Sends the events of an operation's stream, each as one text message.

    Everything that can be refused is refused before the handshake, as a problem document.
    """

    _tasks: tuple[asyncio.Task[None], ...] = ()

    async def prepare(self) -> None:  # type: ignore[override]
        """Sign in, and refuse pages of other origins: browsers leave that to the server."""
        try:
            await OperationHandler.prepare(self)
        except web.HTTPError as error:
            if error.status_code == HTTPStatus.NOT_FOUND and not self.check_origin():
                raise web.HTTPError(403, "Pages of other origins open no socket here.") from error
            raise

    @web.authenticated
    @authorized("read", AUTH_RESOURCE)
    async def get(self, **path: str) -> None:  # type: ignore[override]
        """Open the stream, then the socket."""
        operation, call, arguments = await self.admitted("GET", path)
        if operation.stream is None:
            raise web.HTTPError(404)
        self._served = operation
        self._stream = operation.stream(call, last_event_id=last_event_id(self.request), **arguments)
        self._first = await anext(self._stream)
        await WebSocketHandler.get(self)

    def skip_check_origin(self) -> bool:
        """Check the origin of every page, also of one that has a token."""
        return False

    def check_origin(self, origin: str = "") -> bool:
        """Tell whether the request comes from a page of this server, of an allowed origin, or from no page."""
        return bool(OperationHandler.check_origin(self, origin))

    @property
    def ping_interval(self) -> float:
        """Seconds between pings; a client that answers none until the next is gone."""
        return float(self.settings.get("websocket_ping_interval") or PING_S)

    ping_timeout = ping_interval

    @property
    def max_message_size(self) -> int:
        """How much a client may say at once."""
        return _LARGEST_MESSAGE

    def open(self, *_args: Any, **_kwargs: Any) -> None:
        """Start to send, and to ask from time to time whether the client is still signed in."""
        # The headers are out, so a provider that renews its cookie has nowhere to put it.
        self.set_cookie = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
        self._tasks = (asyncio.create_task(self._send()), asyncio.create_task(self._watch()))

    def on_message(self, message: str | bytes) -> None:
        """Ignore what a client says."""

    def on_close(self) -> None:
        """Stop."""
        for task in self._tasks:
            task.cancel()
        if self._call is not None:
            self._call.left.set()

    async def _send(self) -> None:
        try:
            await self._say(self._first)
            async for event in self._stream:
                await self._say(event)
        except (WebSocketClosedError, StreamClosedError):
            return
        except TimeoutError:
            self._cut()  # a closing handshake would wait for this client, too
        except AppError as error:
            self.close(TRY_AGAIN, error.title)
        except Exception as error:  # noqa: BLE001 - the client resumes; the log has the cause
            _log.error("unhandled", request_id=self.request_id, exc_info=error)
            self.close(FAILED, "This is our fault. Connect again.")
        else:
            self.close(NORMAL, "The stream has ended.")
        finally:
            await cast("AsyncGenerator[ServerEvent]", self._stream).aclose()

    async def _say(self, event: ServerEvent) -> None:
        async with asyncio.timeout(SEND_S):
            await self.write_message(event.message)

    def _cut(self) -> None:
        if self.ws_connection is not None and self.ws_connection.stream is not None:
            self.ws_connection.stream.close()

    async def _watch(self) -> None:
        """Close once the credentials have expired or were revoked."""
        while True:
            await asyncio.sleep(self.context.recheck_s)
            try:
                permitted = await self.still_permitted(self._served)
            except AppError:
                continue  # the database is away; ask again
            if not permitted:
                self.close(POLICY, "You are no longer signed in, or no longer permitted.")
                return


class _UpgradeMatches(PathMatches):
    """Matches a path only for requests that want a WebSocket."""

    def match(self, request: httputil.HTTPServerRequest) -> dict[str, Any] | None:
        """Return the named parts of the path, or None."""
        wants = request.headers.get("Upgrade", "").lower() == "websocket"
        return super().match(request) if wants else None


def socket_rules(operations: list[Operation], base_url: str, context: WebContext) -> list[Rule]:
    """Return the rules of all sockets. They go before the routes of the same paths."""
    prefix = base_url.rstrip("/") + "/"
    return [
        Rule(
            _UpgradeMatches(prefix + operation.route + "/?"),
            OperationSocket,
            {"context": context, "operations": {"GET": operation}},
        )
        for operation in operations
        if operation.socket
    ]

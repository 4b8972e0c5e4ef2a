"""Operations: each endpoint is declared once, and routes, checks, validation and OpenAPI all come from it.

A handler is a plain function. Its signature is the declaration: ``call`` first, then one ``UUID`` (or ``str``) for
each ``{name}`` in the path, then ``query`` and ``body`` if it takes them, each a Pydantic model; its return annotation
is the answer's shape, ``None`` meaning 204, and `Attachment` a file to be saved.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel

from devstudio_server.kit.errors import AppError, PreconditionFailed
from devstudio_server.web.attachments import Attachment
from devstudio_server.web.rate_limits import Limit
from devstudio_server.web.sse import ServerEvent

Method = Literal["GET", "POST", "PUT", "DELETE"]
Base = Literal["api/v1", "api/admin/devstudio"]
Stream = Callable[..., AsyncIterator[ServerEvent]]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Operation:
    """One endpoint."""

    method: Method
    path: str
    permission: str | None
    handler: Callable[..., Any]
    summary: str
    tag: str
    status: int
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    response: type[BaseModel] | None
    path_types: dict[str, type]
    errors: tuple[type[AppError], ...]
    outside: bool
    stream: Stream | None
    base: Base
    limit: Limit | None = None
    secret_answer: bool = False
    inline: bool = False
    socket: bool = False
    download: bool = False

    @property
    def id(self) -> str:
        """The operation id of OpenAPI: the handler's name."""
        return self.handler.__name__

    @property
    def access(self) -> Limit:
        """The limit that every operation counts against: reads or writes."""
        return Limit.READ if self.method == "GET" else Limit.WRITE

    @property
    def takes_key(self) -> bool:
        """Whether ``Idempotency-Key`` counts: on POST, unless the answer is a secret, which is never kept."""
        return self.method == "POST" and not self.secret_answer

    @property
    def takes_version(self) -> bool:
        """Whether ``If-Match`` counts: on PUT and DELETE, and on POST where a stale version is a declared error."""
        return self.method in ("PUT", "DELETE") or PreconditionFailed in self.errors

    @property
    def description(self) -> str:
        """What the handler's docstring says."""
        return inspect.getdoc(self.handler) or ""

    @property
    def route(self) -> str:
        """The path as a regular expression with named groups, below the server's base URL."""
        return f"{self.base}/" + _PLACEHOLDER.sub(r"(?P<\1>[^/]+)", self.path)

    @property
    def url(self) -> str:
        """The path as OpenAPI writes it."""
        return f"/{self.base}/{self.path}"


class Operations:
    """The operations of one domain."""

    def __init__(self, tag: str, *, base: Base = "api/v1") -> None:
        """Group under ``tag`` in the OpenAPI document, below ``base``."""
        self.tag = tag
        self.base: Base = base
        self._all: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        """Iterate over the declared operations."""
        return iter(self._all)

    def operation(  # noqa: PLR0913 - one argument for each part of the declaration
        self,
        method: Method,
        path: str,
        *,
        permission: str | None,
        summary: str,
        status: int | None = None,
        errors: tuple[type[AppError], ...] = (),
        outside: bool = False,
        stream: Stream | None = None,
        socket: bool = False,
        limit: Limit | None = None,
        secret_answer: bool = False,
        inline: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare the decorated function as the handler of ``method path``.

        ``permission=None`` means any signed-in person. ``outside`` runs the handler without a transaction, for calls
        that wait for something other than the database. ``stream`` answers ``Accept: text/event-stream`` instead; with
        ``socket`` it also answers a WebSocket on the same path. ``limit`` is what it counts against beside reads or
        writes. A ``secret_answer`` is kept under no idempotency key. ``inline`` answers on the event
        loop itself: for what asks nothing and takes no time.
        """

        def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
            hints = get_type_hints(handler)
            response = _model(hints.get("return"))
            download = hints.get("return") is Attachment
            names = _PLACEHOLDER.findall(path)
            self._all.append(
                Operation(
                    method=method,
                    path=path,
                    permission=permission,
                    handler=handler,
                    summary=summary,
                    tag=self.tag,
                    status=status or (200 if response or download else 204),
                    body=_model(hints.get("body")),
                    query=_model(hints.get("query")),
                    response=response,
                    path_types={name: hints[name] for name in names},
                    errors=errors,
                    outside=outside,
                    stream=stream,
                    base=self.base,
                    limit=limit,
                    secret_answer=secret_answer,
                    inline=inline,
                    socket=socket,
                    download=download,
                )
            )
            return handler

        return declare


def _model(hint: Any) -> type[BaseModel] | None:
    return hint if inspect.isclass(hint) and issubclass(hint, BaseModel) else None

"""A server extension for tests: it writes down every route of the running server, and adds routes like a stranger's.

It is loaded into the server's process from a folder of its own, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.routing import PathMatches
from tornado.web import RequestHandler, authenticated
from tornado.websocket import WebSocketHandler

DUMP_VARIABLE = "ROUTE_DUMP"


class OnlyAuthenticated(JupyterHandler):
    """Asks no authorizer."""

    @authenticated
    def get(self) -> None:
        """Answer whoever is signed in."""
        self.finish("reached")

    post = get


class Open(JupyterHandler):
    """Asks nobody anything."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer everybody."""
        self.finish("reached")

    post = get


class Plain(RequestHandler):
    """Does not know that there is a Jupyter server."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer everybody."""
        self.finish("reached")


class PlainSocket(WebSocketHandler):
    """A socket that does not know either."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open it."""
        await super().get(*args, **kwargs)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "route_dump"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add the stranger's routes; write all of them down once everything is loaded."""
    names = {"authenticated": OnlyAuthenticated, "open": Open, "plain": Plain, "socket": PlainSocket}
    server.allow_unauthenticated_access = True  # Jupyter only looks while routes are added
    server.web_app.add_handlers(".*", [(f"/stranger/{name}", handler) for name, handler in names.items()])
    server.allow_unauthenticated_access = False
    server.io_loop.add_callback(_write, server.web_app)


def _write(application: Any) -> None:
    router = application.default_router
    answering = getattr(router, "answering", lambda found: found)
    rules = [_described(rule, answering) for rule in _rules(router)]
    Path(os.environ[DUMP_VARIABLE]).write_text(json.dumps(rules))


def _rules(router: Any) -> Iterator[Any]:
    for rule in router.rules:
        if hasattr(rule.target, "rules"):
            yield from _rules(rule.target)
        else:
            yield rule


def _described(rule: Any, answering: Any) -> dict[str, Any]:
    target = rule.target
    if not (isinstance(target, type) and issubclass(target, RequestHandler)):
        return {"pattern": str(rule.matcher), "routed": repr(target), "answers": None, "methods": [], "socket": False}
    handler = answering(target)
    methods = [
        name
        for name in handler.SUPPORTED_METHODS
        if getattr(handler, name.lower()) is not RequestHandler._unimplemented_method
    ]
    return {
        "pattern": rule.matcher.regex.pattern,
        "routed": f"{target.__module__}.{target.__qualname__}",
        "by_path": type(rule.matcher) is PathMatches,
        "answers": f"{handler.__module__}.{handler.__qualname__}",
        "methods": methods,
        "socket": issubclass(handler, WebSocketHandler),
    }

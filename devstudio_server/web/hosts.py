"""Which names the server answers to. A request for another name gets nothing of it (DNS rebinding, CVE-2026-49468)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado.web import Application

from devstudio_server.kit.errors import AppError
from devstudio_server.web.base import ProblemHandler, WebContext


class WrongHost(AppError):
    """The request is for a host that this server is not."""

    status = 421
    title = "Not this server's name"


class WrongHostHandler(ProblemHandler):
    """Answers every request whose ``Host`` is none of the server's names, whatever its path and method."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse before anybody is signed in."""
        self.current_user = self._jupyter_current_user = None
        message = "This server does not answer to that host name. Its names are in DevStudioApp.allowed_hosts."
        raise WrongHost(message)

    @allow_unauthenticated
    def get(self, **_path: Any) -> None:
        """Never get here: `prepare` refuses."""


def answer_only_to(application: Application, hosts: Sequence[str], context: WebContext) -> None:
    """Let ``application``, Jupyter's own handlers included, answer only requests for ``hosts``; none means all.

    A name that starts with a dot stands for every name below it. Ports do not count.
    """
    if not hosts:
        return
    names = "|".join((r"(?:.+)?" if host.startswith(".") else "") + re.escape(host.lower()) for host in hosts)
    application.add_handlers(rf"(?!(?:{names})$).*", [(r".*", WrongHostHandler, {"context": context})])

"""Jupyter's own WebSockets in team mode: they serve one tenant, and end with the sign-in of who opened them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.events.handlers import SubscribeWebsocket
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.web import HTTPError

from devstudio_server.db import current_actor
from devstudio_server.jupyter.tenancy import acting_person
from devstudio_server.kit.logging import get_logger
from devstudio_server.web.base import RECHECK_S

NO_LONGER = 1008
"""Close code of RFC 6455 for a policy that is violated."""
RECHECK_SETTING = "devstudio_recheck_s"
"""Tornado setting: seconds after which a socket asks again who its person is."""

_log = get_logger("jupyter")


class Watch:
    """Asks from time to time whether the person behind an open socket is still signed in, and still permitted."""

    def __init__(self, socket: Any) -> None:
        """Begin to ask for ``socket``."""
        self._socket = socket
        self._task = asyncio.create_task(self._run(float(socket.settings.get(RECHECK_SETTING, RECHECK_S))))

    def end(self) -> None:
        """Ask no more."""
        self._task.cancel()

    async def _run(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            if not await self._is_permitted():
                self._socket.close(NO_LONGER, "You are no longer signed in, or no longer permitted.")
                return

    async def _is_permitted(self) -> bool:
        handler: JupyterHandler = self._socket
        try:
            return await ensure_async(handler.identity_provider.get_user(handler)) is not None
        except HTTPError:
            return False
        except Exception as error:  # noqa: BLE001 - the database is away; ask again
            _log.warning("socket_not_rechecked", reason=type(error).__name__)
            return True


class TenantKernelWebsocket(KernelWebsocketHandler):
    """`/api/kernels/<id>/channels` of a kernel of the tenant."""

    _watch: Watch | None = None

    async def open(self, kernel_id: str) -> None:
        """Connect to the kernel."""
        self._watch = Watch(self)
        await super().open(kernel_id)  # type: ignore[no-untyped-call]

    def on_close(self) -> None:
        """Disconnect from the kernel."""
        if self._watch is not None:
            self._watch.end()
        super().on_close()  # type: ignore[no-untyped-call]


class TenantSubscribeWebsocket(SubscribeWebsocket):
    """`/api/events/subscribe` with the events of the subscriber's tenant.

    A listener runs in the context of whatever emitted the event, so the actor there is who the event belongs to. What
    happens without an actor belongs to the server and reaches nobody.
    """

    _watch: Watch | None = None
    _tenant_id: UUID | None = None

    def open(self) -> None:
        """Begin to listen for the tenant."""
        self._tenant_id = acting_person().tenant_id
        self._watch = Watch(self)
        super().open()

    def on_close(self) -> None:
        """Stop to listen."""
        if self._watch is not None:
            self._watch.end()
        super().on_close()  # type: ignore[no-untyped-call]

    async def event_listener(self, logger: Any, schema_id: str, data: dict[str, Any]) -> None:
        """Pass an event on to the subscriber whose tenant it belongs to."""
        emitter = current_actor()
        if emitter is not None and emitter.tenant_id == self._tenant_id:
            await super().event_listener(logger, schema_id, data)

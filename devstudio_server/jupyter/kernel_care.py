"""Looks after the kernels of all tenants: takes them over at the start, and removes what nobody knows."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from tornado.ioloop import IOLoop, PeriodicCallback

from devstudio_kernels.errors import KernelError
from devstudio_kernels.host import KernelHost, use_host
from devstudio_kernels.pool import KernelPool
from devstudio_server.jupyter.kernels import TenantKernelManager
from devstudio_server.jupyter.studio_kernels import LocalKernels, StudioKernels
from devstudio_server.kit.logging import get_logger

_log = get_logger("kernels")
EVERY_S = 60.0


class KernelCare:
    """Takes kernels over before the first request, and then looks from time to time."""

    def __init__(self, manager: Any, host: KernelHost, pool_size: int) -> None:
        """Look after the kernels of ``manager``, which is Jupyter's, and keep ``pool_size`` warm ones per tenant."""
        self.manager, self.host = manager, host
        self.pool = KernelPool.of(host)
        self.pool.size = pool_size if isinstance(manager, (TenantKernelManager, LocalKernels)) else 0
        self._timer = PeriodicCallback(self.look, EVERY_S * 1000)

    def begin(self) -> None:
        """Take over what outlived the last life of the server. Blocks, so that no client misses one."""
        use_host(self.host)
        if isinstance(self.manager, TenantKernelManager):
            self.manager.adopt_all()
        elif isinstance(self.manager, LocalKernels):
            self.manager.adopt()
        self._timer.start()
        IOLoop.current().add_callback(self.look)

    async def look(self) -> None:
        """Remove kernels that nobody knows, and warm ones that nobody wants; try again what could not be taken over."""
        with suppress(KernelError):
            for kernels in self._all():
                kernels.adopt()
            known = self.host.started.union(*(kernels.containers() for kernels in self._all()))
            removed = await self.host.call(self.host.engine.remove_others, self.host.ownership, known)
            if removed:
                _log.info("kernels_of_nobody_removed", kernels=removed)
        self.pool.let_go()

    async def end(self) -> None:
        """End the warm kernels; the others were left or ended by Jupyter before."""
        self._timer.stop()
        await self.pool.close()
        self.host.engine.close()

    def _all(self) -> list[StudioKernels]:
        if isinstance(self.manager, TenantKernelManager):
            return list(self.manager.tenants)
        return [self.manager] if isinstance(self.manager, LocalKernels) else []

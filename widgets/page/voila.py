"""What Voila is served with: it ends the kernels of pages that were closed."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class KernelManager(AsyncMappingKernelManager):
    """Culls idle kernels that nobody is connected to any more, but none that waits for its first visitor.

    Voila leaves every visitor's kernel running, and with it a worker of several hundred megabytes.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._visited: set[str] = set()

    def notify_connect(self, kernel_id: str) -> None:
        """A page has connected."""
        self._visited.add(kernel_id)
        super().notify_connect(kernel_id)

    async def cull_kernel_if_idle(self, kernel_id: str) -> None:
        """End the kernel where it was visited, is idle, and the last connection is gone."""
        if kernel_id in self._visited:
            await super().cull_kernel_if_idle(kernel_id)

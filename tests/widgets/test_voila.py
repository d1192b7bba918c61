from __future__ import annotations

import asyncio

from workbench.widgets.page.voila import KernelManager


def test_the_kernel_of_a_closed_page_is_ended_and_one_that_waits_for_a_visitor_is_not():
    async def closed_and_waiting() -> tuple[bool, bool]:
        manager = KernelManager(cull_idle_timeout=1, cull_interval=1)
        visited, waiting = await manager.start_kernel(), await manager.start_kernel()
        try:
            manager.notify_connect(visited)
            await asyncio.sleep(3)  # idle for longer than the limit, but a page is open
            open_page = visited in manager
            manager.notify_disconnect(visited)
            async with asyncio.timeout(60):
                while visited in manager:
                    await asyncio.sleep(0.1)
            return open_page, waiting in manager
        finally:
            await manager.shutdown_all()

    assert asyncio.run(closed_and_waiting()) == (True, True)

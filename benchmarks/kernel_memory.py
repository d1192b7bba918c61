"""How much memory the notebook kernel takes with the page open and a run finished."""

from __future__ import annotations

import psutil
from jupyter_client.manager import start_new_kernel

from benchmarks._report import Row

_CODE = """
import asyncio
import sys
import workbench as wb

async def until(busy):
    while page.state.busy != busy or page.state.phase == "starting":
        await asyncio.sleep(0.05)

page = wb.show()
page.frame.views = 1  # what a browser says when it has drawn the page
await until(busy=False)
page.panel.recipe = {"steps": [{"do": "quantize"}]}
await until(busy=True)
await until(busy=False)
assert page.state.phase == "finished", page.state
print("torch" in sys.modules)
"""


def measure() -> list[Row]:
    """Start a real kernel, show the page as if drawn, wait for its int8 run, and read the kernel's resident memory."""
    manager, client = start_new_kernel()
    try:
        printed: list[str] = []

        def keep(message: dict) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))

        client.execute_interactive(_CODE, timeout=300, output_hook=keep)
        resident = psutil.Process(manager.provisioner.pid).memory_info().rss / 1e6
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    torch_imported = "True" in "".join(printed)
    return [
        Row(
            "memory of the notebook kernel after a run",
            "≤ 150 MB, no torch",
            f"{resident:.0f} MB, {'torch imported' if torch_imported else 'no torch'}",
            resident <= 150 and not torch_imported,
            {"resident_mb": resident, "torch_imported": torch_imported},
        )
    ]

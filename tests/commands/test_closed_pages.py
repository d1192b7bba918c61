"""A server says nothing of a page that was closed while something was on its way to it."""

from __future__ import annotations

import subprocess
import sys

TWO_TASKS_FAIL = """
import asyncio
import logging.config
from tornado.websocket import WebSocketClosedError
from workbench.commands.closed_pages import LOGGING

async def fail(error):
    raise error

async def main():
    for error in WebSocketClosedError(), ValueError("this one matters"):
        asyncio.ensure_future(fail(error))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

logging.config.dictConfig({"version": 1, "disable_existing_loggers": False} | LOGGING)
asyncio.run(main())
"""


def test_a_task_that_fails_is_told_of_unless_only_its_page_was_closed():
    program = subprocess.run([sys.executable, "-c", TWO_TASKS_FAIL], capture_output=True, text=True, check=True)
    assert "ValueError: this one matters" in program.stderr
    assert "WebSocketClosedError" not in program.stderr

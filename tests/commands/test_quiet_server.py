"""A server says nothing of pages that were closed while something was on its way to them, nor of deprecations."""

from __future__ import annotations

import os
import subprocess
import sys

TWO_TASKS_FAIL = """
import asyncio
import sys
import warnings
from tornado.websocket import WebSocketClosedError

async def fail(error):
    raise error

async def main():
    for error in WebSocketClosedError(), ValueError("this one matters"):
        asyncio.ensure_future(fail(error))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

print(sys.argv[1:])
warnings.simplefilter("always")
warnings.warn("an option is going away", DeprecationWarning)
asyncio.run(main())
"""


def test_a_task_that_fails_is_told_of_unless_only_its_page_was_closed(tmp_path):
    (tmp_path / "some_server.py").write_text(TWO_TASKS_FAIL)
    command = [sys.executable, "-m", "workbench.commands.quiet_server", "some_server", "--port=1"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    program = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert program.stdout == "['--port=1']\n"
    assert "ValueError: this one matters" in program.stderr
    assert "WebSocketClosedError" not in program.stderr
    assert "going away" not in program.stderr

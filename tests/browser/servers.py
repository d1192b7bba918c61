"""Servers as programs of their own: started, waited for, ended with everything they started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import workbench.widgets

TEMPLATES = Path(workbench.widgets.__file__).parent / "share"
PATIENCE_SECONDS = 240
"""On a crowded machine; nothing waits that long unless it is stuck."""


@dataclass(frozen=True)
class Server:
    """A server that answers, its process, and the folder with its log and its history."""

    address: str
    process: subprocess.Popen
    data: Path

    def workers(self) -> list[psutil.Process]:
        """The workers of all its kernels."""
        return self._running("workbench.core.worker")

    def kernels(self) -> list[psutil.Process]:
        """The kernels of all its pages."""
        return self._running("ipykernel_launcher")

    def _running(self, module: str) -> list[psutil.Process]:
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if module in _command_line(process)]


def _command_line(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
        return process.cmdline()
    return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(module: str, arguments: list[str], data: Path, *, ready: str) -> Iterator[Server]:
    port = free_port()
    environment = os.environ | {"WORKBENCH_DATA": str(data), "JUPYTER_PATH": str(TEMPLATES)}
    with (data / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, f"--port={port}"], env=environment, stdout=log, stderr=log
        )
        try:
            wait_until_it_answers(process, f"http://127.0.0.1:{port}/{ready}", data / "server.log")
            yield Server(f"http://127.0.0.1:{port}", process, data)
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def wait_until_it_answers(server: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.1)  # the server says nowhere else that it listens
    pytest.fail(f"the server did not come up:\n{log.read_text()[-2000:]}", pytrace=False)

"""The commands that open the workbench: started, looked at and ended as a person does it at a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
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

from tests.browser import the_page
from tests.browser.servers import PATIENCE_SECONDS, free_port, wait_until_it_answers

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*\?token=\S+")


@dataclass(frozen=True)
class Started:
    """A command under way in a process group of its own, as a terminal makes it."""

    process: subprocess.Popen
    port: int
    address: str
    log: Path

    def settled(self) -> list[psutil.Process]:
        """Everything it has started, once each kernel is up: one that is interrupted before says so at length.

        Looks twice: a process that has just been made bears its parent's name until it has one of its own.
        """
        before: list[str] = []
        while True:
            below, lines = self._below()
            if count("ipykernel", lines) == count("workbench.core.worker", lines) and lines == before:
                return below
            before = lines
            time.sleep(0.5)  # processes tell nobody that they come

    def end_kernels(self) -> None:
        """End those that a browser has started, as its Kernel menu does; also one that it asked for just before."""
        kernels, token = f"http://127.0.0.1:{self.port}/api/kernels", self.address.partition("token=")[2]
        looks_without = 0
        while looks_without < 3:
            for kernel in json.loads(asked(kernels, token)):
                asked(f"{kernels}/{kernel['id']}", token, method="DELETE")
            looks_without = 0 if count("ipykernel", self._below()[1]) else looks_without + 1
            time.sleep(0.5)

    def _below(self) -> tuple[list[psutil.Process], list[str]]:
        """Everything it has started, and the same in words."""
        below, lines = psutil.Process(self.process.pid).children(recursive=True), []
        for process in below:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                lines.append(f"{process.pid} {' '.join(process.cmdline())}")
        return below, lines


def count(name: str, lines: list[str]) -> int:
    return sum(name in line for line in lines)


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[Started]:
    """``workbench …`` on a free port, from the moment at which it has printed its address."""
    port, log = free_port(), folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench.commands.cli", *arguments, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"WORKBENCH_DATA": str(folder), "JUPYTERLAB_WORKSPACES_DIR": str(folder)},
            start_new_session=True,
            preexec_fn=let_it_be_interrupted,
        )
    try:
        address = printed_address(process, log)
        wait_until_it_answers(process, address, log)  # JupyterLab prints it a little before
        yield Started(process, port, address, log)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def let_it_be_interrupted() -> None:
    """A shell makes what it runs in the background deaf to Ctrl-C, and these tests may be such."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def printed_address(process: subprocess.Popen, log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := ADDRESS.search(log.read_text()):
            return found[0]
        time.sleep(0.1)  # a file tells nobody that it grew
    pytest.fail(f"no address was printed:\n{log.read_text()[-2000:]}", pytrace=False)


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def landed_at(address: str) -> str:
    """Where a browser without cookies ends up."""
    with DIRECT.open(address, timeout=PATIENCE_SECONDS) as answer:
        return answer.url


def asked(address: str, token: str, method: str = "GET") -> bytes:
    """What the server's own interface answers."""
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"}, method=method)
    with DIRECT.open(request, timeout=PATIENCE_SECONDS) as answer:
        return answer.read()


ONLY_APP, ONLY_LAB = (
    pytest.mark.parametrize("command", [name], indirect=True, scope="module") for name in ("app", "lab")
)
FLAGS = {"app": [], "lab": ["--no-browser"]}


@pytest.fixture(scope="module", params=list(FLAGS))
def command(request, tmp_path_factory) -> Iterator[Started]:
    """``workbench app``, then ``workbench lab``."""
    with started(tmp_path_factory.mktemp(request.param), request.param, *FLAGS[request.param]) as command:
        yield command


@ONLY_APP
def test_the_page_opens_at_the_printed_address_and_measures(command, open_page):
    page = open_page(command.address)
    the_page.drawn(page)
    the_page.finished(page)
    assert page.errors == []
    page.context.close()


@ONLY_APP
def test_a_second_one_on_the_same_port_says_which_port_to_take(command):
    second = subprocess.run(
        [sys.executable, "-m", "workbench.commands.cli", "app", "--port", str(command.port)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert second.returncode == 1
    assert re.fullmatch(rf"workbench: port {command.port} can't be used .*--port {command.port + 1}\n", second.stderr)


@ONLY_LAB
def test_jupyterlab_opens_the_notebook_at_the_printed_address(command, open_page):
    page = open_page(command.address)
    page.locator(".jp-Notebook .jp-CodeCell").get_by_text("wb.show()").wait_for()
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()  # its kernel has come
    page.context.close()
    command.end_kernels()


def test_it_has_printed_its_address_and_how_to_end_it_and_nothing_else(command):
    printed = command.log.read_text().strip().splitlines()
    assert len(printed) == 2
    assert command.address in printed[0]
    assert printed[1] == "Stop it with Ctrl-C."


def test_nobody_else_on_the_network_can_reach_it(command):
    everything = [psutil.Process(command.process.pid), *command.settled()]
    sockets = [socket for process in everything for socket in process.net_connections("inet")]
    listening = {socket.laddr for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert command.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_it_opens_with_the_printed_token_and_not_without(command):
    address = command.address.partition("?")[0]
    assert "/login" not in landed_at(command.address)
    assert "/login" in landed_at(address)
    assert "/login" in landed_at(f"{address}?token=guessed")


def test_one_press_of_ctrl_c_ends_it_quietly_and_leaves_no_process_behind(command):
    below = command.settled()
    os.killpg(command.process.pid, signal.SIGINT)
    command.process.wait(PATIENCE_SECONDS)
    _, left = psutil.wait_procs(below, timeout=PATIENCE_SECONDS)
    assert left == []
    assert "Traceback" not in command.log.read_text()

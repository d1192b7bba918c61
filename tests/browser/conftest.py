"""One Voila server, one JupyterLab server and one browser for the whole suite, with the real core behind them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import workbench.widgets

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SCREENSHOTS = Path(__file__).parent / "screenshots"
TEMPLATES = Path(workbench.widgets.__file__).parent / "share"
_CHROMIUM_FLAGS = (
    "--no-sandbox",  # the suite may run as root in a container, where Chromium's sandbox can't start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 60_000
"""A run on a crowded machine; nothing waits that long unless it is stuck."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.fail("the browser tests need Chromium; install it with: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def voila(tmp_path_factory) -> Iterator[str]:
    """The address of the page that Voila serves."""
    command = [
        str(NOTEBOOKS / "workbench.ipynb"),
        "--no-browser",
        "--token=",
        "--VoilaConfiguration.template=workbench",
    ]
    command += ["--VoilaConfiguration.allow_theme_override=YES", "--Voila.log_level=ERROR"]
    with served("voila", command, tmp_path_factory.mktemp("voila"), ready="voila/static/voila.js") as address:
        yield address


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[str]:
    """The address of JupyterLab with the template notebook open."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(NOTEBOOKS / "workbench.ipynb", folder)
    command = [f"--ServerApp.root_dir={folder}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    command += ["--ServerApp.log_level=ERROR", "--LabApp.expose_app_in_browser=True"]
    with served("jupyterlab", command, folder, ready="api") as address:
        yield f"{address}/lab/tree/workbench.ipynb"


@contextmanager
def served(module: str, arguments: list[str], data: Path, *, ready: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"WORKBENCH_DATA": str(data), "JUPYTER_PATH": str(TEMPLATES)}
    with (data / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, f"--port={port}"], env=environment, stdout=log, stderr=log
        )
        try:
            wait_until_it_answers(server, f"http://127.0.0.1:{port}/{ready}", data / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def wait_until_it_answers(server: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except OSError:
            time.sleep(0.1)  # the server says nowhere else that it listens
    pytest.fail(f"the server did not come up:\n{log.read_text()[-2000:]}", pytrace=False)


@pytest.fixture(scope="session")
def open_page(browser):
    """Open an address in a window of its own and note what crosses its wires."""

    def open_page(address: str, *, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.frames_received, page.requests_made, page.errors = [], [], []
        note = lambda payload: page.frames_received.append((time.monotonic(), len(payload)))  # noqa: E731
        page.on("websocket", lambda websocket: websocket.on("framereceived", note))
        page.on("request", lambda request: page.requests_made.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address)
        return page

    return open_page


@pytest.fixture(scope="session")
def picture():
    """Write a screenshot of a main state of the page, to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SCREENSHOTS / f"{name}.png")

"""A real Chromium on a real page served by `workbench app`, with clocks inside the page."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
from playwright.sync_api import Page, WebSocket, sync_playwright

from workbench.receipt import Interval

CHROMIUM = {
    "executable_path": next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None),
    "args": [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ],
}

WORKING = "['working', 'training'].includes(benchPhase())"
"""JavaScript: whether the page says that it is at work."""

_CLOCKS = """
window.benchClicked = 0;
addEventListener("click", () => (window.benchClicked = performance.now()), true);
addEventListener("input", () => (window.benchClicked = performance.now()), true);
window.benchPhase = () => document.querySelector(".wb-run-progress")?.dataset.phase;
window.benchFresh = () => [0, 2].every((i) => document.querySelectorAll(".wb-figure")[i]?.dataset.mark === "");
window.benchWhen = (condition) => new Promise((resolve) => {
  const look = () => condition() && (observer.disconnect(), resolve(performance.now()));
  const observer = new MutationObserver(look);
  observer.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
});
"""


@dataclass
class Traffic:
    """Bytes that crossed the wires of a page that are watched."""

    frames: list[tuple[float, int]] = field(default_factory=list)

    def watch(self, socket: WebSocket) -> None:
        """Count every frame of ``socket``."""
        for name in ("framesent", "framereceived"):
            socket.on(name, lambda payload: self.frames.append((time.monotonic(), len(payload))))

    def watch_http(self, page: Page) -> None:
        """Count every response of ``page`` too, as it crossed the wire: nothing for what the browser had kept."""
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        note = lambda event: self.frames.append((time.monotonic(), int(event["encodedDataLength"])))  # noqa: E731
        session.on("Network.loadingFinished", note)

    def total(self, since: float = 0.0) -> int:
        """Bytes since a moment of ``time.monotonic``."""
        return sum(size for at, size in self.frames if at >= since)


@dataclass
class Served:
    """A running ``workbench app``."""

    address: str
    seconds_to_ready: float
    process: psutil.Process

    def wait_until_idle(self, timeout: float = 180) -> None:
        """Wait until the server, its kernels and their workers have used no processor time for two seconds."""
        deadline = time.monotonic() + timeout
        quiet_since = None
        while time.monotonic() < deadline:
            before = self._cpu_seconds()
            time.sleep(0.5)
            if self._cpu_seconds() - before > 0.05:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > 2:
                return
        raise TimeoutError(f"the workbench is still busy after {timeout} s")

    def _cpu_seconds(self) -> float:
        total = 0.0
        for process in [self.process, *self.process.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total


@contextlib.contextmanager
def served(port: int = 8877) -> Iterator[Served]:
    """Serve the page with a history of its own, and end the server afterwards."""
    with tempfile.TemporaryDirectory() as data:
        started = time.monotonic()
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench.commands.cli", "app", "--port", str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "WORKBENCH_DATA": data},
        )
        try:
            for line in server.stdout:
                if found := re.search(r"ready at (\S+)", line):
                    yield Served(found[1], time.monotonic() - started, psutil.Process(server.pid))
                    return
            raise RuntimeError(f"workbench app ended with exit code {server.wait()}")
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def opened(address: str) -> Iterator[tuple[Page, Traffic, float]]:
    """Open the page; gives it with its traffic and the seconds until its toggles could be used."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        traffic = Traffic()
        page.on("websocket", traffic.watch)
        page.add_init_script(_CLOCKS)
        started = time.monotonic()
        page.goto(address)
        page.get_by_role("switch", name="Quantize").wait_for(timeout=120_000)
        yield page, traffic, time.monotonic() - started
        browser.close()


def milliseconds_until(page: Page, condition: str, act) -> float:
    """Milliseconds from the click or input that ``act`` makes until ``condition`` (JavaScript) holds in the page."""
    page.evaluate(f"window.benchDone = benchWhen(() => {condition}); 0")
    act()
    return page.evaluate("benchDone") - page.evaluate("benchClicked")


def wait_for_phase(page: Page, *phases: str) -> float:
    """Wait until the page's progress line is in one of ``phases``; returns when, by the page's clock, in milliseconds.

    The page tells by itself: asking it again and again would have it draw sixty times a second, beside the very
    calls that are timed. A run that failed raises with its message.
    """
    at = page.evaluate(f"benchWhen(() => {[*phases, 'failed']}.includes(benchPhase()))")
    if page.evaluate("benchPhase()") == "failed":
        raise RuntimeError(page.locator(".wb-run-progress .wb-alert").inner_text())
    return at


def shown_speedup(page: Page) -> Interval:
    """The speed-up as the page shows it: its interval, and the middle of that, the interval being symmetric in logs."""
    shown = re.search(r"([\d.,]+) – ([\d.,]+)×( slower)?", page.locator(".wb-figure").nth(1).inner_text())
    low, high = (float(number.replace(",", "")) for number in shown.groups()[:2])
    if shown[3]:
        low, high = 1 / high, 1 / low
    return Interval(value=math.sqrt(low * high), low=low, high=high)

"""One browser, and one server and one shared page for each place where the page lives, with the real core behind."""

from __future__ import annotations

import re
import shutil
import time
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import hosts, the_page
from tests.browser.servers import PATIENCE_SECONDS

HERE = Path(__file__).parent
SCREENSHOTS = HERE / "screenshots"
_CHROMIUM_FLAGS = (
    "--no-sandbox",  # the suite may run as root in a container, where Chromium's sandbox can't start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items):
    """A test here may start a server and open a page before it does anything, and wait for several runs."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(4 * PATIENCE_SECONDS))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        pytest.fail("the browser tests need Chromium; install it with: apt-get install chromium", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["voila", "lab"])
def host(request, tmp_path_factory) -> Iterator[hosts.Host]:
    """Voila, then JupyterLab."""
    with getattr(hosts, request.param)(tmp_path_factory.mktemp(request.param)) as host:
        yield host


@pytest.fixture(scope="session")
def page(host, open_page, picture) -> Iterator[Page]:
    """The page that most tests share; it has shown its first figures."""
    page = host.open(open_page)
    picture(page, f"{host.name}-starting")
    the_page.finished(page)
    page.bytes_of_opening = sum(size for _, size in page.frames_received)
    yield page
    assert page.errors == []
    page.context.close()


@pytest.fixture
def plain(page) -> Page:
    """The shared page as it opens, whatever the test before left behind: the run of the plain model is the one shown.

    It may be under way still: a toggle overtakes it. Who reads its figures asks for :func:`measured`.
    """
    the_page.tab(page, "Layers")
    reset = page.get_by_role("button", name="Start over")
    if reset.is_enabled():
        reset.click()
        page.wait_for_function("(button) => button.disabled", arg=reset.element_handle())  # the new run is shown
    the_page.wait_for_recipe(page, the_page.IS_PLAIN)  # code is written last
    if the_page.phase_of(page) in ("cancelled", "failed") or page.get_by_text("From the history").count():
        the_page.run_again(page)
    return page


@pytest.fixture
def measured(plain) -> Page:
    """The shared page as it opens, and the figures of the plain model are there: its run is over."""
    the_page.finished(plain)
    return plain


@pytest.fixture(scope="session", autouse=True)
def _shorter_comparisons(_short_comparisons):
    """How wide intervals are is no question of the page's: it shows what it is told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_COMPARISON_SECONDS", "0.5")
        yield


DATE = re.compile(rb'"date": ?"([^"]+)"')


def sent_at(payload: bytes | str) -> float:
    """When the kernel sent a message, in seconds; a busy machine may hand over several of its moments at once."""
    date = DATE.search(payload if isinstance(payload, bytes) else payload.encode())
    return datetime.fromisoformat(date[1].decode()).timestamp() if date else time.time()


def is_jupyterlab_s_own(stack: str) -> bool:
    """Whether only its code was under way: a widget's comes from a blob, the widget manager's from an extension."""
    places = re.findall(r"(?:https?|blob|data):[^\s)]*", stack)
    return bool(places) and all("/static/lab/" in place for place in places)


@pytest.fixture(scope="session")
def open_page(browser):
    """Open an address in a window of its own and note what crosses its wires."""

    def note_error(page: Page, stack: str) -> None:
        if is_jupyterlab_s_own(stack):
            warnings.warn(f"an error of JupyterLab's own: {stack}", stacklevel=1)
        else:
            page.errors.append(stack)

    def open_page(address: str, *, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        page.frames_received, page.requests_made, page.errors = [], [], []
        note = lambda payload: page.frames_received.append((sent_at(payload), len(payload)))  # noqa: E731
        page.on("websocket", lambda websocket: websocket.on("framereceived", note))
        page.on("request", lambda request: page.requests_made.append(request.url))
        page.on("pageerror", lambda error: note_error(page, error.stack or str(error)))
        page.goto(address)
        return page

    return open_page


@pytest.fixture(scope="session")
def picture():
    """Write a screenshot of a main state of the page, to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SCREENSHOTS / f"{name}.png")

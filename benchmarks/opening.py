"""How the page opens, as browsers tell it: the largest paint, what jumps, what crosses the wire; and the story told."""

from __future__ import annotations

import time

from playwright.sync_api import Page, sync_playwright

from benchmarks._browser import CHROMIUM, Served, Traffic, opened, served, wait_for_phase
from benchmarks._report import Row

_PAINTS = """
window.benchPaint = {largest: 0, shift: 0};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) benchPaint.largest = entry.startTime;
}).observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) benchPaint.shift += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
_DONE = "document.querySelector('.wb-run-progress')?.dataset.phase === 'finished'"


def measure() -> list[Row]:
    """Visit the page three times in one browser, then follow a recipe of two steps to the end of its waterfall."""
    with served() as app:
        paints, last_bytes = _visits(app)
        with opened(app.address) as (page, _, _):
            wait_for_phase(page, "finished")
            app.wait_until_idle()
            story_s = _waterfall_s(page)
    largest = max(paint["largest"] for paint in paints) / 1000
    shift = max(paint["shift"] for paint in paints)
    return [
        Row(
            "largest contentful paint of the opening (worst of 3)",
            "≤ 1.5 s",
            f"{largest:.2f} s",
            largest <= 1.5,
            {"paints": paints},
        ),
        Row("layout shift until idle (worst of 3)", "≤ 0.02", f"{shift:.3f}", shift <= 0.02, {"paints": paints}),
        Row(
            "bytes of a later visit, page open to idle",
            "≤ 2 MB",
            f"{last_bytes / 1e6:.2f} MB",
            last_bytes <= 2e6,
            {"bytes": last_bytes},
        ),
        Row(
            "Done → waterfall of engine and two steps complete",
            "≤ 10 s",
            f"{story_s:.1f} s",
            story_s <= 10,
            {"s": story_s},
        ),
    ]


def _visits(app: Served) -> tuple[list[dict[str, float]], int]:
    """What each of three visits of one browser painted, and the bytes that crossed the wire in the last."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_init_script(_PAINTS)
        paints = []
        for _ in range(3):
            page, traffic = context.new_page(), Traffic()
            page.on("websocket", traffic.watch)
            traffic.watch_http(page)
            page.goto(app.address)
            page.wait_for_selector(".wb-page[data-drawn]", timeout=120_000)
            page.wait_for_timeout(500)
            largest = page.evaluate("benchPaint.largest")  # what opening paints; notes on a run come at its end
            page.wait_for_function(_DONE, timeout=120_000)
            app.wait_until_idle()
            paints.append({"largest": largest, "shift": page.evaluate("benchPaint.shift")})
            page.close()
        browser.close()
    return paints, traffic.total()


def _waterfall_s(page: Page) -> float:
    """Seconds from Done until every bar is known: the engine, weights pruned without fine-tuning, and int8."""
    page.get_by_role("radio", name="native", exact=True).click()
    wait_for_phase(page, "finished")
    page.get_by_role("switch", name="Prune").click()
    page.get_by_role("radio", name="weights", exact=True).click()
    page.locator("[data-step=prune]").get_by_label("Fine-tuning").press("Home")
    page.get_by_role("switch", name="Quantize").click()
    wait_for_phase(page, "working", "training")
    wait_for_phase(page, "finished")
    done = time.monotonic()
    complete = "document.querySelectorAll('.wb-fall-bar[data-pending]').length === 0"
    page.wait_for_function(f"document.querySelectorAll('.wb-waterfall-chart li').length >= 15 && {complete}")
    return time.monotonic() - done

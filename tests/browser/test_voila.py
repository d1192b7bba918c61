"""What only a page of its own has to keep, its place on the screen and other pages beside it, and the longest runs,
for which one host is enough."""

from __future__ import annotations

import pytest

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA

WAITING = "waiting: another notebook is measuring on this machine"

LARGEST = """
window.largest = "";
new PerformanceObserver((list) => {
    for (const { element } of list.getEntries()) largest = element.textContent.trim();
}).observe({ type: "largest-contentful-paint", buffered: true });
"""
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def too_small(page, *selectors: str) -> list[str]:
    """Which of these parts of the page hold more than they show, downwards or sideways."""
    smaller = "(part) => part.scrollHeight > part.clientHeight + 1 || part.scrollWidth > part.clientWidth + 1"
    return [selector for selector in selectors if page.locator(selector).evaluate(smaller)]


@ONLY_VOILA
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720)])
def test_everything_is_on_one_screen(measured, picture, width, height):
    measured.set_viewport_size({"width": width, "height": height})
    assert too_small(measured, "html", "[aria-label=Figures]", "[aria-label=Toggles]", "[aria-label=Recipe]") == []
    picture(measured, f"{width}x{height}")
    measured.set_viewport_size({"width": 1440, "height": 900})


@ONLY_VOILA
def test_with_every_toggle_on_nothing_is_cut_off_and_at_most_their_own_column_scrolls(plain, picture):
    for title in the_page.switches(plain):
        the_page.turn(plain, title, True)
    the_page.cancel(plain).click()  # it would train, and how that ends is other tests' question
    the_page.at_rest(plain)
    picture(plain, "every-toggle-on")
    assert too_small(plain, "html", "[aria-label=Figures]", "[aria-label=Recipe]") == []


@ONLY_VOILA
def test_a_later_visit_fetches_what_it_draws_with_no_more_and_nothing_jumps(host, open_page):
    page = host.open(open_page)
    page.locator(".js-plotly-plot").first.wait_for()
    assert max(size for _, size in page.frames_received) > 1_000_000
    page.frames_received.clear()
    page.add_init_script(SHIFTS + LARGEST)
    page.reload()
    page.locator(".wb-page[data-drawn]").wait_for()
    assert page.evaluate("largest").startswith("Opening the workbench")
    page.locator(".js-plotly-plot").first.wait_for()
    the_page.finished(page)
    assert sum(size for _, size in page.frames_received) < 1_500_000
    assert page.evaluate("shifted") < 0.05
    assert page.errors == []
    host.close(page)


@ONLY_VOILA
def test_two_open_pages_measure_in_turn_and_each_gets_its_own_results(plain, host, open_page):
    other = host.open(open_page)
    pages = {"int8-dynamic": plain, "bf16": other}
    for scheme, page in pages.items():
        the_page.turn(page, "Quantize", True)
        the_page.choose(page, "Quantize", "Scheme", scheme)
    for page in pages.values():
        the_page.finished(page)
    plain.get_by_role("button", name="Measure again").click()
    the_page.phase(plain, "working")
    the_page.fresh(plain, "Latency, median")  # it measures now
    other.get_by_role("button", name="Measure again").click()  # prepared by now, so it comes to measure at once
    other.get_by_text(WAITING).first.wait_for()
    for scheme, page in pages.items():
        the_page.finished(page)
        assert the_page.recipe(page)["steps"][0]["scheme"] == scheme
    assert the_page.figures(plain)[3] != the_page.figures(other)[3]
    host.close(other)


@ONLY_VOILA
@pytest.mark.parametrize("engine", ["eager", "compiled", "onnxruntime", "openvino"])
def test_each_engine_measures_and_says_what_ran(plain, engine):
    the_page.choose(plain, "Run on", "Engine", engine)
    the_page.fresh(plain, "Latency, median")
    the_page.finished(plain)
    assert the_page.recipe(plain)["place"]["engine"] == engine
    twin = plain.get_by_role("region", name="Latency", exact=False).locator("table").first
    assert engine in twin.text_content()


@ONLY_VOILA
def test_a_dragged_slider_never_sticks_and_its_last_value_wins(plain):
    drag = """async (slider) => {
        for (let n = 0; n < 60; n += 1) {
            slider.value = n % 2 ? slider.max : n % 10;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
        slider.value = 3;
        slider.dispatchEvent(new Event("input", { bubbles: true }));
        slider.dispatchEvent(new Event("change", { bubbles: true }));
    }"""
    batch = plain.get_by_label("Batch", exact=True)
    batch.evaluate(drag)
    the_page.wait_for_recipe(plain, "r.place.batch === 8")
    the_page.finished(plain)
    assert batch.input_value() == "3"
    assert the_page.recipe(plain)["place"]["batch"] == 8

"""The page as a visitor sees it: the real core, the real server, real Chromium."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.browser import the_page

LIVE_UPDATE_BYTES = 20_000
OPENING_BYTES = 7_000_000
FLUSH_SECONDS = 0.09  # the pump writes at most ten times a second: what comes within this is one update
PLACE_OF_AN_INT8_POINT = """(plot) => {
    for (const { text, x, y } of plot.data) {
        const index = (text ?? []).findIndex((label) => label.includes("int8"));
        if (index < 0) continue;
        const { xaxis, yaxis } = plot._fullLayout;
        const { left, top } = plot.getBoundingClientRect();
        return [left + xaxis._offset + xaxis.d2p(x[index]), top + yaxis._offset + yaxis.d2p(y[index])];
    }
}"""


@pytest.fixture(scope="module")
def page(open_page, voila, picture):
    page = open_page(voila)
    page.wait_for_selector(".wb-figures")
    picture(page, "starting")
    page.wait_for_selector(".wb-switch")
    the_page.finished(page)
    page.wait_for_selector(".js-plotly-plot")
    yield page
    assert page.errors == []


@pytest.fixture(autouse=True)
def _plain_again(page):
    """What one test leaves behind must not fail the next."""
    yield
    reset = page.get_by_role("button", name="Start over")
    if reset.is_enabled():
        reset.click()
        page.wait_for_function("(button) => button.disabled", arg=reset.element_handle())  # the new run is shown
        the_page.finished(page)


def test_it_opens_on_measured_figures(page, picture):
    picture(page, "baseline")
    latency, _, accuracy, size = the_page.figures(page)
    assert latency.endswith("ms")
    assert accuracy.endswith("%")
    assert size[0].isdigit()


def test_the_page_asks_for_nothing_outside_this_machine(page, voila):
    assert [url for url in page.requests_made if not url.startswith((voila, "blob:", "data:"))] == []


def test_opening_it_takes_no_more_bytes_than_promised(page):
    assert sum(size for _, size in page.frames_received) <= OPENING_BYTES


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720)])
def test_everything_is_on_one_screen(page, picture, width, height):
    page.set_viewport_size({"width": width, "height": height})
    for part in (
        "document.scrollingElement",
        'document.querySelector(".wb-main")',
        'document.querySelector(".wb-side")',
    ):
        assert page.evaluate(f"{part}.scrollHeight <= {part}.clientHeight + 1"), part
        assert page.evaluate(f"{part}.scrollWidth <= {part}.clientWidth + 1"), part
    picture(page, f"{width}x{height}")
    page.set_viewport_size({"width": 1440, "height": 900})


def test_quantizing_changes_the_figures_live_within_small_messages(page, picture):
    before = the_page.figures(page)
    start = len(page.frames_received)
    the_page.turn(page, "Quantize", True)
    the_page.phase(page, "working")
    the_page.finished(page)
    picture(page, "quantized")
    assert the_page.figures(page)[3] != before[3]
    assert "int8" in page.locator(".wb-layer-table").inner_text()
    frames = page.frames_received[start:]
    updates = {}
    for moment, size in frames:
        updates[int(moment / FLUSH_SECONDS)] = updates.get(int(moment / FLUSH_SECONDS), 0) + size
    assert max(updates.values()) <= LIVE_UPDATE_BYTES


def test_a_point_of_the_plot_brings_its_recipe_back(page):
    the_page.turn(page, "Quantize", True)
    the_page.wait_for_recipe(page, "r.steps.length === 1")
    the_page.finished(page)
    the_page.turn(page, "Quantize", False)
    the_page.wait_for_recipe(page, "r.steps.length === 0")
    the_page.finished(page)
    plot = page.locator(".wb-pareto-plot .js-plotly-plot").element_handle()
    x, y = page.wait_for_function(PLACE_OF_AN_INT8_POINT, arg=plot).json_value()
    page.mouse.move(x - 2, y)
    page.mouse.move(x, y)
    page.locator(".wb-pareto-plot .hoverlayer .hovertext").wait_for()
    page.mouse.click(x, y)
    the_page.wait_for_recipe(page, "r.steps.some((step) => step.do === 'quantize')")
    the_page.finished(page)


def test_the_table_twin_does_the_same_by_keyboard(page):
    the_page.turn(page, "Quantize", True)
    the_page.wait_for_recipe(page, "r.steps.length === 1")
    the_page.finished(page)
    twin = page.locator(".wb-pareto-plot details")
    twin.locator("summary").focus()
    page.keyboard.press("Enter")
    plain = twin.get_by_role("button", name="fp32").first
    plain.focus()
    page.keyboard.press("Enter")
    the_page.wait_for_recipe(page, "r.steps.length === 0")
    twin.locator("summary").click()
    the_page.finished(page)


def test_every_toggle_and_every_choice_reaches_the_recipe(page):
    for title in page.get_by_role("switch").all_inner_texts():
        the_page.turn(page, title, True)
        name = title.lower()
        the_page.wait_for_recipe(page, f"r.steps.some((step) => step.do === '{name}')")
        card = page.get_by_role("region", name=title, exact=True)
        offered = card.locator('[role="radio"]:visible:not([aria-disabled])')
        for value in offered.evaluate_all("(radios) => radios.map((radio) => radio.dataset.value)"):
            choice = card.locator(f'[role="radio"][data-value="{value}"]')
            if choice.is_visible():  # another choice may have made it pointless
                choice.click()
                the_page.wait_for_recipe(
                    page, f"Object.values(r.steps.find((step) => step.do === '{name}')).includes('{value}')"
                )
        sliders = card.locator('input[type="range"]:visible').evaluate_all("(all) => all.map((each) => each.id)")
        for slider in (page.locator(f"#{slider}") for slider in sliders):
            if not slider.is_visible():
                continue
            slider.press("Home")
            lowest = float(slider.input_value())
            the_page.wait_for_recipe(
                page, f"Object.values(r.steps.find((step) => step.do === '{name}')).includes({lowest:g})"
            )
        the_page.turn(page, title, False)
        the_page.wait_for_recipe(page, f"!r.steps.some((step) => step.do === '{name}')")
    place = page.get_by_role("region", name="Place", exact=True)
    for choice in place.locator('[role="radio"]:visible:not([aria-disabled])').all():
        choice.click()
        the_page.wait_for_recipe(page, f"Object.values(r.place).includes('{choice.get_attribute('data-value')}')")


def test_a_dragged_slider_never_sticks_and_its_last_value_wins(page):
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
    page.get_by_label("Batch").evaluate(drag)
    the_page.wait_for_recipe(page, "r.place.batch === 8")
    the_page.finished(page)
    assert page.get_by_label("Batch").input_value() == "3"
    assert the_page.recipe(page)["place"]["batch"] == 8


def test_training_is_live_and_cancel_stops_it(page, picture):
    the_page.turn(page, "Distill", True)
    the_page.phase(page, "training")
    page.wait_for_function('() => document.querySelector(".wb-training-plot .wb-note").textContent.includes("loss")')
    picture(page, "training")
    page.get_by_role("button", name="Cancel").click()
    the_page.phase(page, "cancelled")
    picture(page, "cancelled")


def test_a_control_that_is_not_available_says_why(page):
    refused = page.locator('[role="radio"][aria-disabled="true"]:visible').first
    refused.focus()
    reason = page.locator(".wb-reason:visible")
    assert len(reason.inner_text()) > 10
    described = page.locator(f"#{refused.get_attribute('aria-describedby')}")
    assert described.text_content() == reason.inner_text()
    before = the_page.recipe(page)
    page.keyboard.press("Enter")
    assert the_page.recipe(page) == before


def test_tabs_work_by_arrow_keys(page):
    page.get_by_role("tab", name="Layers").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name="Receipt").get_attribute("aria-selected") == "true"
    assert page.locator(".wb-receipt-view").is_visible()
    page.keyboard.press("Home")
    assert page.locator(".wb-layer-table").is_visible()


@pytest.mark.parametrize("tab", ["Layers", "Receipt", "History", "Code", "Download"])
def test_axe_finds_nothing_serious(page, tab, picture):
    page.get_by_role("tab", name=tab).click()
    picture(page, tab.lower())
    assert the_page.serious_findings(page) == []


def test_the_copied_code_repeats_the_run_in_a_fresh_process(page, tmp_path):
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("button", name="Copy as Python").click()
    page.get_by_text("Copied").wait_for()
    code = page.evaluate("navigator.clipboard.readText()")
    environment = os.environ | {"WORKBENCH_DATA": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_the_model_can_be_taken_away(page):
    page.get_by_role("tab", name="Download").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download model").click()
    assert downloading.value.suggested_filename.startswith(("model", "receipt"))
    page.get_by_text("Handed over").wait_for()


def test_after_a_reload_the_page_works_and_history_is_intact(page):
    page.reload()
    page.wait_for_selector(".wb-switch")
    the_page.finished(page)
    page.get_by_role("tab", name="History").click()
    assert page.locator(".wb-history-table tbody tr").count() >= 3

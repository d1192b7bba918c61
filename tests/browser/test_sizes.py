"""From a phone to a large screen nothing is cut off; where there is one column, the toggles are a sheet."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_LAB, ONLY_VOILA

SIZES = [(390, 844), (768, 1024), (1000, 700), (1280, 720), (1440, 900), (2560, 1440)]
ZOOMED = [(720, 450), (640, 360)]  # 1440×900 and 1280×720 at 200 %: half as many pixels of CSS each way
PHONE = (390, 844)
UNREADABLE = """() => {
    const page = document.querySelector(".wb-page");
    const scrolls = (value) => value === "auto" || value === "scroll";
    const words = (element) => [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const spoken = (element) => element.closest(".wb-offscreen") || getComputedStyle(element).clipPath !== "none";
    const found = [];
    for (const element of page.querySelectorAll("*")) {
        const drawn = element.closest("svg, option, .wb-graph"); // a graph is as wide as its model is deep
        if (drawn || !words(element) || spoken(element)) continue;
        if (!element.checkVisibility({ visibilityProperty: true })) continue;
        const tell = (what) => found.push(`${what}: ${element.className} “${element.textContent.slice(0, 40)}”`);
        const own = getComputedStyle(element);
        if (parseFloat(own.fontSize) < 12) tell("small");
        const wide = element.scrollWidth > element.clientWidth + 1;
        const high = element.scrollHeight > element.clientHeight + 1;
        if (own.display !== "inline" && own.overflowX !== "visible" && !scrolls(own.overflowX) && (wide || high))
            tell("cut off");
        const box = element.getBoundingClientRect();
        for (let around = element.parentElement; around !== page.parentElement; around = around.parentElement) {
            const { overflowX, overflowY } = getComputedStyle(around);
            const frame = around.getBoundingClientRect();
            if (overflowX !== "visible" && (box.right > frame.right + 1 || box.left < frame.left - 1))
                tell("beyond the side");
            if (scrolls(overflowY)) break; // below is where one scrolls to
            if (overflowY !== "visible" && (box.bottom > frame.bottom + 1 || box.top < frame.top - 1))
                tell("beyond the end");
        }
    }
    return found;
}"""
SCROLLS_SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll(".wb-page, .wb-page > *, .wb-main")]
    .filter((part) => part.scrollWidth > part.clientWidth + 1).map((part) => part.className)"""


@pytest.fixture
def sized(plain):
    """The shared page in a window of another size, and as before after it."""
    before = plain.viewport_size

    def sized(width: int, height: int) -> Page:
        plain.set_viewport_size({"width": width, "height": height})
        plain.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        return plain

    yield sized
    plain.set_viewport_size(before)


def sheet_button(page: Page):
    return page.get_by_role("button", name="Recipe", exact=True)


@pytest.mark.usefixtures("measured")
@ONLY_VOILA
@pytest.mark.parametrize(("width", "height"), SIZES + ZOOMED)
def test_nothing_is_cut_off_or_tiny_and_nothing_scrolls_sideways(sized, picture, width, height):
    page = sized(width, height)
    picture(page, f"plain-{width}x{height}")
    assert page.evaluate(SCROLLS_SIDEWAYS) == []
    assert page.evaluate(UNREADABLE) == []


@ONLY_VOILA
@pytest.mark.parametrize(("width", "height"), [PHONE, (1280, 720)])
def test_nothing_is_cut_off_either_of_a_recipe_with_steps(sized, picture, width, height):
    page = sized(1440, 900)
    the_page.choose(page, "Run on", "Engine", "native")
    the_page.turn(page, "Quantize", True)
    the_page.finished(page)
    sized(width, height)
    picture(page, f"steps-{width}x{height}")
    assert page.evaluate(SCROLLS_SIDEWAYS) == []
    assert page.evaluate(UNREADABLE) == []
    sized(1440, 900)


@pytest.mark.usefixtures("measured")
@ONLY_VOILA
def test_no_tab_is_cut_off_on_a_phone(sized):
    page = sized(*PHONE)
    for name in ("Summary", "History", "Take away"):
        the_page.tab(page, name)
        assert (name, page.evaluate(UNREADABLE)) == (name, [])


@pytest.mark.usefixtures("measured")
@ONLY_VOILA
def test_the_plot_keeps_its_height_in_a_low_window(sized):
    assert sized(1280, 720).locator(".wb-pareto-plot .main-svg").first.bounding_box()["height"] >= 150


@pytest.mark.usefixtures("measured")
@ONLY_VOILA
def test_verdict_and_footer_together_take_a_fifth_of_a_phone_at_most(sized):
    page = sized(*PHONE)
    high = [page.locator(part).bounding_box()["height"] for part in (".wb-verdict-line", ".wb-footer")]
    assert sum(high) <= PHONE[1] / 5


@ONLY_VOILA
def test_the_verdict_stays_in_sight_however_far_one_scrolls_down_a_phone(sized):
    page = sized(*PHONE)
    page.locator(".wb-main").evaluate("(main) => main.scrollTo(0, main.scrollHeight)")
    expect(page.get_by_role("tab", name="Layers", exact=True)).to_be_attached()
    expect(page.locator(".wb-clauses")).to_be_in_viewport(ratio=1)
    page.locator(".wb-main").evaluate("(main) => main.scrollTo(0, 0)")


@pytest.mark.usefixtures("measured")
@ONLY_VOILA
def test_the_toggles_are_a_sheet_that_takes_the_focus_and_escape_gives_it_back(sized, picture):
    page = sized(*PHONE)
    toggle, button = the_page.switch(page, "Quantize"), sheet_button(page)
    expect(toggle).to_be_hidden()
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.activeElement.classList.contains('wb-side')")
    expect(toggle).to_be_in_viewport(ratio=1)
    assert the_page.card(page, "Model").get_by_text("fashion-cnn").bounding_box()["width"] > 40  # what is set is told
    the_page.tab_to(page, toggle)
    picture(page, "sheet-390x844")
    assert page.evaluate(UNREADABLE) == []
    assert the_page.serious_findings(page) == []
    page.keyboard.press("Escape")
    expect(toggle).to_be_hidden()
    expect(button).to_be_focused()


@ONLY_VOILA
def test_a_window_made_wide_has_its_toggles_beside_the_figures_again(sized):
    page = sized(*PHONE)
    sheet_button(page).click()
    sized(1440, 900)
    expect(sheet_button(page)).to_be_hidden()
    expect(page.get_by_role("main")).not_to_have_attribute("inert", "")
    expect(the_page.switch(page, "Quantize")).to_be_visible()


@pytest.mark.usefixtures("measured")
@ONLY_LAB
def test_a_narrow_cell_of_a_notebook_has_one_column_and_the_sheet_too(sized, picture):
    page = sized(900, 1000)
    page.locator(".wb-page").scroll_into_view_if_needed()
    picture(page, "lab-narrow")
    assert page.evaluate("() => document.querySelector('.wb-main').scrollWidth") <= page.evaluate(
        "() => document.querySelector('.wb-page').clientWidth"
    )
    assert page.evaluate(UNREADABLE) == []
    sheet_button(page).click()
    expect(the_page.switch(page, "Quantize")).to_be_visible()
    page.keyboard.press("Escape")
    expect(the_page.switch(page, "Quantize")).to_be_hidden()

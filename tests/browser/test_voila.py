"""What only a page of its own has to keep: its place on the screen, and other pages beside it."""

from __future__ import annotations

import pytest

from tests.browser import the_page

ONLY_VOILA = pytest.mark.parametrize("host", ["voila"], indirect=True, scope="session")
WAITING = "waiting: another notebook is measuring on this machine"


@ONLY_VOILA
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720)])
def test_everything_is_on_one_screen(plain, picture, width, height):
    plain.set_viewport_size({"width": width, "height": height})
    for part in (
        "document.scrollingElement",
        "document.querySelector('[aria-label=Figures]')",
        "document.querySelector('[aria-label=Toggles]')",
    ):
        assert plain.evaluate(f"{part}.scrollHeight <= {part}.clientHeight + 1"), part
        assert plain.evaluate(f"{part}.scrollWidth <= {part}.clientWidth + 1"), part
    picture(plain, f"{width}x{height}")
    plain.set_viewport_size({"width": 1440, "height": 900})


@ONLY_VOILA
def test_two_open_pages_measure_in_turn_and_each_gets_its_own_results(plain, host, open_page):
    other = host.open(open_page)
    pages = {"int8-dynamic": plain, "bf16": other}
    for scheme, page in pages.items():
        the_page.turn(page, "Quantize", True)
        the_page.choose(page, "Quantize", "Scheme", scheme.replace("-", " "))
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
    other.context.close()

from __future__ import annotations

from tests.browser import the_page


def test_the_dark_theme_is_dark_and_readable(open_page, voila, picture):
    page = open_page(f"{voila}/?theme=dark")
    page.wait_for_selector(".wb-switch")
    the_page.turn(page, "Quantize", True)
    the_page.finished(page)
    picture(page, "dark")
    background = page.evaluate('getComputedStyle(document.querySelector(".wb-page")).backgroundColor')
    assert max(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(",")) < 80
    assert the_page.serious_findings(page) == []
    page.context.close()

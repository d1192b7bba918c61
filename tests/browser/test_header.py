"""The header: undo and redo, a link to what is shown, and the theme."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_LAB, ONLY_VOILA

BACKGROUND = "(page) => getComputedStyle(page).backgroundColor"
SCHEME = "(page) => getComputedStyle(page).colorScheme"


def quantized(page, on: bool) -> None:
    the_page.wait_for_recipe(page, f"r.steps.some((step) => step.do === 'quantize') === {str(on).lower()}")


def test_undo_and_redo_by_button_and_by_key(plain):
    the_page.turn(plain, "Quantize", True)
    plain.get_by_role("button", name="Undo", exact=True).click()
    quantized(plain, False)
    plain.get_by_role("button", name="Redo", exact=True).click()
    quantized(plain, True)
    the_page.switch(plain, "Quantize").focus()
    plain.keyboard.press("Control+z")
    quantized(plain, False)
    plain.keyboard.press("Control+Shift+z")
    quantized(plain, True)


@ONLY_VOILA
def test_starting_over_is_one_change_that_one_undo_takes_back(plain):
    the_page.turn(plain, "Quantize", True)
    plain.get_by_label("Compare with", exact=True).select_option("native")
    plain.get_by_role("button", name="Start over").click()
    quantized(plain, False)
    plain.get_by_role("button", name="Undo", exact=True).click()
    quantized(plain, True)
    expect(plain.get_by_label("Compare with", exact=True)).to_have_value("native")


@ONLY_VOILA
def test_a_copied_link_opens_on_workload_recipe_and_baseline(plain, open_page):
    plain.get_by_label("Workload", exact=True).select_option("fashion-mlp")
    plain.get_by_label("Compare with", exact=True).select_option("native")
    the_page.turn(plain, "Quantize", True)
    the_page.finished(plain)
    plain.get_by_role("button", name="Copy link").click()
    plain.get_by_role("status").get_by_text("Link copied").wait_for()
    link = plain.evaluate("navigator.clipboard.readText()")
    other = open_page(link)
    the_page.drawn(other)
    the_page.finished(other)
    expect(other.get_by_label("Workload", exact=True)).to_have_value("fashion-mlp")
    expect(other.get_by_label("Compare with", exact=True)).to_have_value("native")
    assert the_page.recipe(other) == the_page.recipe(plain)
    assert other.errors == []
    other.context.close()
    plain.get_by_label("Workload", exact=True).select_option("fashion-cnn")


@ONLY_VOILA
def test_a_link_hands_no_token_on(plain):
    before = plain.url
    plain.evaluate("history.replaceState(null, '', `?token=secret${location.hash}`)")
    plain.get_by_role("button", name="Copy link").click()
    plain.get_by_role("status").get_by_text("Link copied").wait_for()
    assert "secret" not in plain.evaluate("navigator.clipboard.readText()")
    plain.evaluate("(before) => history.replaceState(null, '', before)", before)


@ONLY_VOILA
def test_the_theme_is_the_system_s_until_one_is_chosen_which_is_remembered(measured, picture):
    page = measured.locator(".wb-page")
    assert page.evaluate(SCHEME) == "light"
    measured.emulate_media(color_scheme="dark")
    assert page.evaluate(SCHEME) == "dark"
    assert page.evaluate(BACKGROUND) == "rgb(20, 24, 29)"
    assert the_page.serious_findings(measured) == []
    measured.get_by_role("button", name="Theme: system").click()
    assert page.evaluate(SCHEME) == "light"
    measured.get_by_role("button", name="Theme: light").click()
    measured.emulate_media(color_scheme="light")
    assert page.evaluate(SCHEME) == "dark"
    measured.reload()
    the_page.drawn(measured)
    assert page.evaluate(SCHEME) == "dark"
    picture(measured, "voila-theme-dark")
    measured.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate(SCHEME) == "light"
    measured.get_by_role("button", name="Theme: system").wait_for()


@ONLY_LAB
def test_in_a_notebook_there_is_no_link_and_the_theme_is_jupyterlab_s(plain, host, open_page):
    assert plain.get_by_role("button", name="Copy link").count() == 0
    assert plain.get_by_role("button", name="Theme:").count() == 0
    with host.dark(open_page, plain) as page:
        expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
        assert page.locator(".wb-page").evaluate(SCHEME) == "dark"

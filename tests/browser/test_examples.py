"""The tab of examples: what the recipe made the model answer otherwise, and what is taken for what."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA
from tests.browser.servers import PATIENCE_SECONDS

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


DESTROYED = """r.place.engine === 'native' && r.steps.length === 1 && r.steps[0].kind === 'channels' &&
    r.steps[0].amount === 0.9 && r.steps[0].finetune_epochs === 0"""


@pytest.fixture
def destroyed(page, request) -> Page:
    """The shared page on a recipe that changes many answers and trains nothing, left by the test before or made."""
    if not the_page.rests_on(page, DESTROYED):
        plain = request.getfixturevalue("plain")
        the_page.choose(plain, "Run on", "Engine", "native")
        the_page.turn(plain, "Prune", True)
        the_page.choose(plain, "Prune", "What to remove", "channels")
        the_page.card(plain, "Prune").get_by_label("Amount").press("End")
        the_page.card(plain, "Prune").get_by_label("Fine-tuning").press("Home")
        the_page.wait_for_recipe(plain, DESTROYED)
        the_page.finished(plain)
    return page


def examples(page: Page) -> Locator:
    return page.get_by_role("region", name="Examples", exact=True)


def matrix(page: Page) -> Locator:
    return page.get_by_role("region", name="Confusion matrix")


def numbers(page: Page) -> list[int]:
    """What stands in the matrix, row by row."""
    _corner, *cells = matrix(page).get_by_role("cell").all_inner_texts()
    return [int(each.replace(",", "").replace("−", "-")) for each in cells]


def looked_at(page: Page) -> None:
    """Wait until the examples are those of the run that is shown."""
    page.wait_for_selector(".wb-examples-view[data-mark=''] .wb-examples-summary:not(:empty)")


def test_it_is_reached_and_read_by_keyboard(measured):
    the_page.tab(measured, "History")
    measured.get_by_role("tab", name="History", exact=True).focus()
    measured.keyboard.press("ArrowLeft")
    expect(measured.get_by_role("tab", name="Examples", exact=True)).to_be_focused()
    looked_at(measured)
    expect(examples(measured).get_by_role("status")).to_have_text("None of 10,000 answers changed.")
    matrix(measured).get_by_role("radio", name="now").check()  # whatever the test before left behind
    measured.get_by_role("tab", name="Examples", exact=True).focus()
    measured.keyboard.press("Tab")
    expect(examples(measured)).to_be_focused()
    measured.keyboard.press("Tab")
    expect(matrix(measured)).to_be_focused()
    measured.keyboard.press("Tab")
    measured.keyboard.press("ArrowRight")
    expect(matrix(measured).get_by_role("radio", name="change to the baseline")).to_be_checked()


def test_the_examples_that_were_lost_come_first_with_picture_target_and_both_answers(destroyed, host, picture):
    the_page.tab(destroyed, "Examples")
    looked_at(destroyed)
    picture(destroyed, f"{host.name}-examples")
    expect(examples(destroyed).get_by_role("status")).to_contain_text("of 10,000 answers changed")
    assert examples(destroyed).get_by_role("heading").first.inner_text().startswith("Lost")
    first = examples(destroyed).get_by_role("listitem").first
    assert first.get_by_role("img").evaluate("(image) => image.naturalWidth") == 28
    for word in ("target", "right:", "wrong:"):
        expect(first).to_contain_text(word)
    assert the_page.serious_findings(destroyed) == []


@ONLY_VOILA
def test_the_matrix_says_what_is_taken_for_what_now_and_what_changed_of_it(destroyed):
    the_page.tab(destroyed, "Examples")
    looked_at(destroyed)
    matrix(destroyed).get_by_role("radio", name="now").check()  # whatever the test before left behind
    assert len(numbers(destroyed)) == 100
    assert sum(numbers(destroyed)) == 10_000
    matrix(destroyed).get_by_role("radio", name="change to the baseline").click()
    changes = numbers(destroyed)
    assert sum(changes) == 0
    assert any(changes)
    assert matrix(destroyed).get_by_role("columnheader", name="answered Sandal").count() == 1


@ONLY_VOILA
def test_a_run_of_the_history_says_what_brings_its_examples(destroyed):
    the_page.tab(destroyed, "History")
    destroyed.locator(".wb-history-table .wb-link:not([aria-current])").first.click()
    the_page.stored(destroyed)
    the_page.tab(destroyed, "Examples")
    expect(examples(destroyed)).to_contain_text("“Measure again” brings the examples")
    the_page.measure_again(destroyed)
    looked_at(destroyed)

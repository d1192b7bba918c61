"""The map of what layers cost: it comes while one looks, and a click on a cell sets that layer's scheme."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA

MAP = "Sensitivity"


@pytest.fixture
def mapped(plain):
    """The shared page with the whole map of the plain model."""
    the_page.tab(plain, "Sensitivity")
    status(plain).filter(has_text="click a cell").wait_for()
    plain.wait_for_function(
        "!/ % /.test(document.querySelector('.wb-sensitivity-tools [role=status]').textContent)", timeout=180_000
    )
    return plain


def status(page):
    return page.get_by_role("region", name=MAP).get_by_role("status")


def cell(page, layer, scheme):
    return page.get_by_role("region", name=MAP).get_by_role("button", name=f"{layer} in {scheme};")


def test_a_click_on_a_cell_sets_the_layer_s_scheme_and_a_second_one_takes_it_back(mapped, host, picture):
    picture(mapped, f"{host.name}-sensitivity")
    chosen = cell(mapped, "fc1", "binary-weights")
    assert float(chosen.inner_text().replace("−", "-").replace("±", "")) > 0.5
    assert chosen.get_attribute("aria-pressed") == "false"
    chosen.click()
    the_page.wait_for_recipe(mapped, "r.steps[0]?.overrides.fc1 === 'binary-weights'")
    the_page.finished(mapped)
    mapped.locator(".wb-cell[aria-pressed=true][data-layer=fc1][data-scheme=binary-weights]").wait_for()
    picture(mapped, f"{host.name}-sensitivity-chosen")
    assert "fc1 in binary weights" in the_page.card(mapped, "Quantize").inner_text()
    mapped.locator(".wb-cell[aria-pressed=true][data-layer=fc1]").click()
    the_page.wait_for_recipe(mapped, "r.steps.length === 0")
    the_page.finished(mapped)


@ONLY_VOILA
def test_axe_finds_nothing_serious_in_the_map(mapped):
    assert the_page.serious_findings(mapped) == []


@ONLY_VOILA
def test_errors_of_outputs_and_all_layers_but_one_are_a_choice_away(mapped):
    binary = cell(mapped, "fc2", "binary-weights")
    alone = binary.get_attribute("aria-label")
    assert f"loss {binary.inner_text()} (" in alone
    mapped.get_by_label("error of the outputs").check()
    assert f"outputs off by {binary.inner_text()}," in alone
    mapped.get_by_label("all layers but one").check()
    mapped.get_by_label("loss of quality").check()
    others = binary.get_attribute("aria-label")
    assert others != alone
    assert f"loss {binary.inner_text()} (" in others
    mapped.get_by_label("one layer alone in the scheme").check()


@ONLY_VOILA
def test_a_cell_is_reached_and_pressed_by_keyboard(mapped):
    cell(mapped, "fc2", "int4-weights").focus()
    mapped.keyboard.press("Enter")
    the_page.wait_for_recipe(mapped, "r.steps[0]?.overrides.fc2 === 'int4-weights'")
    the_page.finished(mapped)
    expect(cell(mapped, "fc2", "int4-weights")).to_be_focused()
    mapped.keyboard.press("Enter")
    the_page.wait_for_recipe(mapped, "r.steps.length === 0")
    the_page.finished(mapped)

"""The map of what layers cost: it comes while one looks, and a click on a cell sets that layer's scheme."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA

MAP = "Sensitivity"


@pytest.fixture
def looking(measured):
    """The shared page with the map of the plain model, as far as it has come."""
    the_page.tab(measured, "Sensitivity")
    status(measured).filter(has_text="click a cell").wait_for()
    return measured


@pytest.fixture
def mapped(looking):
    """The same with the whole map."""
    looking.wait_for_function("!/ % /.test(document.querySelector('.wb-sensitivity-tools [role=status]').textContent)")
    return looking


def status(page):
    return page.get_by_role("region", name=MAP).get_by_role("status")


def cell(page, layer, scheme):
    return page.get_by_role("region", name=MAP).get_by_role("button", name=f"{layer} in {scheme};")


def test_a_click_on_a_cell_sets_the_layer_s_scheme_and_a_second_one_takes_it_back(looking, host, picture):
    chosen = cell(looking, "fc1", "binary-static")
    chosen.filter(has_text=re.compile(r"\d")).wait_for()  # it is looked at; much of the map may still come
    picture(looking, f"{host.name}-sensitivity")
    assert float(chosen.inner_text().replace("−", "-").replace("±", "")) > 0.5
    assert chosen.get_attribute("aria-pressed") == "false"
    chosen.click()
    the_page.wait_for_recipe(looking, "r.steps[0]?.overrides.fc1 === 'binary-static'")
    the_page.finished(looking)
    looking.locator(".wb-cell[aria-pressed=true][data-layer=fc1][data-scheme=binary-static]").wait_for()
    picture(looking, f"{host.name}-sensitivity-chosen")
    assert "fc1 in binary static" in the_page.card(looking, "Quantize").inner_text()
    looking.locator(".wb-cell[aria-pressed=true][data-layer=fc1]").click()
    the_page.wait_for_recipe(looking, "r.steps.length === 0")
    the_page.finished(looking)


@ONLY_VOILA
def test_axe_finds_nothing_serious_in_the_map(mapped, picture):
    picture(mapped, "voila-sensitivity-whole")
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

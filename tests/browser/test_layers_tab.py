"""The layers: a graph, a row each, and what a row unfolds to, by mouse and by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA

GRAPH = "Graph of the model"


INT8_ALONE = "r.steps.length === 1 && r.steps[0].scheme === 'int8-static' && !Object.keys(r.steps[0].overrides).length"


@pytest.fixture
def quantized(page, request):
    """The shared page with int8 measured, its layers open and none of them unfolded.

    What the test before left will do.
    """
    if not the_page.rests_on(page, INT8_ALONE):
        plain = request.getfixturevalue("plain")
        the_page.turn(plain, "Quantize", True)
        the_page.choose(plain, "Quantize", "Scheme", "int8-static")
        the_page.finished(plain)
    the_page.tab(page, "Layers")
    yield page
    fold_all(page)


def fold_all(page):
    """A row that a test has just asked for may unfold only now: until none is left."""
    unfolded, buttons = page.locator(".wb-under"), page.locator('.wb-layers [aria-expanded="true"]')
    while unfolded.count() or buttons.count():
        if buttons.count():
            buttons.first.click()
        page.wait_for_timeout(300)


def row(page, layer):
    return page.get_by_role("table", name="What became of each layer").get_by_role("button", name=layer, exact=True)


def node(page, layer):
    return page.get_by_role("group", name=GRAPH).get_by_role("button", name=f"{layer},")


def unfolded(page, layer):
    return page.get_by_role("group", name=f"Receipt of {layer}", exact=True)


def test_a_layer_s_row_unfolds_to_its_receipt_and_its_weights(quantized, host, picture):
    row(quantized, "conv2").click()
    receipt = unfolded(quantized, "conv2")
    receipt.get_by_role("img", name="now, int8").wait_for()
    picture(quantized, f"{host.name}-layer")
    told = receipt.inner_text()
    assert "32×16×3×3 fp32" in told
    assert "32×16×3×3 int8" in told
    assert "kernel" in told
    assert "of 256 levels used" in told
    assert row(quantized, "conv2").get_attribute("aria-expanded") == "true"


def test_a_layer_takes_a_scheme_of_its_own_and_the_others_keep_theirs(quantized, host, picture):
    the_page.choose(quantized, "Run on", "Engine", "native")
    row(quantized, "fc1").click()
    scheme = quantized.get_by_label("Scheme of fc1", exact=True)
    assert scheme.locator("option").first.inner_text() == "as the others: int8-static"
    scheme.select_option("int4-weights")
    the_page.wait_for_recipe(quantized, "r.steps[0].overrides.fc1 === 'int4-weights'")
    the_page.finished(quantized)
    unfolded(quantized, "fc1").get_by_role("img", name="now, int4").wait_for()
    picture(quantized, f"{host.name}-layer-apart")
    assert "fc1 in int4 weights" in the_page.card(quantized, "Quantize").inner_text()
    engine = the_page.card(quantized, "Run on").get_by_role("radiogroup", name="Engine")
    assert engine.locator('[data-value="openvino"]').get_attribute("aria-disabled") == "true"
    scheme.select_option("")
    the_page.wait_for_recipe(quantized, "!r.steps[0].overrides.fc1")


@ONLY_VOILA
def test_one_layer_of_the_plain_model_takes_a_scheme_and_choosing_one_for_all_takes_that_back(measured):
    the_page.tab(measured, "Layers")
    row(measured, "fc1").click()
    measured.get_by_label("Scheme of fc1", exact=True).select_option("int4-weights")
    the_page.wait_for_recipe(measured, "r.steps[0]?.overrides['*'] === 'fp32'")
    the_page.choose(measured, "Quantize", "Scheme", "int8-static")
    the_page.wait_for_recipe(measured, 'JSON.stringify(r.steps[0].overrides) === \'{"fc1":"int4-weights"}\'')
    the_page.finished(measured)
    fold_all(measured)


def test_a_row_unfolds_and_folds_by_keyboard_and_keeps_the_focus(quantized):
    row(quantized, "fc1").focus()
    quantized.keyboard.press("Enter")
    unfolded(quantized, "fc1").wait_for()
    expect(row(quantized, "fc1")).to_be_focused()
    quantized.keyboard.press("Enter")
    unfolded(quantized, "fc1").wait_for(state="detached")


def test_a_node_of_the_graph_unfolds_its_layer_s_row(quantized):
    node(quantized, "fc1").click()
    unfolded(quantized, "fc1").wait_for()
    assert node(quantized, "fc1").get_attribute("aria-pressed") == "true"
    assert "% of the time" in node(quantized, "fc1").get_attribute("aria-label")


def test_one_tab_reaches_the_graph_and_arrows_go_from_node_to_node(quantized):
    nodes = quantized.get_by_role("group", name=GRAPH).get_by_role("button")
    assert [each.get_attribute("tabindex") for each in nodes.all()].count("0") == 1
    nodes.first.focus()
    quantized.keyboard.press("ArrowRight")
    expect(node(quantized, "conv2")).to_be_focused()
    quantized.keyboard.press("Enter")
    unfolded(quantized, "conv2").wait_for()


def test_the_histograms_have_a_table(quantized):
    row(quantized, "conv1").click()
    now = quantized.get_by_role("region", name="Weights now, int8")
    now.locator("summary").click()
    assert now.get_by_role("row").count() > 2


def test_axe_finds_nothing_serious_in_an_unfolded_layer(quantized):
    row(quantized, "conv1").click()
    unfolded(quantized, "conv1").get_by_role("img", name="now, int8").wait_for()
    assert the_page.serious_findings(quantized) == []


@ONLY_VOILA
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 720)])
def test_an_unfolded_layer_fits_the_page(quantized, picture, width, height):
    before = quantized.viewport_size
    row(quantized, "conv2").click()
    unfolded(quantized, "conv2").get_by_role("img", name="now, int8").wait_for()
    quantized.set_viewport_size({"width": width, "height": height})
    picture(quantized, f"layer-{width}x{height}")
    table = quantized.get_by_role("region", name="Layers")
    assert table.evaluate("(region) => region.scrollWidth <= region.clientWidth")
    quantized.set_viewport_size(before)


def test_the_summary_says_what_each_step_did_and_what_is_real(quantized):
    the_page.tab(quantized, "Summary")
    panel = quantized.get_by_role("tabpanel", name="Summary")
    panel.locator("dt", has_text="Quantize int8").wait_for()  # it is written after the figures that people wait for
    told = panel.inner_text()
    assert "Quantize int8" in told
    assert "layers with weights" in told
    assert "torch" in told

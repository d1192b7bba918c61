"""Each control of the page changes its recipe and its figures.

Where a host may make a difference, in threads, in keys or in how fast one clicks, it is asked of both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from playwright.sync_api import Locator, Page, TimeoutError

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA

CLICK = """(name) => {
    const buttons = [...document.querySelectorAll(".wb-page button:not([hidden], :disabled)")];
    buttons.find((button) => button.textContent === name)?.click();
}"""
AT_REST_ON_ITS_TOGGLES = """() => {
    const { steps } = JSON.parse(document.querySelectorAll(".wb-code-view code")[1].textContent);
    const on = [...document.querySelectorAll('.wb-recipe-panel [role="switch"][aria-checked="true"]')];
    const { phase } = document.querySelector("[data-phase]").dataset;
    const [run, shown] = [steps.map((step) => step.do), on.map((toggle) => toggle.textContent.toLowerCase())];
    return ["finished", "cancelled", "untrained"].includes(phase) && run.sort().join() === shown.sort().join();
}"""
LIVE_UPDATE_BYTES = 20_000
PAUSE_SECONDS = 0.01  # between two writes of the pump; what comes without such a pause is one update


def test_quantizing_changes_the_figures_live_within_small_messages(measured, host, picture):
    before = the_page.figures(measured)
    start = len(measured.frames_received)
    the_page.turn(measured, "Quantize", True)
    the_page.finished(measured)
    picture(measured, f"{host.name}-quantized")
    assert the_page.figures(measured)[3] != before[3]
    assert "int8" in measured.get_by_role("tabpanel", name="Layers").inner_text()
    last, updates = 0.0, []
    for moment, size in sorted(measured.frames_received[start:]):
        if moment - last > PAUSE_SECONDS:
            updates.append(0)
        last, updates[-1] = moment, updates[-1] + size
    assert max(updates) <= LIVE_UPDATE_BYTES


@ONLY_VOILA
def test_the_figures_are_set_against_the_baseline_that_was_chosen(plain):
    versus = plain.get_by_label("Compare with", exact=True)
    assert versus.input_value() == "auto"
    versus.select_option("native")
    the_page.figure(plain, "Speed-up").get_by_text("against native fp32").wait_for()
    the_page.finished(plain)
    assert 'baseline="native"' in plain.locator(".wb-code-view").text_content()
    plain.get_by_role("button", name="Start over").click()
    plain.wait_for_function("(box) => box.value === 'auto'", arg=versus.element_handle())


@ONLY_VOILA
def test_each_scheme_of_quantization_makes_the_model_smaller(plain):
    whole = the_page.fresh(plain, "Size on disk")
    the_page.turn(plain, "Quantize", True)
    sizes = [the_page.fresh(plain, "Size on disk")]
    for scheme in ("int8-dynamic", "bf16"):
        the_page.choose(plain, "Quantize", "Scheme", scheme)
        sizes.append(the_page.fresh(plain, "Size on disk"))
    assert whole not in sizes
    assert sizes[2] not in sizes[:2]  # two bytes a weight instead of one


@ONLY_VOILA
def test_pruned_channels_make_the_model_smaller_and_pruned_weights_are_zeros(plain):
    whole = the_page.fresh(plain, "Size on disk")
    the_page.turn(plain, "Prune", True)
    the_page.card(plain, "Prune").get_by_label("Fine-tuning").press("Home")
    the_page.wait_for_recipe(plain, "r.steps[0].finetune_epochs === 0")
    assert the_page.fresh(plain, "Size on disk") != whole
    the_page.choose(plain, "Prune", "What to remove", "weights")
    plain.get_by_role("tabpanel", name="Layers").get_by_text("% zeros").first.wait_for()


@ONLY_VOILA
def test_the_amount_ends_where_the_kind_chosen_ends(plain):
    the_page.turn(plain, "Prune", True)
    the_page.choose(plain, "Prune", "What to remove", "weights")
    amount = the_page.card(plain, "Prune").get_by_label("Amount")
    amount.press("End")
    the_page.wait_for_recipe(plain, "r.steps[0].amount === 0.99")
    the_page.choose(plain, "Prune", "What to remove", "channels")
    the_page.wait_for_recipe(plain, "r.steps[0].amount === 0.9")
    assert amount.get_attribute("max") == "0.9"


@ONLY_VOILA
def test_the_learning_rate_is_that_of_the_kind_chosen_until_a_person_sets_it(plain):
    the_page.turn(plain, "Prune", True)
    the_page.choose(plain, "Prune", "What to remove", "weights")
    the_page.wait_for_recipe(plain, "r.steps[0].learning_rate === 0.0005")
    the_page.choose(plain, "Prune", "What to remove", "channels")
    the_page.wait_for_recipe(plain, "r.steps[0].learning_rate === 0.002")
    the_page.card(plain, "Prune").get_by_label("Learning rate").press("End")
    the_page.wait_for_recipe(plain, "r.steps[0].learning_rate === 0.1")
    the_page.choose(plain, "Prune", "What to remove", "weights")
    the_page.wait_for_recipe(plain, "r.steps[0].kind === 'weights'")
    the_page.wait_for_recipe(plain, "r.steps[0].learning_rate === 0.1")


def test_training_is_live_and_cancel_stops_it(plain, host, picture):
    the_page.train(plain)
    plain.get_by_text("· loss").wait_for()
    picture(plain, f"{host.name}-training")
    the_page.cancel(plain).click()
    the_page.phase(plain, "cancelled")
    said = plain.get_by_text("Cancelled: what was measured until then is shown")
    said.last.wait_for()  # in a notebook what is kept of the figures, unseen, says it before
    assert the_page.fresh(plain, "Size on disk").strip("—")  # known before the training
    picture(plain, f"{host.name}-cancelled")


@ONLY_VOILA
def test_three_toggles_together_are_three_steps_and_each_takes_from_the_size(plain, picture):
    sizes = [the_page.fresh(plain, "Size on disk")]
    the_page.turn(plain, "Distill", True)
    the_page.choose(plain, "Distill", "Student", "fashion-student")
    the_page.choose(plain, "Distill", "Labels", "hard")  # no teacher to ask: the quickest of them
    the_page.card(plain, "Distill").get_by_label("Epochs").press("Home")
    the_page.wait_for_recipe(plain, "r.steps[0].epochs === 1")
    sizes.append(the_page.fresh(plain, "Size on disk"))
    the_page.turn(plain, "Prune", True)
    the_page.card(plain, "Prune").get_by_label("Fine-tuning").press("Home")
    the_page.wait_for_recipe(plain, "r.steps[1].finetune_epochs === 0")
    sizes.append(the_page.fresh(plain, "Size on disk"))
    the_page.turn(plain, "Quantize", True)
    sizes.append(the_page.fresh(plain, "Size on disk"))
    the_page.finished(plain)
    picture(plain, "voila-three-toggles")
    assert [step["do"] for step in the_page.recipe(plain)["steps"]] == ["distill", "prune", "quantize"]
    assert len(set(sizes)) == 4


@ONLY_VOILA
def test_another_workload_is_measured_and_the_way_back_leads_to_the_first(plain):
    sizes = []
    for workload in ("fashion-cnn", "fashion-mlp", "fashion-cnn"):
        plain.get_by_label("Workload", exact=True).select_option(workload)
        plain.locator(".wb-code-view code").get_by_text(f"wb.load('{workload}')").wait_for(state="attached")
        sizes.append(the_page.fresh(plain, "Size on disk"))
    the_page.finished(plain)
    assert sizes[0] == sizes[2] != sizes[1]


def milliseconds(told: str) -> float:
    """Of "0.21 ms" or "97 µs"."""
    number, unit = told.split()
    return float(number.replace(",", "")) * {"µs": 1e-3, "ms": 1, "s": 1e3}[unit]


def test_a_larger_batch_takes_longer_and_fewer_threads_are_used(measured):
    one = milliseconds(the_page.fresh(measured, "Latency, median"))
    batch = measured.get_by_label("Batch", exact=True)
    for _ in range(6):
        batch.press("ArrowRight")
    the_page.wait_for_recipe(measured, "r.place.batch === 64")
    assert milliseconds(the_page.fresh(measured, "Latency, median")) > one
    threads = measured.get_by_role("slider", name="Threads", exact=True)
    if threads.count():  # a machine with one core has no choice
        threads.press("Home")
        the_page.wait_for_recipe(measured, "r.place.threads === 1")
        the_page.finished(measured)
        assert the_page.recipe(measured)["place"]["threads"] == 1


@ONLY_VOILA
def test_the_processor_is_chosen_and_absent_devices_say_why(plain):
    devices = the_page.card(plain, "Run on").get_by_role("radiogroup", name="Device").get_by_role("radio")
    assert devices.first.get_attribute("aria-checked") == "true"
    absent = [device for device in devices.all() if device.get_attribute("aria-disabled")]
    assert absent  # no machine has both CUDA and Apple's GPU
    for device in absent:
        device.focus()
        reason = plain.locator(f"#{device.get_attribute('aria-describedby')}").text_content()
        assert len(reason) > 10
        plain.get_by_text(reason).locator("visible=true").first.wait_for()
        plain.keyboard.press("Enter")
    assert devices.first.get_attribute("aria-checked") == "true"
    assert the_page.recipe(plain)["place"]["device"] == "cpu"


def done_if_there(control: Locator, act: Callable[..., None]) -> bool:
    """Whether it was done: another choice may have made the control pointless, also while one reaches for it."""
    if not control.is_visible():
        return False
    try:
        act(timeout=5000)
    except TimeoutError:
        if control.is_visible():
            raise
        return False
    return True


def choose_each(page: Page, card: Locator, part: str) -> None:
    """Click each choice that a card offers, by its value: which are offered changes with what is chosen."""
    offered = card.locator('[role="radio"]:visible:not([aria-disabled])')
    for value in offered.evaluate_all("(radios) => radios.map((radio) => radio.dataset.value)"):
        choice = card.locator(f'[role="radio"][data-value="{value}"]')
        if done_if_there(choice, choice.click):
            the_page.wait_for_recipe(page, f"Object.values({part}).includes('{value}')")


@ONLY_VOILA
def test_every_toggle_and_every_choice_reaches_the_recipe(plain):
    for title in the_page.switches(plain):
        the_page.turn(plain, title, True)
        step = f"r.steps.find((step) => step.do === '{title.lower()}')"
        card = the_page.card(plain, title)
        choose_each(plain, card, step)
        for box in card.get_by_role("combobox").all():
            values = box.locator("option:enabled").evaluate_all("(all) => all.map((each) => each.value)")
            for value in (*values, values[0]):  # the page remembers it: who comes next wants no search
                box.select_option(value)
                the_page.wait_for_recipe(plain, f"Object.values({step}).includes('{value}')")
        sliders = card.locator('input[type="range"]:visible').evaluate_all("(all) => all.map((each) => each.id)")
        for slider in (plain.locator(f"#{slider}") for slider in sliders):
            if done_if_there(slider, partial(slider.press, "Home")):
                lowest = float(slider.input_value())
                the_page.wait_for_recipe(plain, f"Object.values({step}).includes({lowest:g})")
        the_page.turn(plain, title, False)
    choose_each(plain, the_page.card(plain, "Run on"), "r.place")


def test_however_quickly_one_clicks_the_page_comes_to_rest_on_what_its_toggles_say(plain):
    chance = random.Random(0)
    for _ in range(40):
        plain.evaluate(CLICK, chance.choice(("Quantize", "Prune", "Start over", "Measure again", "Cancel")))
        plain.wait_for_timeout(chance.choice((0, 0, 30, 300)))
    plain.evaluate(CLICK, "Cancel")
    plain.wait_for_function(AT_REST_ON_ITS_TOGGLES)


def test_everything_works_by_keyboard_alone(plain):
    plain.get_by_label("Workload", exact=True).focus()
    toggle = the_page.switch(plain, "Distill")
    the_page.tab_to(plain, toggle)
    plain.keyboard.press("Space")
    assert toggle.get_attribute("aria-checked") == "true"
    epochs = the_page.card(plain, "Distill").get_by_label("Epochs")
    the_page.tab_to(plain, epochs)
    plain.keyboard.press("End")
    the_page.wait_for_recipe(plain, "r.steps.some((step) => step.epochs === 10)")
    the_page.phase(plain, "training", "untrained")
    if the_page.phase_of(plain) == "untrained":
        the_page.tab_to(plain, plain.get_by_role("button", name="Train, about"))
        plain.keyboard.press("Enter")
        the_page.phase(plain, "training")
    the_page.tab_to(plain, the_page.cancel(plain))
    plain.keyboard.press("Enter")
    the_page.phase(plain, "cancelled")


@ONLY_VOILA
def test_a_search_begins_with_the_accepted_loss_and_its_budget_goes_with_it(plain):
    plain.get_by_label("accept a larger loss").click()
    the_page.turn(plain, "Quantize", True)
    the_page.choose(plain, "Quantize", "Scheme", "auto")
    the_page.phase(plain, "untrained")
    the_page.wait_for_recipe(plain, "r.steps[0].budget === 0.01")
    plain.get_by_role("button", name="Run the search, up to").wait_for()
    plain.get_by_label("smaller budget").click()
    the_page.wait_for_recipe(plain, "r.steps[0].budget === 0.005")
    plain.get_by_label("accept a smaller loss").click()
    the_page.choose(plain, "Quantize", "Scheme", "int8-static")
    the_page.wait_for_recipe(plain, "r.steps[0].budget === null")

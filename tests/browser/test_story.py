"""The page's story: the plain model, the engine as the first gain, each step's share, and what it costs."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser import the_page
from tests.browser.hosts import ONLY_VOILA
from tests.browser.servers import PATIENCE_SECONDS

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


def clause(page: Page, text: str) -> Locator:
    """The clause of the verdict that has this in it."""
    return page.locator(".wb-clause").filter(has_text=text)


def columns(page: Page) -> list[str]:
    """What the waterfall's bars are called."""
    return page.get_by_role("region", name="Latency, step by step").locator(".wb-fall-name").all_inner_texts()


def complete(page: Page) -> None:
    """Wait until each share of the recipe that is shown has been measured."""
    page.wait_for_selector(".wb-waterfall-chart:not([data-mark=stale]) ol")
    expect(page.locator(".wb-fall-bar[data-pending]")).to_have_count(0)


def test_it_opens_on_the_plain_model_against_itself(measured):
    assert the_page.recipe(measured)["place"]["engine"] == "eager"
    neither = ("no difference", "too rough to tell")  # the latter on a crowded machine
    assert the_page.figure(measured, "Speed-up").locator("p").first.inner_text() in neither
    assert columns(measured) == ["eager", "now"]
    clause(measured, "same size").wait_for()


def test_each_step_has_its_share_in_the_waterfall_and_beside_its_toggle(plain, host, picture):
    the_page.choose(plain, "Run on", "Engine", "native")
    the_page.turn(plain, "Quantize", True)
    the_page.turn(plain, "Prune", True)
    the_page.card(plain, "Prune").get_by_label("Fine-tuning").press("Home")
    the_page.wait_for_recipe(plain, "r.steps[0].finetune_epochs === 0")
    the_page.finished(plain)
    complete(plain)
    picture(plain, f"{host.name}-waterfall")
    baseline, *steps = columns(plain)
    assert baseline in ("eager", "compiled")  # the faster of them, once that is built
    assert steps == ["native", "Prune", "Quantize", "now"]
    for title in ("Prune", "Quantize"):
        assert "real" in the_page.card(plain, title).locator(".wb-effect").inner_text()
    assert "native · " in the_page.card(plain, "Run on").locator(".wb-effect").inner_text()
    the_page.switch(plain, "Quantize").hover()
    assert plain.locator(".wb-waterfall-chart .wb-lit .wb-fall-name").all_inner_texts() == ["Quantize"] * 3


@ONLY_VOILA
def test_what_destroys_the_model_is_no_gain_however_fast(plain, picture):
    the_page.choose(plain, "Run on", "Engine", "native")
    the_page.turn(plain, "Prune", True)
    the_page.card(plain, "Prune").get_by_label("Fine-tuning").press("Home")
    the_page.card(plain, "Prune").get_by_label("Amount").press("End")
    the_page.wait_for_recipe(plain, "r.steps[0].amount === 0.9 && r.steps[0].finetune_epochs === 0")
    the_page.finished(plain)
    picture(plain, "voila-destroyed")
    assert clause(plain, "accuracy").get_attribute("data-tone") == "worse"
    assert clause(plain, "smaller").get_attribute("data-tone") == ""
    assert plain.locator('.wb-big[data-tone="better"]').count() == 0


@ONLY_VOILA
def test_the_loss_that_is_accepted_is_remembered(measured):
    amount = measured.get_by_role("group", name="Accepted loss").locator("output")
    assert amount.inner_text() == "0.5 pt"
    measured.get_by_role("button", name="accept a larger loss").click()
    expect(amount).to_have_text("1 pt")
    measured.reload()
    the_page.drawn(measured)
    expect(amount).to_have_text("1 pt")
    measured.get_by_role("button", name="accept a smaller loss").click()
    expect(amount).to_have_text("0.5 pt")


def test_a_long_training_waits_for_a_word_and_says_what_is_known_before_and_how_long_it_takes(measured, host, picture):
    the_page.turn(measured, "Distill", True)
    the_page.card(measured, "Distill").get_by_label("Epochs").press("End")
    the_page.wait_for_recipe(measured, "r.steps.some((step) => step.epochs === 10)")
    the_page.phase(measured, "untrained")
    picture(measured, f"{host.name}-waits-for-a-word")
    clause(measured, "smaller").wait_for()
    clause(measured, "accuracy after training").wait_for()
    assert measured.locator("[data-phase]").inner_text().startswith("◌\nThe training takes about")
    the_page.give_the_word(measured)
    measured.locator("[data-phase]").get_by_text("left:").wait_for()
    the_page.cancel(measured).click()
    the_page.phase(measured, "cancelled")
    expect(measured.get_by_role("tab", name="Training")).to_be_visible()


WATCH = """() => {
    window.seen = { counts: 0, slides: 0 };
    const note = ({ target }) => { seen.counts += "passing" in target.dataset; };
    const counting = { subtree: true, attributes: true, attributeFilter: ["data-passing"] };
    new MutationObserver((all) => all.forEach(note)).observe(document.body, counting);
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (places, { duration }) {
        seen.slides += duration > 0;
        return animate.call(this, places, { duration });
    };
}"""


@ONLY_VOILA
def test_figures_count_and_bars_slide_where_motion_is_wanted(measured):
    measured.evaluate(WATCH)
    the_page.choose(measured, "Run on", "Engine", "native")
    the_page.finished(measured)
    columns_of_native = measured.locator(".wb-waterfall-chart:not([data-mark=stale]) [data-step=place]").first
    expect(columns_of_native).to_be_attached()
    assert measured.evaluate("seen.counts > 0 && seen.slides > 0")
    measured.emulate_media(reduced_motion="reduce")
    measured.evaluate("seen.counts = seen.slides = 0")
    the_page.choose(measured, "Run on", "Engine", "eager")
    the_page.finished(measured)
    expect(columns_of_native).to_have_count(0)
    assert measured.evaluate("seen.counts + seen.slides") == 0
    measured.emulate_media(reduced_motion="null")


@ONLY_VOILA
def test_auto_is_a_choice_and_says_what_it_stands_for(plain):
    the_page.choose(plain, "Run on", "Engine", "native")
    the_page.finished(plain)
    plain.get_by_role("radio", name="auto", exact=True).click()
    the_page.turn(plain, "Quantize", True)
    the_page.choose(plain, "Quantize", "Scheme", "bf16")
    the_page.finished(plain)
    place = the_page.card(plain, "Run on")
    assert place.get_by_role("radio", name="auto", exact=True).get_attribute("aria-checked") == "true"
    expect(place.locator(".wb-effect")).to_contain_text(the_page.recipe(plain)["place"]["engine"])

"""What a person does on the page and reads from it."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

ENDINGS = ("finished", "failed", "cancelled")
FIGURES = ("Latency, median", "Speed-up", "Accuracy", "Size on disk")
IS_PLAIN = "r.steps.length === 0 && r.place.engine === 'eager' && r.place.batch === 1"
"""What JavaScript asks of a recipe ``r`` to know that it is the one that the page opens on."""


def drawn(page: Page) -> None:
    """Wait until the page is there, with its figures' places and its toggles."""
    figure(page, "Speed-up").wait_for()
    page.locator('[aria-label="Toggles"]').get_by_role("switch").first.wait_for()


# -- runs


def phase(page: Page, *names: str) -> None:
    """Wait until the footer says one of these phases."""
    page.wait_for_selector(",".join(f'[data-phase="{name}"]' for name in names))


def phase_of(page: Page) -> str:
    """What the footer says now."""
    return page.locator("[data-phase]").get_attribute("data-phase")


def at_rest(page: Page) -> None:
    """Wait for the end of the run, whatever it is; a training that waits for a word gets it."""
    phase(page, *ENDINGS, "untrained")
    if phase_of(page) == "untrained":
        give_the_word(page)
        phase(page, *ENDINGS)


def give_the_word(page: Page) -> None:
    """Let a training begin that waits for that."""
    page.get_by_role("button", name="Train, about").click()
    phase(page, "training", *ENDINGS)


def finished(page: Page) -> None:
    """Wait for the end of the run, which must be a good one."""
    at_rest(page)
    assert phase_of(page) == "finished", page.locator("[data-phase]").inner_text()


def rests_on(page: Page, predicate: str) -> bool:
    """Whether a good run is shown, of a recipe ``r`` that fulfils a JavaScript expression, and nothing is under way."""
    fulfils = page.evaluate(f"(r) => {predicate}", recipe(page))
    return fulfils and phase_of(page) == "finished" and not page.get_by_text("From the history").count()


def stored(page: Page) -> None:
    """Wait until a run of the history is shown as it was, with nothing under way."""
    page.locator('[data-phase="finished"]').filter(has_text="From the history").wait_for()


def run_again(page: Page) -> None:
    """Press the button in the footer, and wait until that no longer says what it said of the run before."""
    footer = page.locator("[data-phase]")
    said = footer.locator(".wb-text").inner_text()
    footer.get_by_role("button", name="Measure again").click()
    footer.locator(".wb-text").filter(has_text=said).wait_for(state="detached")


def measure_again(page: Page) -> None:
    """Press the button in the footer, and wait for the end of the run."""
    run_again(page)
    finished(page)


def cancel(page: Page) -> Locator:
    """The button that stops the run; hidden when none is on."""
    return page.get_by_role("button", name="Cancel", exact=True)


# -- controls


def switches(page: Page) -> list[str]:
    """The names of the techniques that can be toggled."""
    return page.locator('[aria-label="Toggles"]').get_by_role("switch").all_inner_texts()


def switch(page: Page, title: str) -> Locator:
    """The toggle of a technique."""
    return page.get_by_role("switch", name=title, exact=True)


def card(page: Page, title: str) -> Locator:
    """The card with a technique's options, or the one called Run on."""
    return page.get_by_role("region", name=title, exact=True)


def turn(page: Page, title: str, on: bool) -> None:
    """Set a toggle, and wait until its run is the one shown."""
    if (switch(page, title).get_attribute("aria-checked") == "true") != on:
        switch(page, title).click()
    wait_for_recipe(page, f"r.steps.some((step) => step.do === '{title.lower()}') === {str(on).lower()}")


def choose(page: Page, title: str, option: str, choice: str) -> None:
    """Take one of the choices of an option, and wait until its run is the one shown."""
    group = card(page, title).get_by_role("radiogroup", name=option, exact=True)
    if group.count():
        group.locator(f'[data-value="{choice}"]').click()
    else:
        card(page, title).get_by_label(option, exact=True).select_option(choice)
    wait_for_recipe(page, f"[r.place, ...r.steps].some((part) => Object.values(part).includes({json.dumps(choice)}))")


def train(page: Page) -> None:
    """Start a distillation so long that no test has ever finished it: one that was would train no more."""
    turn(page, "Distill", True)
    card(page, "Distill").get_by_label("Epochs").press("End")
    wait_for_recipe(page, "r.steps.some((step) => step.epochs === 10)")
    phase(page, "training", "untrained")
    if phase_of(page) == "untrained":
        give_the_word(page)


def tab(page: Page, name: str) -> None:
    """Open one of the tabs below."""
    page.get_by_role("tablist", name="Details").get_by_role("tab", name=name, exact=True).click()


def tab_to(page: Page, target: Locator, *, most: int = 120) -> None:
    """Press Tab until the control has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{target} was not reached by {most} presses of Tab")


# -- what it says


def figure(page: Page, name: str) -> Locator:
    """The card of one of the four figures."""
    return page.locator("section").filter(has=page.get_by_role("heading", name=name, exact=True))


def figures(page: Page) -> list[str]:
    """The four large figures."""
    return [figure(page, name).locator("p").first.inner_text() for name in FIGURES]


def fresh(page: Page, name: str) -> str:
    """The large figure, as soon as the run that is shown has measured it itself."""
    page.locator("section:not([data-mark=stale], [data-mark=recalled])").filter(
        has=page.get_by_role("heading", name=name, exact=True)
    ).filter(has_not=page.locator("[data-absent]")).wait_for()
    return figure(page, name).locator("p").first.inner_text()


def recipe(page: Page) -> dict:
    """The recipe of the run, as what is taken away shows it."""
    return json.loads(page.locator(".wb-code-view code").nth(1).text_content())


def wait_for_recipe(page: Page, predicate: str) -> None:
    """Wait until the run's recipe ``r`` fulfils a JavaScript expression."""
    read = 'JSON.parse(document.querySelectorAll(".wb-code-view code")[1].textContent)'
    page.wait_for_function(f"() => {{ try {{ const r = {read}; return {predicate}; }} catch {{ return false; }} }}")


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical within the workbench."""
    found = Axe().run(page, context=".wb-page").response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]

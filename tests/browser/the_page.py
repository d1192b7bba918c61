"""What a person does on the page and reads from it."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page


def phase(page: Page, *names: str) -> None:
    """Wait until the footer says one of these phases."""
    page.wait_for_selector(",".join(f'.wb-run-progress[data-phase="{name}"]' for name in names))


def finished(page: Page) -> None:
    """Wait for the end of the run."""
    phase(page, "finished", "failed", "cancelled")
    ended = page.locator(".wb-run-progress")
    assert ended.get_attribute("data-phase") == "finished", ended.inner_text()


def switch(page: Page, title: str) -> Locator:
    """The toggle of a technique."""
    return page.get_by_role("switch", name=title, exact=True)


def turn(page: Page, title: str, on: bool) -> None:
    """Set a toggle."""
    if (switch(page, title).get_attribute("aria-checked") == "true") != on:
        switch(page, title).click()


def figures(page: Page) -> list[str]:
    """The four large figures."""
    return page.locator(".wb-figure .wb-big").all_inner_texts()


def recipe(page: Page) -> dict:
    """The recipe of the run, as the code tab shows it."""
    return json.loads(page.locator(".wb-code-view code").nth(1).text_content())


def wait_for_recipe(page: Page, predicate: str) -> None:
    """Wait until the run's recipe ``r`` fulfils a JavaScript expression."""
    read = 'JSON.parse(document.querySelectorAll(".wb-code-view code")[1].textContent)'
    page.wait_for_function(f"() => {{ try {{ const r = {read}; return {predicate}; }} catch {{ return false; }} }}")


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical within the workbench."""
    found = Axe().run(page, context=".wb-page").response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]

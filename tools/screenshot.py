"""Retake ``docs/workbench.png``, the README's picture: ``.venv/bin/python -m tools.screenshot``.

It needs Chromium, and a machine that does nothing else meanwhile: the picture shows what was measured.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page

from benchmarks._browser import opened, served, wait_for_phase

PICTURE = Path(__file__).parents[1] / "docs" / "workbench.png"


def main() -> None:
    """A new history, a few recipes measured for the plot, and int8 last: the state that the picture shows."""
    with served() as app, opened(app.address) as (page, _, _):
        wait_for_phase(page, "finished")
        app.wait_until_idle()  # the compiled baseline has joined by then, and the page has measured against it
        wait_for_phase(page, "finished")
        _measured(page, page.get_by_role("radio", name="native", exact=True))
        for name in ("Prune", "Quantize"):
            _measured(page, page.get_by_role("switch", name=name))
        for name in ("int8-dynamic", "bf16", "int8-static"):
            _measured(page, page.get_by_label("Scheme", exact=True), name)
        _measured(page, page.get_by_role("switch", name="Prune"))
        app.wait_until_idle()
        _measured(page, page.get_by_role("button", name="Measure again"))
        page.get_by_role("tab", name="Layers", exact=True).click()
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(2000)  # charts rest between drawings
        page.screenshot(path=PICTURE)


def _measured(page: Page, control: Locator, choice: str | None = None) -> None:
    control.select_option(choice) if choice else control.click()
    wait_for_phase(page, "working", "training")
    wait_for_phase(page, "finished", "untrained")
    if page.evaluate("benchPhase()") == "untrained":
        page.get_by_role("button", name="Train, about").click()
        wait_for_phase(page, "finished")


if __name__ == "__main__":
    main()

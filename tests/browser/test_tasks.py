"""Every task is live on the page: each embedded workload that is no image classifier, with the toggles turned."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser import the_page
from tests.browser.hosts import NOTEBOOKS

METRICS = {
    "co2-forecast": "Mean absolute error",
    "fashion-anomaly": "AUROC",
    "fashion-gru": "Accuracy",
    "fashion-scenes": "Mean IoU",
    "tinytext-lm": "Perplexity",
}
TOGGLES = {"Quantize": None, "Prune": ("Fine-tuning", "finetune_epochs === 0"), "Distill": ("Epochs", "epochs === 1")}
"""Each with the slider that says how long it trains, and what the recipe says at its beginning."""


@pytest.fixture(scope="module")
def own_page(host, open_page) -> Iterator[Page]:
    """A page of its own: the shared one stays on its workload."""
    if host.name == "lab":
        shutil.copy(NOTEBOOKS / "workbench.ipynb", host.server.data / "tasks.ipynb")
        page = host.open(open_page, "tasks.ipynb")
    else:
        page = host.open(open_page)
    page.get_by_role("radio", name="auto", exact=True).click()
    the_page.finished(page)
    yield page
    assert page.errors == []
    host.close(page)


@pytest.mark.parametrize("workload", METRICS)
def test_a_workload_of_any_task_is_measured_quantized_pruned_and_distilled(host, own_page, workload, picture):
    own_page.get_by_label("Workload", exact=True).select_option(workload)
    own_page.locator(".wb-code-view code").get_by_text(f"wb.load('{workload}')").wait_for(state="attached")
    the_page.finished(own_page)
    plain = the_page.fresh(own_page, METRICS[workload])
    assert plain.strip("—")
    for title, shortest in TOGGLES.items():
        the_page.turn(own_page, title, True)
        if shortest:
            slider, told = shortest
            the_page.card(own_page, title).get_by_label(slider).press("Home")
            the_page.wait_for_recipe(own_page, f"r.steps[0].{told}")
        the_page.finished(own_page)
        assert the_page.fresh(own_page, METRICS[workload]).strip("—")
        assert the_page.fresh(own_page, "Speed-up").strip("—")
        if title == "Quantize":
            picture(own_page, f"{host.name}-{workload}")
        the_page.turn(own_page, title, False)

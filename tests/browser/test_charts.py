"""What is drawn in a chart follows its figures."""

from __future__ import annotations

from tests.browser.hosts import ONLY_LAB, notebook

TWO_VIEWS = """\
import ipywidgets
from workbench.widgets import LatencyPlot

def view(median_ms):
    \"\"\"Its axes reach from the least to the largest of all times, which stay.\"\"\"
    bins = [-128, 3, 0, round(100 * median_ms), 128, 3]
    side = {"engine": "eager", "label": f"{median_ms} ms", "cells": [""] * 5, "bins": bins}
    sides = [side | {"name": "baseline", "p50": median_ms, "p95": 4.0}, side | {"name": "now", "p50": 0.25, "p95": 1.0}]
    return {"sides": sides, "live": False}

plot, button = LatencyPlot(view=view(1.1)), ipywidgets.Button(description="Next")
button.on_click(lambda _: setattr(plot, "view", view(1.2)))
ipywidgets.VBox([plot, button])
"""


@ONLY_LAB
def test_labels_follow_the_figures_where_the_axes_stay(host, open_page):
    (host.server.data / "charts.ipynb").write_text(notebook(TWO_VIEWS))
    page = host.open(open_page, "charts.ipynb", drawn=lambda page: page.get_by_role("button", name="Next").wait_for())
    labels = page.get_by_role("img", name="Latency;").locator("svg")
    labels.get_by_text("baseline 1.1 ms").wait_for()
    page.get_by_role("button", name="Next").click()
    labels.get_by_text("baseline 1.2 ms").wait_for()
    assert page.errors == []
    host.close(page)

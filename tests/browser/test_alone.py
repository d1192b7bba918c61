"""Each small widget in a cell of its own, without the page that composes them, in JupyterLab."""

from __future__ import annotations

import pytest

from tests.browser.hosts import ONLY_LAB, notebook
from tests.results import a_result

RESULT = f"""\
from workbench import layer
from workbench.examples import Examples
from workbench.receipt import Result
from workbench.widgets import *

result = Result.model_validate_json({a_result().model_dump_json()!r})
"""
ROW = {"id": 1, "recipe": "int8 on eager", "when": "now", "latency": "1 ms", "speedup": "2×", "quality": "92 %"}
ROW |= {"change": "0 pt", "size": "1 MB", "baseline": "eager"}
POINT = {"id": 1, "ms": 0.5, "quality": 91.5, "figure": "91.50", "batch": 1, "label": "int8"}
CURVE = {"technique": "prune", "points": [[0.1, 2.0], [0.2, 1.5]], "epochs": 1, "progress": "step 2", "live": False}
BAR = {"tone": "total", "pending": False, "low": 0, "high": 1}
FALL = {
    "columns": [{"name": "eager fp32", "key": ""}, {"name": "now", "key": ""}],
    "panels": [{"title": "Latency", "bars": [{**BAR, "text": "1.20 ms"}, {**BAR, "text": "0.300 ms"}]}],
}
FLOW = 'layer.Flow(nodes=("conv1",), joins={}, edges=())'
UNCHANGED = 'Examples(counted="answers", total=10, counts={"lost": 0}, seen=10, available=10)'
EFFECT = {
    "loss": {"text": "+4.0", "tone": "worse", "share": 1},
    "error": {"text": "", "tone": "", "share": 0},
    "told": "",
}
COSTS = {
    "loss": "loss of accuracy, percentage points",
    "examples": "1,000 test examples",
    "progress": "",
    "schemes": ["int8-static"],
    "timed": False,
    "rows": [
        {
            "layer": "fc1",
            "time": "",
            "cells": [{"scheme": "int8-static", "reason": "", "own": "", "only": EFFECT, "all_but": EFFECT}],
        }
    ],
}
WIDGETS = {
    "VerdictLine": ("VerdictLine(result)", "2.00× faster"),
    "WaterfallChart": (f"WaterfallChart(view={FALL})", "1.20 ms"),
    "Figures": ("Figures(result)", "2.00×"),
    "RunSummary": ("RunSummary(result)", "The layer with weights runs in int8"),
    "LayerGraph": (f"LayerGraph({FLOW}, result)", "conv1"),
    "LayerTable": ("LayerTable(result)", "conv1"),
    "ReceiptView": ("ReceiptView(result)", "QLinearConv"),
    "HistoryTable": (f"HistoryTable(rows=[{ROW}])", "int8 on eager"),
    "RecipePanel": ("RecipePanel()", "Prune"),  # it starts a core by itself, and shows what that offers
    "SensitivityMap": (f"SensitivityMap(view={COSTS})", "+4.0"),
    "ExamplesView": (f"ExamplesView({UNCHANGED})", "none of 10 answers changed"),
    "LatencyPlot": ("LatencyPlot()", "Latency"),
    "ParetoPlot": (f"ParetoPlot(rows=[{POINT}])", "latency of a call at batch 1, ms, logarithmic"),
    "TrainingPlot": (f"TrainingPlot(view={CURVE})", "training loss"),
    "RunProgress": ("RunProgress()", "Starting"),
    "CodeView": ('CodeView(python="print(1)")', "print(1)"),
    "Downloads": ("Downloads()", "Download model"),
    "WorkloadBar": ('WorkloadBar(workload="mine")', "Start over"),
    "Tabs": ('Tabs("Details", {"One": CodeView(), "Two": CodeView()})', "Two"),
}


@pytest.fixture(scope="module")
def cells(host, open_page, picture):
    """A notebook that makes what the widgets show and then draws each of them: its cells, by widget."""
    (host.server.data / "alone.ipynb").write_text(notebook(RESULT, *(code for code, _ in WIDGETS.values())))
    outputs = ".jp-CodeCell .jp-OutputArea-child .wb"
    all_drawn = lambda page: page.locator(outputs).nth(len(WIDGETS) - 1).wait_for()  # noqa: E731
    page = host.open(open_page, "alone.ipynb", drawn=all_drawn)
    picture(page, "lab-alone")
    yield dict(zip(WIDGETS, page.locator(".jp-CodeCell").all()[1:], strict=True))
    assert page.errors == []
    host.close(page)


@ONLY_LAB
@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_draws_itself_alone(cells, name):
    cells[name].locator(".jp-OutputArea").get_by_text(WIDGETS[name][1]).locator("visible=true").last.wait_for()


@ONLY_LAB
def test_a_widget_alone_has_the_rules_that_all_share(cells):
    button = cells["Downloads"].get_by_role("button", name="Download model")
    assert button.evaluate("(button) => getComputedStyle(button).borderRadius") == "7px"  # as _common.css says


def test_every_widget_of_the_library_is_tried():
    from workbench import widgets

    assert WIDGETS.keys() == set(widgets.__all__) - {"Workbench", "show"}

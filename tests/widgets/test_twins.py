"""What a reader without a kernel sees in a widget's place: a saved notebook, GitHub, a terminal."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from tests.results import a_result
from tests.widgets.parts import a_sensitivity, found_examples
from workbench.store import Entry
from workbench.widgets import (
    ExamplesView,
    Figures,
    HistoryTable,
    LatencyPlot,
    LayerTable,
    ParetoPlot,
    ReceiptView,
    RunSummary,
    SensitivityMap,
    VerdictLine,
    WaterfallChart,
)
from workbench.widgets._twin import HTML, TEXT, Twin
from workbench.widgets.page import state, views, waterfall
from workbench.widgets.page.runs import Runs

LIVE = "application/vnd.jupyter.widget-view+json"
STATE = state.of_result(a_result())
SHOWN = {
    "Figures": (lambda: Figures(result=a_result()), ["0.200 ms", "2.00×", "92.0 %", "200 kB"]),
    "VerdictLine": (lambda: VerdictLine(result=a_result()), ["2.00× faster", "75 % smaller"]),
    "RunSummary": (lambda: RunSummary(result=a_result()), ["2.0× faster", "The layer with weights runs in int8"]),
    "LayerTable": (lambda: LayerTable(result=a_result()), ["conv1", "QLinearConv", "real"]),
    "ReceiptView": (lambda: ReceiptView(result=a_result()), ["conv1", "QLinearConv", "real"]),
    "SensitivityMap": (lambda: SensitivityMap(a_sensitivity()), ["fc1", "+4.0", "−2.0"]),
    "ExamplesView": (lambda: ExamplesView(examples=found_examples()), ["490", "Dress", "Shirt"]),
    "LatencyPlot": (lambda: LatencyPlot(view=views.latency(STATE)), ["baseline", "0.400", "1,000"]),
    "ParetoPlot": (
        lambda: ParetoPlot(
            rows=[{"id": 3, "ms": 0.021, "quality": 91.6, "figure": "91.60", "batch": 1, "label": "int8"}]
        ),
        ["int8", "0.021", "91.60", "front"],
    ),
    "HistoryTable": (
        lambda: HistoryTable(rows=Runs.of([Entry(1, "2026-11-01T10:00:00+00:00", a_result())]).history_rows(None)),
        ["0.200 ms", "2.00×", "200 kB"],
    ),
    "WaterfallChart": (lambda: WaterfallChart(view=waterfall.view(STATE, {})), ["eager", "0.400 ms", "200 kB"]),
}


class Cells(HTMLParser):
    """The text of a document's cells."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(document)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


@pytest.mark.parametrize("name", SHOWN)
def test_a_widget_s_figures_are_told_in_html_and_in_text_beside_the_live_view(name):
    make, told = SHOWN[name]
    data, _ = make()._repr_mimebundle_()
    assert LIVE in data
    assert set(told) <= set(Cells(data[HTML]).found)
    assert all(each in data[TEXT] for each in told)


@pytest.mark.parametrize(
    "kind",
    [
        ExamplesView,
        Figures,
        VerdictLine,
        RunSummary,
        LayerTable,
        ReceiptView,
        LatencyPlot,
        ParetoPlot,
        HistoryTable,
        WaterfallChart,
        SensitivityMap,
    ],
)
def test_a_widget_that_shows_nothing_tells_nothing(kind):
    data, _ = kind()._repr_mimebundle_()
    assert HTML not in data
    assert LIVE in data


def test_what_a_model_calls_its_layers_is_text():
    assert "<script>" not in Twin.of("Layers", ("layer",), [("<script>",)]).bundle()[HTML]


def test_in_a_terminal_the_columns_stand_below_each_other():
    text = Twin.of("Sizes", ("", "now"), [("a", 1), ("longer", 22)]).bundle()[TEXT]
    assert text.splitlines() == ["Sizes", "        now", "a       1", "longer  22"]

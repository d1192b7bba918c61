"""What the notebook kernel carries for the page."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys

from workbench.widgets import Figures, LatencyPlot, ParetoPlot, RecipePanel, TrainingPlot
from workbench.widgets._stylesheet import stylesheet
from workbench.widgets.charts.plotly_library import PlotlyLibrary, library
from workbench.widgets.tables.history_table import HistoryTable


def test_the_kernel_loads_no_heavy_library_for_the_page():
    heavy = ("torch", "pandas", "plotly", "onnx", "onnxruntime", "openvino", "torchao", "matplotlib")
    code = f"import sys, workbench, workbench.widgets; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


def test_plotly_crosses_the_wire_once_however_many_charts_there_are():
    charts = [LatencyPlot(), ParetoPlot(), TrainingPlot(), LatencyPlot()]
    assert {chart.library for chart in charts} == {library().model_id}
    assert sum(isinstance(value, bytes) for chart in charts for value in chart.get_state().values()) == 0


def test_the_rules_that_all_widgets_share_cross_the_wire_once():
    widgets = [Figures(), RecipePanel(), LatencyPlot()]
    assert {widget.get_state()["_stylesheet"] for widget in widgets} == {f"IPY_MODEL_{stylesheet().model_id}"}
    assert "--wb-blue:" in stylesheet().get_state()["_css"]
    assert not any("--wb-blue:" in widget.get_state()["_css"] for widget in widgets)


def test_the_library_sends_the_installed_plotly_compressed_to_a_browser_that_asks():
    one, sent = PlotlyLibrary(), []
    one.send = lambda content, buffers: sent.append((content, buffers))
    one._on_message(one, {"send": "code"}, [])
    ((content, (compressed,)),) = sent
    code = gzip.decompress(compressed)
    assert content == {"sent": "code"}
    assert b"plotly.js v" in code[:200]
    assert len(compressed) < len(code) / 3
    assert one.digest == hashlib.sha256(code).hexdigest()


def test_a_new_row_is_sent_alone():
    table = HistoryTable(rows=[{"id": 1}])
    sent = []
    table._send = lambda message, buffers=None: sent.append(message)
    table.comm = type("Comm", (), {"kernel": 1})() if table.comm is None else table.comm
    table.append({"id": 2})
    assert [message.get("content") for message in sent] == [{"append": {"id": 2}, "instead_of": 0}]
    assert table.get_state("rows")["rows"] == [{"id": 1}, {"id": 2}]

"""The widget library, imported as workbench.widgets: small widgets, and :class:`Workbench`, which composes them."""

from __future__ import annotations

from workbench.widgets.charts.latency_plot import LatencyPlot
from workbench.widgets.charts.pareto_plot import ParetoPlot
from workbench.widgets.charts.training_plot import TrainingPlot
from workbench.widgets.charts.waterfall_chart import WaterfallChart
from workbench.widgets.controls.recipe_panel import RecipePanel
from workbench.widgets.page.figures import Figures
from workbench.widgets.page.run_progress import RunProgress
from workbench.widgets.page.run_summary import RunSummary
from workbench.widgets.page.tab_strip import Tabs
from workbench.widgets.page.verdict_line import VerdictLine
from workbench.widgets.page.workbench import Workbench, show
from workbench.widgets.page.workload_bar import WorkloadBar
from workbench.widgets.tables.examples_view import ExamplesView
from workbench.widgets.tables.history_table import HistoryTable
from workbench.widgets.tables.layer_graph import LayerGraph
from workbench.widgets.tables.layer_table import LayerTable
from workbench.widgets.tables.receipt_view import ReceiptView
from workbench.widgets.tables.sensitivity_map import SensitivityMap
from workbench.widgets.takeaway.code_view import CodeView
from workbench.widgets.takeaway.downloads import Downloads

__all__ = [
    "CodeView",
    "Downloads",
    "ExamplesView",
    "Figures",
    "HistoryTable",
    "LatencyPlot",
    "LayerGraph",
    "LayerTable",
    "ParetoPlot",
    "ReceiptView",
    "RecipePanel",
    "RunProgress",
    "RunSummary",
    "SensitivityMap",
    "Tabs",
    "TrainingPlot",
    "VerdictLine",
    "WaterfallChart",
    "Workbench",
    "WorkloadBar",
    "show",
]

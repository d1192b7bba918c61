"""The widget library, imported as workbench.widgets: small widgets, and :class:`Workbench`, which composes them."""

from __future__ import annotations

from workbench.widgets.code_view import CodeView
from workbench.widgets.downloads import Downloads
from workbench.widgets.figures import Figures
from workbench.widgets.history_table import HistoryTable
from workbench.widgets.latency_plot import LatencyPlot
from workbench.widgets.layer_table import LayerTable
from workbench.widgets.pareto_plot import ParetoPlot
from workbench.widgets.receipt_view import ReceiptView
from workbench.widgets.recipe_panel import RecipePanel
from workbench.widgets.run_progress import RunProgress
from workbench.widgets.tab_strip import Tabs
from workbench.widgets.training_plot import TrainingPlot
from workbench.widgets.workbench import Workbench, show
from workbench.widgets.workload_bar import WorkloadBar

__all__ = [
    "CodeView",
    "Downloads",
    "Figures",
    "HistoryTable",
    "LatencyPlot",
    "LayerTable",
    "ParetoPlot",
    "ReceiptView",
    "RecipePanel",
    "RunProgress",
    "Tabs",
    "TrainingPlot",
    "Workbench",
    "WorkloadBar",
    "show",
]

"""The widgets of the page, and how a state is drawn in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import Any

import traitlets as t
from ipywidgets import HBox, VBox

from workbench.catalog import Catalog
from workbench.recipe import Recipe
from workbench.widgets._twin import HTML, TEXT
from workbench.widgets.charts.latency_plot import LatencyPlot
from workbench.widgets.charts.pareto_plot import ParetoPlot
from workbench.widgets.charts.plotly_library import library
from workbench.widgets.charts.training_plot import TrainingPlot
from workbench.widgets.charts.waterfall_chart import WaterfallChart
from workbench.widgets.controls.recipe_panel import RecipePanel
from workbench.widgets.page import (
    acceptance,
    effects,
    graph,
    layer_schemes,
    layers,
    quality,
    summary,
    verdict,
    views,
    waterfall,
)
from workbench.widgets.page.figures import Figures
from workbench.widgets.page.kept import KeptFigures
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.page_frame import PageFrame
from workbench.widgets.page.run_progress import RunProgress
from workbench.widgets.page.run_summary import RunSummary
from workbench.widgets.page.runs import Row, batch_of
from workbench.widgets.page.state import PageState
from workbench.widgets.page.tab_strip import Tabs
from workbench.widgets.page.try_next import TryNext
from workbench.widgets.page.verdict_line import VerdictLine
from workbench.widgets.page.workload_bar import WorkloadBar
from workbench.widgets.tables.examples_view import ExamplesView
from workbench.widgets.tables.history_table import HistoryTable
from workbench.widgets.tables.layer_graph import LayerGraph
from workbench.widgets.tables.layer_table import LayerTable
from workbench.widgets.tables.sensitivity_map import SensitivityMap
from workbench.widgets.takeaway import code
from workbench.widgets.takeaway.code_view import CodeView
from workbench.widgets.takeaway.downloads import Downloads
from workbench.workload import Workload

_LATENCY_TAB, _TRAINING_TAB = 0, 1


class Page(VBox):
    """Toggles on the left, figures, charts and details on the right, progress at the foot.

    It knows no session: what it draws it is given, and what a person does with its parts others observe. Call the
    methods that draw in the pump only.

    Parameters
    ----------
    workload
        What the header names until something is drawn.
    recipe
        What the panel begins with.
    save
        Writes what can be taken away into a folder and returns the paths.
    """

    def __init__(self, workload: str, recipe: Recipe | dict | str, save: Callable[[Path], list[Path]]) -> None:
        self.panel = RecipePanel(recipe=recipe)
        self.bar, self.next = WorkloadBar(workload=workload), TryNext()
        self.verdict, self.figures, self.waterfall = VerdictLine(), Figures(), WaterfallChart()
        self.latency_plot, self.training_plot, self.pareto_plot = LatencyPlot(), TrainingPlot(), ParetoPlot()
        self.summary, self.graph, self.layers, self.history = RunSummary(), LayerGraph(), LayerTable(), HistoryTable()
        t.link((self.graph, "selected"), (self.layers, "selected"))
        self.sensitivity, self.examples = SensitivityMap(), ExamplesView()
        self.code, self.downloads = CodeView(), Downloads(save=save)
        self.progress, self.frame = RunProgress(), PageFrame()
        self._kept_figures = KeptFigures(self.frame.twin_class)
        details = {
            "Summary": self.summary,
            "Layers": _box(VBox, "wb-layered", self.graph, self.layers),
            "Sensitivity": self.sensitivity,
            "Examples": self.examples,
            "History": self.history,
            "Take away": _box(VBox, "wb-take-away", self.downloads, self.code),
        }
        self.details = Tabs("Details", details)
        live = {"Latency": self.latency_plot, "Training": self.training_plot}
        self.live = Tabs("Live charts", live, hidden=(_TRAINING_TAB,))
        charts = _box(HBox, "wb-charts", self.live, self.pareto_plot)
        main = _box(VBox, "wb-main", self.verdict, self.figures, self.waterfall, charts, self.details)
        body = _box(HBox, "wb-body", _box(VBox, "wb-side", self.panel, self.next), main)
        self.details.add_class("wb-details")
        self.bar.add_class("wb-header")
        self.progress.add_class("wb-footer")
        self._headed: Metric | None = None
        self._drawn_receipt: object = None
        self._live_tab = _LATENCY_TAB
        super().__init__([self.bar, body, self.progress, self.frame, library()])
        for name in ("wb", "wb-page"):
            self.add_class(name)

    def offer(self, catalog: Catalog, own: str) -> None:
        """Show what ``catalog`` offers, and first the workload called ``own`` where that is the person's."""
        self.panel.offer(catalog)
        embedded = [workload.model_dump() for workload in catalog.workloads]
        mine = [] if own in (each["name"] for each in embedded) else [own]
        self.bar.workloads = [{"name": name, "description": "your own model and data"} for name in mine] + embedded

    @contextmanager
    def one_message_each(self) -> Iterator[None]:
        """What is set of a part meanwhile goes to the browser as one message, of which half a kilobyte is header."""
        with ExitStack() as held:
            for part in (
                self.panel,
                self.bar,
                self.latency_plot,
                self.pareto_plot,
                self.summary,
                self.graph,
                self.layers,
                self.history,
                self.code,
                self.downloads,
            ):
                held.enter_context(part.hold_sync())
            yield

    def is_headed_by(self, metric: Metric | None) -> bool:
        """Whether plot and history are those of what this metric judges."""
        return self._headed == metric

    def draw_runs(self, rows: list[dict[str, Any]], plotted: list[Row], metric: Metric | None) -> None:
        """All runs of the history, and those of them in the plot."""
        self._headed = metric
        self.pareto_plot.metric = quality.plotted(metric)
        self.history.quality_heading = metric.with_direction if metric else "quality"
        self.history.rows, self.pareto_plot.rows = rows, [row.point() for row in plotted]

    def append_runs(self, new: list[Row], plotted: list[Row], metric: Metric | None) -> None:
        """Runs that have just finished; ``plotted`` are all that belong into the plot now."""
        kept = [row.id for row in plotted]
        for row in new:
            self.history.append(row.history(metric))
            if row in plotted:
                self.pareto_plot.append(row.point(), instead_of=0 if row.earlier in kept else row.earlier)
        if [row["id"] for row in self.pareto_plot.rows] != kept:  # pinned or chosen ones have come or gone
            self.pareto_plot.rows = [row.point() for row in plotted]

    def draw(self, state: PageState, catalog: Catalog | None) -> None:
        """Everything but the runs of the history and what :meth:`draw_behind` draws."""
        titles = _titles(catalog)
        self.frame.kept = {"workload": state.workload, "recipe": self.panel.recipe, "baseline": self.panel.baseline}
        self.verdict.view = verdict.view(state)
        self.figures.view = views.figures(state)
        before = {**self.waterfall.view, "stale": True} if state.latency else {}  # nothing is of another workload
        self.waterfall.view = waterfall.view(state, titles) or before
        self.summary.mark = summary.mark(state)
        self.progress.view = views.progress(state)
        self._draw_tables(state)
        self._draw_charts(state)
        self._draw_recipe(state)
        if catalog:
            self.sensitivity.chosen = layer_schemes.chosen(Recipe.parse(self.panel.recipe), catalog, state.receipt)

    def draw_behind(self, state: PageState, workload: Workload, catalog: Catalog | None) -> None:
        """What takes longer to draw or is looked at later: live charts, code, and a run in words once it has ended."""
        self.latency_plot.view = views.latency(state)
        self.latency_plot.mark, self.latency_plot.live = views.latency_mark(state), state.busy
        self.training_plot.view = views.training(state)
        self._draw_code(state, workload)
        if not state.busy:
            self.summary.view = summary.view(state, _titles(catalog))

    def keep_figures(self) -> None:
        """Bring what a saved notebook keeps of the page up to date."""
        self._kept_figures.update(self._told_in_html(self._told()))

    def _draw_tables(self, state: PageState) -> None:
        mark = "stale" if "layers" in state.stale else "recalled" if "layers" in state.recalled else ""
        self.layers.mark = mark
        if state.receipt is not self._drawn_receipt:
            self._drawn_receipt = state.receipt
            self.layers.rows = layers.rows(state.receipt, layers.before_ms(state))
            self.graph.view = graph.view(state.flow, state.receipt)
            if state.receipt and self.layers.selected not in (layer.layer for layer in state.receipt):
                self.layers.selected = ""

    def _draw_charts(self, state: PageState) -> None:
        self.live.strip.hidden = [] if state.training else [_TRAINING_TAB]
        showing = _TRAINING_TAB if state.phase == "training" else _LATENCY_TAB
        if showing != self._live_tab:
            self.live.strip.selected = self._live_tab = showing
        self.pareto_plot.batch = batch_of(state.recipe)
        self.pareto_plot.current = views.current_point(state)
        self.pareto_plot.baseline = views.baseline_point(state)
        self.pareto_plot.accepted = views.accepted_region(state)

    def _draw_recipe(self, state: PageState) -> None:
        self.panel.busy = state.busy
        self.panel.blocked = {name: each.model_dump() for name, each in state.blocked.items()}
        self.panel.effects = effects.effects(state)
        self.panel.accepted = {
            "share": acceptance.to_be_spent(state.accepted),
            "unit": self.verdict.view["accepted"]["unit"],
        }
        self.panel.costs = {name: f"trains {about}" for name, about in state.costs.items()}
        known = (each for each in self.bar.workloads if each["name"] == state.workload)
        self.panel.model = next(known, {"name": state.workload, "description": ""})
        self.bar.workload = state.workload
        self.bar.summary = Recipe.parse(state.recipe or Recipe.plain()).summary()
        self.bar.changed = self.panel.recipe != Recipe.plain().model_dump(mode="json") or self.panel.baseline != "auto"

    def _draw_code(self, state: PageState, workload: Workload) -> None:
        self.code.title = code.title(workload)
        self.code.python = code.python(workload, state.recipe, state.baseline)
        self.code.recipe = code.recipe_json(state.recipe)
        self.downloads.note = views.about_the_program(Recipe.parse(state.recipe or None))
        if self.downloads.state != "working":
            self.downloads.state = "ready" if state.result else "unready"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The live page, and the figures it has now for a reader without a kernel."""
        told = self._told()
        text = "\n\n".join((repr(self), *(each[TEXT] for each in told)))
        bundle = super()._repr_mimebundle_(**options) | {TEXT: text}
        html = self._told_in_html(told)
        return bundle if self._kept_figures.show(html) else bundle | {HTML: html}

    def _told(self) -> list[dict[str, str]]:
        charts = (self.waterfall, self.latency_plot)
        parts = (self.verdict, self.figures, self.summary, *charts, self.layers)
        return [twin.bundle() for part in parts if (twin := part.twin())]

    def _told_in_html(self, told: list[dict[str, str]]) -> str:
        return "".join(each[HTML] for each in told) or f"<p>The workbench shows {escape(self.bar.workload)} live.</p>"


def _titles(catalog: Catalog | None) -> dict[str, str]:
    """The techniques', by name."""
    return {each.name: each.title for each in catalog.techniques} if catalog else {}


def _box(kind: Callable[..., Any], name: str, *children: Any) -> Any:
    box = kind(list(children))
    box.add_class(name)
    return box

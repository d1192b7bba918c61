"""The whole page: toggles on the left, figures, charts and details on the right, progress at the foot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import traitlets as t
from ipywidgets import HBox, VBox

from workbench import events
from workbench.catalog import Catalog
from workbench.errors import WorkbenchError, WorkloadError, unknown
from workbench.recipe import Recipe
from workbench.session import Session, default_session
from workbench.widgets.charts.latency_plot import LatencyPlot
from workbench.widgets.charts.pareto_plot import ParetoPlot
from workbench.widgets.charts.plotly_library import library
from workbench.widgets.charts.training_plot import TrainingPlot
from workbench.widgets.charts.waterfall_chart import WaterfallChart
from workbench.widgets.controls.recipe_panel import RecipePanel
from workbench.widgets.page import effects, pump, quality, verdict, views, waterfall
from workbench.widgets.page import state as _state
from workbench.widgets.page.figures import Figures
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.page_frame import PageFrame
from workbench.widgets.page.pump import Urgency
from workbench.widgets.page.run_progress import RunProgress
from workbench.widgets.page.runs import Runs, batch_of
from workbench.widgets.page.tab_strip import Tabs
from workbench.widgets.page.verdict_line import VerdictLine
from workbench.widgets.page.workload_bar import WorkloadBar
from workbench.widgets.tables.history_table import HistoryTable
from workbench.widgets.tables.layer_table import LayerTable
from workbench.widgets.tables.receipt_view import ReceiptView
from workbench.widgets.takeaway import code
from workbench.widgets.takeaway.code_view import CodeView
from workbench.widgets.takeaway.downloads import Downloads, archive_name
from workbench.workload import Workload

_DEFAULT_WORKLOAD = "fashion-cnn"
_LATENCY_TAB, _TRAINING_TAB = 0, 1


class Workbench(VBox):
    """The workbench in one widget.

    Its parts are attributes (``panel``, ``figures``, ``latency_plot``, …); setting a trait of one is
    what a click on it does: ``bench.panel.recipe = {...}``, ``bench.bar.workload = "fashion-mlp"``.

    Parameters
    ----------
    workload
        A :class:`Workload` or the name of an embedded one.
    session
        Where runs happen; the session of this process when absent.
    recipe
        What to start with; the plain model as PyTorch runs it when absent.
    """

    def __init__(
        self,
        workload: Workload | str | None = None,
        session: Session | None = None,
        recipe: Recipe | dict | str | None = None,
    ) -> None:
        self._own = _as_workload(workload)
        self._workload = self._own
        self._workload_id = _known_id(self._own)
        self.session = session or default_session()
        self.state = _state.PageState(workload=self._own.display_name)
        self._pump = pump.shared()
        self._lock = threading.RLock()
        self._writer: int | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._submitted: set[int] = set()
        self._runs = Runs()
        self._catalog: Catalog | None = None
        self._build(recipe)
        super().__init__([self.bar, self._body, self.progress, self.frame, library()])
        for name in ("wb", "wb-page"):
            self.add_class(name)
        self._wire()
        self._load_history()

    def submit(self, *, when_quiet: bool = False) -> int:
        """Run the panel's recipe on the chosen workload; overtakes what runs. Returns the run's id.

        ``when_quiet``: as soon as other programs leave the machine alone, and not before.

        Raises :class:`WorkbenchError` where it can't be sent off: a model that can't be pickled, a
        worker that doesn't start.
        """
        recipe, baseline = Recipe.parse(self.panel.recipe), self.panel.baseline
        with self._lock:  # held until the id is known: the first event may come before `submit` returns
            number = self.session.submit(self._workload, recipe, baseline=baseline, when_quiet=when_quiet, owner=self)
            self._submitted.add(number)
            name = self._workload.display_name
            submitted = _state.Submitted(number, name, recipe.model_dump(mode="json"), baseline)
            self._dispatch(submitted, Urgency.ANSWER)
        return number

    def cancel(self) -> None:
        """Stop what this page runs."""
        self.session.cancel(owner=self)

    def close(self) -> None:
        """Take the page down. The session stays as it is."""
        self._unsubscribe()
        super().close()

    def __repr__(self) -> str:
        return f"<Workbench on {self.state.workload}: {self.state.phase}>"

    # -- making it

    def _build(self, recipe: Recipe | dict | str | None) -> None:
        self.panel = RecipePanel(recipe=Recipe.plain() if recipe is None else recipe)
        self.bar = WorkloadBar(workload=self.state.workload)
        self.verdict, self.figures, self.waterfall = VerdictLine(), Figures(), WaterfallChart()
        self.latency_plot, self.training_plot, self.pareto_plot = LatencyPlot(), TrainingPlot(), ParetoPlot()
        self.layers, self.receipt, self.history = LayerTable(), ReceiptView(), HistoryTable()
        self.code, self.downloads = CodeView(), Downloads(save=self._save)
        self.progress, self.frame = RunProgress(), PageFrame()
        details = {"Layers": self.layers, "Receipt": self.receipt, "History": self.history}
        self.details = Tabs("Details", details | {"Code": self.code, "Download": self.downloads})
        live = {"Latency": self.latency_plot, "Training": self.training_plot}
        self.live = Tabs("Live charts", live, hidden=(_TRAINING_TAB,))
        charts = _box(HBox, "wb-charts", self.live, self.pareto_plot)
        main = _box(VBox, "wb-main", self.verdict, self.figures, self.waterfall, charts, self.details)
        self._body = _box(HBox, "wb-body", _box(VBox, "wb-side", self.panel), main)
        self.details.add_class("wb-details")
        self.bar.add_class("wb-header")
        self.progress.add_class("wb-footer")

    def _wire(self) -> None:
        self.frame.observe(self._on_view, "views")
        self.panel.observe(lambda _: self._try_to_submit(), ["recipe", "baseline"])
        self.bar.observe(self._on_workload, "workload")
        self.bar.observe(lambda _: self._start_over(), "resets")
        self.progress.observe(lambda _: self.cancel(), "cancels")
        self.progress.observe(lambda _: self._try_to_submit(), "repeats")
        self.verdict.observe(lambda change: self._dispatch(_state.Accepted(change["new"]), Urgency.ANSWER), "accepted")
        self.verdict.observe(lambda _: self._try_to_submit(when_quiet=True), "quiet_requests")
        self.pareto_plot.observe(self._on_selected, "selected")
        self.history.observe(self._on_selected, "selected")
        self._unsubscribe = self.session.subscribe(self._on_event)
        self.session.on_ready(self._on_ready, lambda reason: self._dispatch(_state.GivenUp(reason), Urgency.ANSWER))

    # -- what a person does

    def _on_view(self, change: t.Bunch) -> None:
        """Start with the first look at the page: one that is kept ready for a visitor must not use the machine."""
        if not change["old"]:
            self._load_history()  # others may have finished runs since the page was made
        if not self._submitted and self.frame.restored:
            self._restore(self.frame.restored)
        if not self._submitted:
            self._try_to_submit()

    def _restore(self, kept: dict[str, Any]) -> None:
        """Go on with what the browser's tab showed before, as far as that is still offered."""
        with suppress(WorkbenchError):
            self._workload = self._named(kept["workload"])
            self._workload_id = _known_id(self._workload)
            self._load_history()
            self.panel.baseline = kept["baseline"]
            self.panel.recipe = kept["recipe"]

    def _try_to_submit(self, *, when_quiet: bool = False) -> None:
        """Submit; where that is impossible, say so above the toggles."""
        try:
            self.submit(when_quiet=when_quiet)
        except WorkbenchError as error:
            self._refuse(error)
        else:
            self._pump.put(self.panel, Urgency.ANSWER, error="")

    def _refuse(self, error: WorkbenchError) -> None:
        self._pump.put(self.panel, Urgency.ANSWER, error=str(error))

    def _apply(self, recipe: dict[str, Any]) -> None:
        self.panel.recipe = recipe

    def _start_over(self) -> None:
        self.panel.baseline = "auto"
        self._apply(Recipe.plain().model_dump(mode="json"))

    def _on_workload(self, change: t.Bunch) -> None:
        with self._lock:
            before = self._workload
            if self._is_writing() or change["new"] == before.display_name:
                return
            try:
                self._workload = self._named(change["new"])
                self.submit()
            except WorkbenchError as error:
                self._workload = before
                self._refuse(error)
                self._pump.call((id(self), "state"), self._render, Urgency.ANSWER)  # to show the former name
            else:
                self._pump.put(self.panel, Urgency.ANSWER, error="")
                self._workload_id = _known_id(self._workload)
                self._load_history()

    def _named(self, name: str) -> Workload:
        known = [workload.name for workload in self._catalog.workloads] if self._catalog else []
        if name == self._own.display_name:
            return self._own
        if self._catalog and name not in known:
            raise WorkbenchError(unknown("workload", name, known))
        return Workload(name)

    def _on_selected(self, change: t.Bunch) -> None:
        row = None if self._is_writing() else self._runs.find(change["new"])
        if row is not None and row.id != self._runs.shown(self.state.recipe):
            try:
                self._apply(row.result.recipe)
            except WorkbenchError as error:  # it was made by another version
                self._refuse(error)

    def _save(self, directory: Path) -> list[Path]:
        recipe = Recipe.parse(self.state.recipe)
        archive = directory / archive_name(self._workload, recipe)
        return self.session.save_model(self._workload, recipe, archive, self.state.result)

    # -- what the session says, on its reader thread

    def _on_ready(self, catalog: Catalog) -> None:
        with self._lock:
            self._catalog = catalog
        self._pump.call((id(self), "catalog"), lambda: self._offer(catalog), Urgency.ANSWER)
        self._dispatch(_state.Ready())

    def _on_event(self, event: events.Event) -> None:
        with self._lock:
            if event.run not in self._submitted:
                return  # others share the session: scripts, a second page
            if isinstance(event, events.Started) and event.run == self.state.run:
                self._on_identified(event.workload_id)
            self._dispatch(event, Urgency.ANSWER if event.kind in events.ENDINGS else Urgency.LIVE)
            outdated = isinstance(event, events.Notice) and event.measure_again and event.run == self.state.run
        if outdated and not self.state.busy:
            self._try_to_submit()

    def _on_identified(self, workload_id: str) -> None:
        """Show the runs of this very workload: those of another of the same name are another's."""
        if workload_id != self._workload_id:
            self._workload_id = workload_id
            self._load_history()

    def _dispatch(self, event: events.Event | _state.Own, urgency: Urgency = Urgency.LIVE) -> None:
        with self._lock:
            before = self.state
            self.state = _state.reduce(before, event)
            if self.state is before:
                return
            if isinstance(event, events.Finished):
                self._runs.add(event.result)
            if self.state.awaited < before.awaited:
                urgency = max(urgency, Urgency.FIRST_FIGURES)
            self._pump.call((id(self), "state"), self._render, urgency)

    # -- writing, in the pump only

    def _offer(self, catalog: Catalog) -> None:
        self.panel.offer(catalog)
        own = [{"name": self._own.display_name, "description": "your own model and data"}]
        embedded = [workload.model_dump() for workload in catalog.workloads]
        mine = [] if any(each["name"] == own[0]["name"] for each in embedded) else own
        self.bar.workloads = mine + embedded

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What this thread sets meanwhile is the page's own doing, no click."""
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None

    def _is_writing(self) -> bool:
        return self._writer == threading.get_ident()

    def _load_history(self) -> None:
        with self._lock:
            self._runs = Runs.of(self.session.history(self._workload_id))
        self._pump.call((id(self), "history"), self._write_history, Urgency.ANSWER)

    def _write_history(self) -> None:
        with self._lock:
            metric, selected = self._metric(), self._runs.shown(self.state.recipe)
            self._runs.take_new()  # they are among all the rows
            rows, points = self._runs.history_rows(metric), self._runs.points(metric)
        with self._writing():
            self._head(metric)
            self.history.rows, self.pareto_plot.rows = rows, points
            self.pareto_plot.selected = self.history.selected = selected

    def _metric(self) -> Metric | None:
        """What tells the quality of what is shown; ``None`` until the first run has."""
        return self.state.metric or self._runs.metric

    def _head(self, metric: Metric | None) -> None:
        self._headed = metric
        self.pareto_plot.metric = quality.plotted(metric)
        self.history.quality_heading = metric.with_direction if metric else "quality"

    _headed: Metric | None = None

    def _render(self) -> None:
        with self._lock:
            metric = self._metric()
        if metric != self._headed:
            self._write_history()
        with self._lock:
            state, runs, new = self.state, self._runs, self._runs.take_new()
        with self._writing():
            for row in new:
                self.history.append(row.history(metric))
                if row.metric == metric and (point := row.point()):
                    self.pareto_plot.append(point, instead_of=row.earlier)
            self._render_all(state, runs)

    def _render_all(self, state: _state.PageState, runs: Runs) -> None:
        self.frame.kept = {"workload": state.workload, "recipe": self.panel.recipe, "baseline": self.panel.baseline}
        self.verdict.view = verdict.view(state)
        self.figures.view = views.figures(state)
        self.waterfall.view = waterfall.view(state, self._titles()) or {**self.waterfall.view, "stale": True}
        self.latency_plot.view = views.latency(state)
        self.training_plot.view = views.training(state)
        self.progress.view = views.progress(state)
        self._render_tables(state)
        self._render_charts(state, runs)
        self._render_recipe(state)

    def _render_tables(self, state: _state.PageState) -> None:
        mark = "stale" if "layers" in state.stale else "recalled" if "layers" in state.recalled else ""
        self.layers.mark = self.receipt.mark = mark
        if state.receipt is not self._drawn_receipt:
            self._drawn_receipt = state.receipt
            self.layers.rows = views.layers(state.receipt)
            self.receipt.rows = views.receipt(state.receipt)
        self.receipt.facts = views.facts(state.environment)

    _drawn_receipt: object = None

    def _render_charts(self, state: _state.PageState, runs: Runs) -> None:
        self.live.strip.hidden = [] if state.training else [_TRAINING_TAB]
        showing = _TRAINING_TAB if state.phase == "training" else _LATENCY_TAB
        if showing != self._live_tab:
            self.live.strip.selected = self._live_tab = showing
        self.pareto_plot.batch = batch_of(state.recipe)
        self.pareto_plot.current = views.current_point(state)
        self.pareto_plot.baseline = views.baseline_point(state)
        self.pareto_plot.selected = self.history.selected = runs.shown(state.recipe)

    _live_tab: int = _LATENCY_TAB

    def _titles(self) -> dict[str, str]:
        return {each.name: each.title for each in self._catalog.techniques} if self._catalog else {}

    def _render_recipe(self, state: _state.PageState) -> None:
        self.panel.busy = state.busy
        self.panel.blocked = {name: each.model_dump() for name, each in state.blocked.items()}
        self.panel.effects = effects.effects(state)
        recipe = Recipe.parse(state.recipe) if state.recipe else Recipe.plain()
        self.bar.workload = state.workload
        self.bar.summary = recipe.summary()
        self.bar.changed = self.panel.recipe != Recipe.plain().model_dump(mode="json") or self.panel.baseline != "auto"
        self.code.title = code.title(self._workload)
        self.code.python = code.python(self._workload, state.recipe, state.baseline)
        self.code.recipe = code.recipe_json(state.recipe)
        self.downloads.note = views.about_the_program(recipe)
        if self.downloads.state != "working":
            self.downloads.state = "ready" if state.result else "unready"


def show(
    model: Any = None,
    data: Any = None,
    *,
    train: Any = None,
    weights: str | None = None,
    recipe: Recipe | dict | str | None = None,
    **task: Any,
) -> Workbench:
    """Open the workbench on a model and its data, or on the embedded workload.

    Parameters
    ----------
    model
        As :class:`Workload` takes it; absent for the embedded ``fashion-cnn``.
    data
        ``(inputs, targets)`` or inputs alone, a ``Dataset`` or a ``DataLoader``; embedded workloads bring their own.
    train
        The same, for calibration, fine-tuning and distillation.
    weights
        A ``.safetensors`` file, or a state dictionary (``.pth``, ``.pt``), for a ``"module:factory"`` model.
    recipe
        What to start with.
    task
        ``metric``, ``loss``, ``output`` and ``call``, as :class:`Workload` takes them.

    Raises
    ------
    WorkloadError
        When data, weights or a task come without a model, or beside a :class:`Workload`, which has its own.
    """
    if model is not None and not isinstance(model, Workload):
        return Workbench(Workload(model, data, train, weights, **task), recipe=recipe)
    given = {"data": data, "train": train, "weights": weights, **task}
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        whose = "without a model" if model is None else "beside a Workload, which has its own"
        raise WorkloadError(f"{' and '.join(extra)} can't be given {whose}; write wb.show(model, data)")
    return Workbench(model, recipe=recipe)


def _as_workload(workload: Workload | str | None) -> Workload:
    return workload if isinstance(workload, Workload) else Workload(workload or _DEFAULT_WORKLOAD)


def _known_id(workload: Workload) -> str:
    """What its runs are kept under, where that is known before the worker says it: an embedded workload's name."""
    return workload.model if workload.is_a_name else ""


def _box(kind: Callable[..., Any], name: str, *children: Any) -> Any:
    box = kind(list(children))
    box.add_class(name)
    return box

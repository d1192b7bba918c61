"""The page at work: what a person does becomes runs, and what the session says of them is drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import traitlets as t

from workbench import events
from workbench.catalog import Catalog
from workbench.errors import WorkbenchError, WorkloadError, unknown
from workbench.recipe import Recipe
from workbench.session import Session, default_session
from workbench.widgets.page import examples, layer_schemes, pump, sensitivity
from workbench.widgets.page import state as _state
from workbench.widgets.page.feed import Feed, View
from workbench.widgets.page.layer_reader import LayerReader
from workbench.widgets.page.metric import Metric
from workbench.widgets.page.page import Page
from workbench.widgets.page.pump import Urgency
from workbench.widgets.page.runs import Runs
from workbench.widgets.page.suggest import suggestions
from workbench.widgets.page.undo import Undoing
from workbench.widgets.takeaway.downloads import archive_name
from workbench.workload import Workload

_DEFAULT_WORKLOAD = "fashion-cnn"
_TRAINED_WITHOUT_A_WORD_S = 10.0


class Workbench(Page):
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
        self._holds = False
        self._unsubscribe: Callable[[], None] = lambda: None
        self._submitted: set[int] = set()
        self._asked: dict[str, list[Recipe]] = {}
        self._runs = Runs()
        self._catalog: Catalog | None = None
        super().__init__(self._own.display_name, Recipe.plain() if recipe is None else recipe, self._save)
        self._wire()
        self._load_history()

    def submit(self, *, when_quiet: bool = False, train_up_to_s: float | None = None) -> int:
        """Run the panel's recipe on the chosen workload; overtakes what runs. Returns the run's id.

        ``when_quiet``: as soon as other programs leave the machine alone, and not before. ``train_up_to_s``: a training
        that takes longer waits for a word.

        Raises :class:`WorkbenchError` where it can't be sent off: a model that can't be pickled, a
        worker that doesn't start.
        """
        recipe, baseline = Recipe.parse(self.panel.recipe), self.panel.baseline
        with self._lock:  # held until the id is known: the first event may come before `submit` returns
            conditions = {"when_quiet": when_quiet, "train_up_to_s": train_up_to_s}
            number = self.session.submit(self._workload, recipe, baseline=baseline, owner=self, **conditions)
            self._submitted.add(number)
            name = self._workload.display_name
            self._asked.setdefault(name, []).append(recipe)
            submitted = _state.Submitted(number, name, recipe.model_dump(mode="json"), baseline)
            self._dispatch(submitted, Urgency.ANSWER)
        return number

    def cancel(self) -> None:
        """Stop what this page runs."""
        self.session.cancel(owner=self)

    def close(self) -> None:
        """Take the page down. The session stays as it is."""
        self._unsubscribe()
        for feed in self._feeds:
            feed.look_away()
        super().close()

    def __repr__(self) -> str:
        return f"<Workbench on {self.state.workload}: {self.state.phase}>"

    def _wire(self) -> None:
        self.frame.observe(self._on_view, "views")
        self.frame.observe(lambda _: self._submitted and self._on_link(), "restored")
        self._undoing = Undoing(self.panel, self.bar)
        self._feeds = (
            Feed(self.examples, self._changed_examples, examples.why_none, examples.WORDS, self._draw_state),
            Feed(self.sensitivity, self._sensitivity, sensitivity.why_none, sensitivity.WORDS, self._draw_state),
        )
        self.sensitivity.observe(self._on_cell, "pressed")
        self.details.strip.observe(lambda _: self._draw_state(), "selected")
        self._layer_reader = LayerReader(self.layers)
        self.layers.observe(lambda _: self._look_at_layer(), "selected")
        self.layers.observe(self._on_layer_asked, "asked")
        self.panel.observe(self._on_recipe, ["recipe", "baseline"])
        self.bar.observe(self._on_workload, "workload")
        self.bar.observe(lambda _: self._start_over(), "resets")
        self.next.observe(lambda change: self._apply(change["new"]["recipe"]), "taken")
        self.progress.observe(lambda _: self.cancel(), "cancels")
        self.progress.observe(lambda _: self._try_to_submit(), "repeats")
        self.progress.observe(lambda _: self.session.take_best(owner=self), "takes")
        self.verdict.observe(lambda change: self._dispatch(_state.Accepted(change["new"]), Urgency.ANSWER), "accepted")
        self.verdict.observe(lambda _: self._try_to_submit(when_quiet=True), "quiet_requests")
        self.verdict.observe(lambda _: self._try_to_submit(train_up_to_s=None), "train_requests")
        self.pareto_plot.observe(lambda _: self._try_to_submit(), "repeats")
        for part in (self.pareto_plot, self.history):
            part.observe(self._on_selected, "selected")
            part.observe(self._on_deleted, "deleted")
        for trait in ("pinned", "hidden"):
            t.link((self.history, trait), (self.pareto_plot, trait))
        self.pareto_plot.observe(lambda _: self._draw_state(), "pinned")
        self._unsubscribe = self.session.subscribe(self._on_event)
        self.session.on_ready(self._on_ready, lambda reason: self._dispatch(_state.GivenUp(reason), Urgency.ANSWER))

    # -- what a person does

    def _on_view(self, change: t.Bunch) -> None:
        """Start with the first look at the page: one that is kept ready for a visitor must not use the machine."""
        if not change["old"]:
            self._load_history()  # others may have finished runs since the page was made
        if not self._submitted and self.frame.restored:
            self._on_link()
        if not self._submitted:
            self._try_to_submit()

    def _on_link(self) -> None:
        """Show what the address asks for; where that isn't offered, say why and show what there is."""
        before, asked, refused = self._workload, self.frame.restored, None
        with self._one_run():
            try:
                recipe = Recipe.parse(asked["recipe"] or self.panel.recipe)
                self._workload = self._named(asked["workload"] or before.display_name)
                self.panel.baseline = asked["baseline"] or "auto"
            except WorkbenchError as error:
                self._workload, refused = before, error
            else:
                self._workload_id = _known_id(self._workload)
                self._load_history()
                self._apply(recipe.model_dump(mode="json"))
        if refused:
            self._refuse(refused)

    @contextmanager
    def _one_run(self) -> Iterator[None]:
        """What is set of recipe and baseline meanwhile is measured once, at the end."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
        self._try_to_submit()

    def _try_to_submit(
        self, *, when_quiet: bool = False, train_up_to_s: float | None = _TRAINED_WITHOUT_A_WORD_S
    ) -> None:
        """Submit; where that is impossible, say so above the toggles."""
        try:
            self.submit(when_quiet=when_quiet, train_up_to_s=train_up_to_s)
        except WorkbenchError as error:
            self._refuse(error)
        else:
            self._pump.put(self.panel, Urgency.ANSWER, error="")

    def _refuse(self, error: WorkbenchError) -> None:
        self._pump.put(self.panel, Urgency.ANSWER, error=str(error))

    def _apply(self, recipe: dict[str, Any]) -> None:
        self.panel.recipe = recipe

    def _adopt(self, state: _state.PageState) -> None:
        """Ask from now on for what a search has found: its run is the one that is shown."""
        searches = Recipe.parse(self.panel.recipe).open_step is not None
        if state.mixture is None or state.result is None or not searches:
            return
        self._holds = True
        try:
            self._apply({**self.panel.recipe, "steps": state.result.recipe["steps"]})
        finally:
            self._holds = False

    def _start_over(self) -> None:
        with self.panel.hold_trait_notifications():  # one change, which one undo takes back
            self.panel.baseline = "auto"
            self._apply(Recipe.plain().model_dump(mode="json"))

    def _on_workload(self, change: t.Bunch) -> None:
        with self._lock:
            before = self._workload
            if self._is_writing() or change["new"] == before.display_name:
                return
            try:
                self._workload = self._named(change["new"])
                self.submit(train_up_to_s=0)
            except WorkbenchError as error:
                self._workload = before
                self._refuse(error)
                self._draw_state()  # to show the former name
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

    def _on_recipe(self, change: t.Bunch) -> None:
        """Measure what was toggled; a run of the history that was chosen is shown as it is."""
        if self._holds:
            return
        if change["name"] == "recipe" and self.state.stored and change["new"] == self.state.recipe:
            return
        self._try_to_submit()

    def _on_selected(self, change: t.Bunch) -> None:
        row = None if self._is_writing() else self._runs.find(change["new"])
        if row is None or row.id == self._shown(self.state):
            return
        try:
            recipe = Recipe.parse(row.result.recipe).model_dump(mode="json")
        except WorkbenchError as error:  # it was made by another version
            self._refuse(error)
            return
        self.cancel()  # what is under way is of another recipe
        result = row.result.model_copy(update={"recipe": recipe})
        self._dispatch(_state.Stored(row.id, result, row.finished_at), Urgency.ANSWER)
        self._apply(recipe)

    def _on_deleted(self, change: t.Bunch) -> None:
        row = self._runs.find(change["new"])
        change["owner"].deleted = 0
        if row is None:
            return
        try:
            if row.entry:
                self.session.forget(row.entry)
        except WorkbenchError as error:
            self._refuse(error)
            return
        with self._lock:
            self._runs.remove(row.id)
        self.history.pinned = [each for each in self.history.pinned if each != row.id]
        self.history.hidden = [each for each in self.history.hidden if each != row.id]
        self._pump.call((id(self), "history"), self._write_history, Urgency.ANSWER)

    def _on_layer_asked(self, change: t.Bunch) -> None:
        """Give a layer a scheme of its own."""
        asked = change["new"]
        self._change_layer(layer_schemes.with_choice, asked["layer"], asked["choice"])

    def _on_cell(self, change: t.Bunch) -> None:
        """Give a layer the scheme of the cell, or take it back where the layer has it."""
        pressed = change["new"]
        self._change_layer(layer_schemes.toggled, pressed["layer"], pressed["scheme"])

    def _change_layer(self, how: Callable[..., Recipe], layer: str, scheme: str) -> None:
        try:
            changed = how(Recipe.parse(self.panel.recipe), self._catalog, layer, scheme)
        except WorkbenchError as error:
            self._refuse(error)
        else:
            self._apply(changed.model_dump(mode="json"))

    def _look_at_layer(self) -> None:
        """Have the choices for the layer that is unfolded, and its weights in the run that is shown."""
        with self._lock:
            state, workload = self.state, self._workload
        layer = next((each for each in state.receipt if each.layer == self.layers.selected), None)
        if self._catalog and layer:
            choices = layer_schemes.offered(Recipe.parse(self.panel.recipe), self._catalog, layer, state.blocked)
            self._pump.put(self.layers, Urgency.ANSWER, schemes=choices)
        self._layer_reader.look(state, lambda layer: self.session.layer(workload, Recipe.parse(state.recipe), layer))

    def _changed_examples(self, workload: Workload, recipe: Recipe) -> Iterator[View]:
        yield examples.view(self.session.examples(workload, recipe))

    def _sensitivity(self, workload: Workload, recipe: Recipe) -> Iterator[View]:
        times = sensitivity.times(self.state)
        return (sensitivity.view(found, times) for found in self.session.sensitivity(workload, recipe))

    def _save(self, directory: Path) -> list[Path]:
        recipe = Recipe.parse(self.state.recipe)
        archive = directory / archive_name(self._workload, recipe)
        return self.session.save_model(self._workload, recipe, archive, self.state.result)

    # -- what the session says, on its reader thread

    def _on_ready(self, catalog: Catalog) -> None:
        with self._lock:
            self._catalog = catalog
        self._pump.call((id(self), "catalog"), lambda: self.offer(catalog, self._own.display_name), Urgency.ANSWER)
        self._dispatch(_state.Ready())

    def _on_event(self, event: events.Event) -> None:
        with self._lock:
            if event.run not in self._submitted:
                return  # others share the session: scripts, a second page
            if isinstance(event, events.Started) and event.run == self.state.run:
                self._on_identified(event.workload_id)
            self._dispatch(event, Urgency.ANSWER if event.kind in events.ENDINGS else Urgency.LIVE)
            outdated = isinstance(event, events.Notice) and event.measure_again and event.run == self.state.run
        if outdated and not self.state.busy and not self.state.stored:
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
                self._runs.add(event.result, event.entry)
            if self.state.awaited < before.awaited:
                urgency = max(urgency, Urgency.FIRST_FIGURES)
            self._pump.call((id(self), "state"), self._render, urgency)

    def _draw_state(self) -> None:
        self._pump.call((id(self), "state"), self._render, Urgency.ANSWER)

    # -- writing, in the pump only

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
        self.history.pinned = self.history.hidden = []
        self._pump.call((id(self), "history"), self._write_history, Urgency.ANSWER)

    def _write_history(self) -> None:
        with self._lock:
            metric, selected = self._metric(), self._shown(self.state)
            self._runs.take_new()  # they are among all the rows
            rows, plotted = self._runs.history_rows(metric), self._runs.plotted(metric, self._kept())
        with self._writing():
            self.draw_runs(rows, plotted, metric)
            self.pareto_plot.selected = self.history.selected = selected

    def _shown(self, state: _state.PageState) -> int:
        """The id of the row whose run is shown; 0 for none."""
        return state.stored if self._runs.find(state.stored) else self._runs.shown(state.recipe)

    def _kept(self) -> set[int]:
        """The ids of the runs that the plot shows even where their recipe has been measured since."""
        return {*self.history.pinned, self.state.stored}

    def _metric(self) -> Metric | None:
        """What tells the quality of what is shown; ``None`` until the first run has."""
        return self.state.metric or self._runs.metric

    def _render(self) -> None:
        with self._lock:
            metric = self._metric()
        if not self.is_headed_by(metric):
            self._write_history()
        with self._lock:
            state, new, plotted = self.state, self._runs.take_new(), self._runs.plotted(metric, self._kept())
            workload = self._workload
        self._adopt(state)
        with self._writing(), self.one_message_each():
            self.append_runs(new, plotted, metric)
            self.draw(state, self._catalog)
            for feed in self._feeds:
                if self.details.is_open(feed.widget):
                    feed.follow(state, workload)
                else:
                    feed.look_away()
            self.pareto_plot.selected = self.history.selected = self._shown(state)
        self._look_at_layer()
        self._pump.call((id(self), "behind"), lambda: self._render_behind(state, workload))

    def _render_behind(self, state: _state.PageState, workload: Workload) -> None:
        """What comes after what people wait for. Of the state drawn: newer code would stand beside old figures."""
        with self._lock:
            asked, stored = list(self._asked.get(state.workload, [])), [row.result for row in self._runs.rows]
        with self._writing(), self.one_message_each():
            self.draw_behind(state, workload, self._catalog)
            if self._catalog:
                found = suggestions(Recipe.parse(self.panel.recipe), self._catalog, asked, state.blocked, stored)
                self.next.offers = [each.view() for each in found]
        self._pump.call((id(self), "kept"), self._keep_at_rest)

    def _keep_at_rest(self) -> None:
        """Keep the figures of a run that is over; who waits for the next has other things sent first."""
        if not self.state.busy:
            self.keep_figures()


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
        ``metric``, ``loss``, ``output``, ``call`` and ``classes``, as :class:`Workload` takes them.

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

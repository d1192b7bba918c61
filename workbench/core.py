"""Where runs happen: prepare a variant, measure it beside its baseline, and tell of each step as events."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from workbench import ahead, engines, events, models, techniques
from workbench.baseline import Baselines
from workbench.errors import EngineError, WorkbenchError
from workbench.measure import accuracy, machine
from workbench.measure.limits import available_memory_bytes, usable_threads
from workbench.measurement import Measurement
from workbench.recipe import Recipe
from workbench.shelf import Prepared, Shelf, plain
from workbench.store import data_directory
from workbench.techniques import Context, TrainingPoint
from workbench.workload import LoadedWorkload, Workload

_SHELF_SHARE_OF_MEMORY = 0.25
_IDLE_POLL_SECONDS = 0.05


class Outbox(Protocol):
    """Where events go."""

    def event(self, event: events.Event, result_key: str = "") -> None:
        """Send one event of a run."""


class Core:
    """Runs recipes one at a time and remembers what may be asked for again."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._pickled: dict[int, bytes] = {}
        self._loaded: dict[int, LoadedWorkload] = {}
        self._shelf = Shelf(int(available_memory_bytes() * _SHELF_SHARE_OF_MEMORY))
        self._baselines = Baselines(self._shelf)
        self._baseline_predictions: dict[str, torch.Tensor] = {}
        self._last: tuple[int, LoadedWorkload, Recipe, str] | None = None

    def keep_workload(self, token: int, pickled: bytes) -> None:
        """Keep a workload's pickled description until a run needs it."""
        self._pickled[token] = pickled

    def run(
        self, run: int, token: int, document: dict[str, Any], baseline: str, checkpoint: Callable[[], None]
    ) -> None:
        """Carry one recipe out and send its events; the last is ``Finished``.

        Raises
        ------
        Cancelled
            From ``checkpoint``, at the next batch boundary after the run was cancelled.
        WorkbenchError
            When the workload or the recipe can't be used, in one line for the person.
        """
        self._baselines.pause()
        context = self._context(run, checkpoint)
        if token not in self._loaded:
            context.progress("loading the workload", 0, 0)
        workload = self._workload(token)
        context = self._context(run, checkpoint, workload, Recipe.parse(document))
        recipe, variant = self._first_that_runs(run, workload, Recipe.parse(document), baseline, context)
        for notice in filter(None, (workload.note, self._baselines.notice(workload, recipe.place, baseline))):
            self._outbox.event(events.Notice(run=run, message=notice))
        plain_fp32 = self._baselines.strongest(workload, recipe.place, baseline, context)
        measurement = Measurement(workload, recipe, plain_fp32, variant, self._predictions(workload, context))
        with machine.measuring(data_directory(), waiting=lambda: self._wait_for_others(context)):
            for event in measurement.events(run, checkpoint):
                self._outbox.event(event)
        self._last = (run, workload, recipe, baseline)
        finished = events.Finished(run=run, result=measurement.result())
        self._outbox.event(finished, _result_key(workload, recipe, baseline))

    def look_ahead(self, checkpoint: Callable[[], None]) -> None:
        """Prepare what may be asked next, until ``checkpoint`` says that something was asked."""
        if self._last is None:
            for technique in techniques.registered().values():
                checkpoint()
                technique.preload()
            return
        run, workload, recipe, baseline = self._last
        context = Context(train=workload.train, seed=recipe.seed, checkpoint=checkpoint)
        spent = 0
        for candidate in ahead.neighbours(recipe):
            checkpoint()
            if not self._shelf.has(workload, candidate):
                spent += self._prepare_quietly(workload, candidate, context)
            if spent > self._shelf.budget_bytes // 2:
                break

        def wait() -> None:
            checkpoint()
            time.sleep(_IDLE_POLL_SECONDS)

        if baseline == "auto":
            news = self._baselines.improve(workload, recipe.place, context, wait)
            if news:
                self._outbox.event(events.Notice(run=run, message=news, measure_again=True))

    def save(self, token: int, document: dict[str, Any], directory: str) -> list[Path]:
        """Write what the engine can of the variant (``model.pt2``, ``model.onnx``) and ``recipe.json``."""
        self._baselines.pause()
        workload = self._workload(token)
        recipe = completions(Recipe.parse(document))[0]
        prepared = self._shelf.prepared(workload, recipe, Context(train=workload.train, seed=recipe.seed))
        target = Path(directory)
        target.mkdir(parents=True, exist_ok=True)
        _require_room(target, prepared)
        paths = [Path(path) for path in prepared.runner.save(target)]
        (target / "recipe.json").write_text(recipe.to_json(indent=1))
        return [*paths, target / "recipe.json"]

    def _first_that_runs(
        self, run: int, workload: LoadedWorkload, recipe: Recipe, baseline: str, context: Context
    ) -> tuple[Recipe, Prepared]:
        """Prepare the recipe on its engine; where that is "auto", on the first that can run this very model."""
        candidates = completions(recipe)
        for candidate in candidates:
            started = events.Started(run=run, workload=workload.name, recipe=candidate.model_dump(mode="json"))
            self._outbox.event(started, _result_key(workload, candidate, baseline))
            try:
                return candidate, self._shelf.prepared(workload, candidate, context)
            except EngineError as error:
                if candidate is candidates[-1]:
                    raise
                message = f"{candidate.place.engine} can't run it: {error}"
                self._outbox.event(events.Notice(run=run, message=message))
        raise AssertionError("there is always a candidate")

    def _workload(self, token: int) -> LoadedWorkload:
        if token not in self._loaded:
            try:
                description: Workload = pickle.loads(self._pickled[token])  # from our own parent, over its pipe
            except (AttributeError, ImportError, pickle.UnpicklingError) as error:
                raise WorkbenchError(f"the model or its data couldn't be passed to the worker: {error}") from error
            self._loaded[token] = models.load(description)
        return self._loaded[token]

    def _context(
        self,
        run: int,
        checkpoint: Callable[[], None],
        workload: LoadedWorkload | None = None,
        recipe: Recipe | None = None,
    ) -> Context:
        def progress(message: str, done: int, total: int) -> None:
            self._outbox.event(events.Progress(run=run, message=message, done=done, total=total))

        def curve(point: TrainingPoint) -> None:
            self._outbox.event(events.Training(run=run, **vars(point)))

        return Context(
            train=workload.train if workload else None,
            seed=recipe.seed if recipe else 0,
            checkpoint=checkpoint,
            progress=progress,
            curve=curve,
        )

    def _predictions(self, workload: LoadedWorkload, context: Context) -> torch.Tensor:
        """The class the untouched model gives each test example, computed once."""
        if workload.key not in self._baseline_predictions:
            context.progress("accuracy of the baseline", 0, 0)
            eager = self._shelf.prepared(workload, plain(completions(Recipe())[0].place, "eager"), context)
            self._baseline_predictions[workload.key] = accuracy.predictions(
                eager.runner, workload.test.inputs, checkpoint=context.checkpoint
            )
        return self._baseline_predictions[workload.key]

    def _prepare_quietly(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> int:
        """Prepare ahead; what fails here is reported in full when the person asks for it."""
        try:
            return self._shelf.prepared(workload, recipe, context).size_bytes
        except WorkbenchError:
            return 0

    def _wait_for_others(self, context: Context) -> None:
        context.checkpoint()
        context.progress("waiting: another notebook is measuring on this machine", 0, 0)


def completions(recipe: Recipe) -> list[Recipe]:
    """The recipe with threads filled in, once for each engine that its engine may stand for ("auto": several)."""
    place = recipe.place
    names = engines.preferred(recipe.precision, place.device) if place.engine == "auto" else (place.engine,)
    threads = place.threads or usable_threads()
    places = [place.model_copy(update={"engine": name, "threads": threads}) for name in names]
    return [recipe.model_copy(update={"place": complete}) for complete in places]


def _result_key(workload: LoadedWorkload, recipe: Recipe, baseline: str) -> str:
    parts = [workload.key, recipe.key(), baseline, machine.fingerprint()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _require_room(directory: Path, prepared: Prepared) -> None:
    free_bytes, needed_bytes = shutil.disk_usage(directory).free, 4 * prepared.size_bytes
    if free_bytes < needed_bytes:
        raise WorkbenchError(
            f"{directory} has {free_bytes / 1e6:.0f} MB left; the model needs {needed_bytes / 1e6:.0f}"
        )

"""Where runs happen: prepare a variant, measure it beside its baseline, and tell of each step as events."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch

from workbench import engines, events, techniques
from workbench.core import ahead, blocked
from workbench.core.baseline import Baselines
from workbench.core.measurement import Measurement
from workbench.core.saving import require_writable
from workbench.core.shelf import Prepared, Shelf, plain
from workbench.core.workloads import Workloads
from workbench.engines._program import how_to_load
from workbench.errors import Cancelled, EngineError, WorkbenchError
from workbench.machine import devices, identity, turn
from workbench.machine.limits import available_memory_bytes, require_threads, usable_threads
from workbench.measure import accuracy, layers
from workbench.measure.accuracy import no_better_than_guessing
from workbench.plumbing.words import size
from workbench.recipe import Place, Recipe
from workbench.store import data_directory
from workbench.techniques import Context, TrainingPoint
from workbench.workload import LoadedWorkload

_SHELF_SHARE_OF_MEMORY = _WORKLOADS_SHARE_OF_MEMORY = 0.25
_IDLE_POLL_SECONDS = 0.05
_PRELOAD_AFTER_SECONDS = 3.0
"""A page that has just been opened needs the processor for itself."""


class Outbox(Protocol):
    """Where events go."""

    def event(self, event: events.Event, result_key: str = "") -> None:
        """Send one event of a run."""


class Core:
    """Runs recipes one at a time and remembers what may be asked for again."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        available_bytes = available_memory_bytes()
        self._workloads = Workloads(int(available_bytes * _WORKLOADS_SHARE_OF_MEMORY))
        self._shelf = Shelf(int(available_bytes * _SHELF_SHARE_OF_MEMORY))
        self._baselines = Baselines(self._shelf)
        self._baseline_predictions: dict[str, torch.Tensor] = {}
        self._blocked: dict[str, dict[str, events.Blocked]] = {}
        self._failed_ahead: set[tuple[str, str]] = set()
        self._last: tuple[int, LoadedWorkload, Recipe, str] | None = None

    def keep_workload(self, token: int, pickled: bytes, known: list[int]) -> None:
        """Keep a workload's pickled description until a run needs it; let go of all but it and those ``known``."""
        for key in self._workloads.keep_only(known):
            self._shelf.forget(key)
            self._baseline_predictions.pop(key, None)
            self._blocked.pop(key, None)
            if self._last and self._last[1].key == key:
                self._last = None
        self._workloads.keep(token, pickled)

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
        _require_place(Recipe.parse(document).place)
        context = self._context(run, checkpoint)
        if token not in self._workloads:
            context.progress("loading the workload", 0, 0)
        workload = self._workloads.get(token)
        context = self._context(run, checkpoint, workload, Recipe.parse(document))
        candidates = completions(Recipe.parse(document))
        place = candidates[0].place
        self._say_started(run, workload, candidates[0], baseline)
        reason = blocked.first_reason(candidates[0].steps, workload.module, blocked.task_of(workload))
        asked_before = workload.key in self._blocked
        if reason or asked_before:
            self._say_loaded(run, workload)
        if reason:
            raise WorkbenchError(reason)
        for notice in filter(None, (workload.note, self._baselines.notice(workload, place, baseline))):
            self._outbox.event(events.Notice(run=run, message=notice))
        predictions = self._predictions(workload, context)
        plain_fp32 = self._baselines.strongest(workload, place, baseline, context)
        recipe, variant = self._first_that_runs(run, workload, candidates, baseline, context)
        for notice in filter(None, (no_better_than_guessing(predictions, workload.test), *variant.variant.notices)):
            self._outbox.event(events.Notice(run=run, message=notice))
        stands_in = self._baselines.stands_in(workload, place, baseline)
        measurement = Measurement(workload, recipe, plain_fp32, variant, predictions, stands_in=stands_in)
        with turn.measuring(data_directory(), waiting=lambda: self._wait_for_others(context)):
            for event in measurement.events(run, checkpoint):
                self._outbox.event(event)
        if not asked_before:  # asking all techniques takes a moment, which the first figures don't wait for
            self._say_loaded(run, workload)
        self._last = (run, workload, Recipe.parse(document), baseline)
        finished = events.Finished(run=run, result=measurement.result())
        self._outbox.event(finished, _result_key(workload, recipe, baseline))

    def look_ahead(self, checkpoint: Callable[[], None]) -> None:
        """Prepare what may be asked next, until ``checkpoint`` says that something was asked.

        Keeps quiet while another process measures.
        """

        def quietly() -> None:
            checkpoint()
            while turn.others_are_measuring(data_directory()):
                time.sleep(_IDLE_POLL_SECONDS)
                checkpoint()

        def wait() -> None:
            if turn.others_are_measuring(data_directory()):
                self._baselines.pause()
                quietly()
                self._baselines.resume()
            checkpoint()
            time.sleep(_IDLE_POLL_SECONDS)

        if self._last is None:
            preload_at = time.monotonic() + _PRELOAD_AFTER_SECONDS
            while time.monotonic() < preload_at:
                wait()
            for technique in techniques.registered().values():
                quietly()
                technique.preload()
            return
        run, workload, recipe, baseline = self._last
        context = Context(train=workload.train, seed=recipe.seed, checkpoint=quietly)
        spent = 0
        for candidate in ahead.neighbours(recipe):
            spent += self._prepare_quietly(workload, candidate, context)
            if spent > self._shelf.budget_bytes // 2:
                break
        if baseline == "auto":
            for message, changed in self._baselines.improve(workload, completions(recipe)[0].place, context, wait):
                self._outbox.event(events.Notice(run=run, message=message, measure_again=changed))

    def save(self, token: int, document: dict[str, Any], directory: str) -> list[Path]:
        """Write ``model.pt2``, where it can be made ``model.onnx``, ``recipe.json`` and ``receipt.json``."""
        self._baselines.pause()
        workload = self._workloads.get(token)
        asked = Recipe.parse(document)
        _require_place(asked.place)
        recipe = completions(asked)[0]
        prepared = self._shelf.prepared(workload, recipe, Context(train=workload.train, seed=recipe.seed))
        target = Path(directory)
        require_writable(target)
        target.mkdir(parents=True, exist_ok=True)
        _require_room(target, prepared)
        paths = [Path(path) for path in prepared.runner.save(target)]
        if not any(path.suffix == ".onnx" for path in paths):
            paths += self._save_onnx(workload, recipe, target)
        example = workload.example(recipe.place.batch)
        rows = layers.receipt(workload.module, prepared.variant, prepared.runner, example)
        receipt = {
            "workload": workload.name,
            "load": how_to_load(prepared.variant),
            "layers": [row.model_dump(mode="json") for row in rows],
        }
        for name, text in (("recipe.json", recipe.to_json(indent=1)), ("receipt.json", json.dumps(receipt, indent=1))):
            (target / name).write_text(text)
            paths.append(target / name)
        return paths

    def _save_onnx(self, workload: LoadedWorkload, recipe: Recipe, target: Path) -> list[Path]:
        """The same variant as ONNX, where ONNX Runtime is here and takes it."""
        on_onnx = recipe.model_copy(update={"place": recipe.place.model_copy(update={"engine": "onnxruntime"})})
        try:
            runner = self._shelf.prepared(workload, on_onnx, Context(train=workload.train, seed=recipe.seed)).runner
        except EngineError:
            return []
        return [path for path in map(Path, runner.save(target)) if path.suffix == ".onnx"]

    def _say_started(self, run: int, workload: LoadedWorkload, recipe: Recipe, baseline: str) -> None:
        started = events.Started(
            run=run, workload=workload.name, workload_id=workload.id, recipe=recipe.model_dump(mode="json")
        )
        self._outbox.event(started, _result_key(workload, recipe, baseline))

    def _say_loaded(self, run: int, workload: LoadedWorkload) -> None:
        if workload.key not in self._blocked:
            self._blocked[workload.key] = blocked.toggles(workload)
        self._outbox.event(events.Loaded(run=run, workload=workload.name, blocked=self._blocked[workload.key]))

    def _first_that_runs(
        self, run: int, workload: LoadedWorkload, candidates: list[Recipe], baseline: str, context: Context
    ) -> tuple[Recipe, Prepared]:
        """Prepare the recipe on its engine; where that is "auto", on the first that can run this very model."""
        first, *others = candidates
        try:
            return first, self._shelf.prepared(workload, first, context)
        except EngineError as error:
            if not others:
                raise
            self._outbox.event(events.Notice(run=run, message=f"{first.place.engine} can't run it: {error}"))
            self._say_started(run, workload, others[0], baseline)
            return self._first_that_runs(run, workload, others, baseline, context)

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
        """Prepare ahead, once; returns the bytes added. What fails is reported in full when the person asks for it."""
        for candidate in completions(recipe):
            context.checkpoint()
            key = (workload.key, candidate.key())
            if self._shelf.has(workload, candidate):
                return 0
            if key in self._failed_ahead:
                continue
            try:
                return self._shelf.prepared(workload, candidate, context).size_bytes
            except Cancelled:
                raise
            except Exception:  # any library may fail on a model that nobody asked it to take
                self._failed_ahead.add(key)
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


def _require_place(place: Place) -> None:
    devices.require(place.device)
    require_threads(place.threads)


def _result_key(workload: LoadedWorkload, recipe: Recipe, baseline: str) -> str:
    parts = [workload.key, recipe.key(), baseline, identity.fingerprint()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _require_room(directory: Path, prepared: Prepared) -> None:
    free_bytes, needed_bytes = shutil.disk_usage(directory).free, 4 * prepared.size_bytes
    if free_bytes < needed_bytes:
        raise WorkbenchError(
            f"{directory} has {size(free_bytes)} left and saving the model needs {size(needed_bytes)}; "
            "free some space or choose another folder"
        )

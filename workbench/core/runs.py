"""Where runs happen: prepare a variant, measure it beside its baseline, and tell of each step as events."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from workbench import engines, events, techniques
from workbench.core import ahead, blocked, offer
from workbench.core.ablation import Ablations, Beginning
from workbench.core.baseline import Baselines
from workbench.core.judging import Judgements
from workbench.core.measurement import Measurement
from workbench.core.mixing import Mixes, Wanted
from workbench.core.mixing.searching import searched
from workbench.core.placing import completions, require_place
from workbench.core.questions import Questions
from workbench.core.rehearsal import Rehearsals
from workbench.core.shelf import Prepared, Shelf
from workbench.core.workloads import Workloads
from workbench.errors import Cancelled, EngineError, WorkbenchError
from workbench.machine import identity, turn
from workbench.machine.crowding import wait_for_quiet
from workbench.machine.limits import available_memory_bytes
from workbench.measure import quality
from workbench.recipe import Recipe
from workbench.store import data_directory
from workbench.techniques import Context, TrainingPoint
from workbench.workload import LoadedWorkload

_SHELF_SHARE_OF_MEMORY = _WORKLOADS_SHARE_OF_MEMORY = 0.25
_REHEARSALS_SHARE_OF_MEMORY = 0.05
_LATENCY_OF_A_FORM_SECONDS = 0.5
_IDLE_POLL_SECONDS = 0.05
_PRELOAD_AFTER_SECONDS = 3.0
"""A page that has just been opened needs the processor for itself."""


class Outbox(Protocol):
    """Where events go."""

    def event(self, event: events.Event, result_key: str = "") -> None:
        """Send one event of a run."""


@dataclass(frozen=True)
class Asked:
    """A run as it was asked for, its workload in memory."""

    run: int
    workload: LoadedWorkload
    recipe: Recipe
    baseline: str
    context: Context

    @cached_property
    def candidates(self) -> list[Recipe]:
        """The recipe on each engine that it may run on, the best first."""
        return completions(self.recipe)

    @property
    def against(self) -> str:
        """The engine to compare with, or "auto": the untouched model as PyTorch runs it is compared with itself."""
        reference = engines.reference().name
        untouched = not self.recipe.steps and self.recipe.place.engine == reference
        return reference if untouched and self.baseline == "auto" else self.baseline


class Core:
    """Runs recipes one at a time and remembers what may be asked for again."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        available_bytes = available_memory_bytes()
        self._workloads = Workloads(int(available_bytes * _WORKLOADS_SHARE_OF_MEMORY))
        self._shelf = Shelf(int(available_bytes * _SHELF_SHARE_OF_MEMORY))
        self._baselines = Baselines(self._shelf)
        self._judgements = Judgements(self._shelf)
        self._mixes = Mixes(self._shelf)
        self._questions = Questions(self._workloads, self._shelf, self._judgements, self._mixes)
        self._blocked: dict[str, dict[str, events.Blocked]] = {}
        self._failed_ahead: set[tuple[str, str]] = set()
        self._last: tuple[Asked, Measurement] | None = None
        self._ablations = Ablations(self._shelf)
        self._rehearsals = Rehearsals(int(available_bytes * _REHEARSALS_SHARE_OF_MEMORY))

    def keep_workload(self, token: int, pickled: bytes, known: list[int]) -> None:
        """Keep a workload's pickled description until a run needs it; let go of all but it and those ``known``."""
        for key in self._workloads.keep_only(known):
            self._shelf.forget(key)
            self._rehearsals.forget(key)
            self._judgements.forget(key)
            self._questions.forget(key)
            self._mixes.forget(key)
            self._blocked.pop(key, None)
            if self._last and self._last[0].workload.key == key:
                self._last = None
        self._workloads.keep(token, pickled)

    def run(
        self,
        run: int,
        token: int,
        recipe: Recipe,
        baseline: str,
        checkpoint: Callable[[], None],
        *,
        enough: Callable[[], bool] = lambda: False,
        when_quiet: bool = False,
        train_up_to_s: float | None = None,
    ) -> None:
        """Carry one recipe out and send its events; the last is ``Finished``.

        ``enough``: whether a search for the schemes of layers is to end, with the best so far. ``when_quiet``: measure
        as soon as other programs leave the machine alone, and not before. ``train_up_to_s``: where training or a search
        would take longer, it ends before that, with ``Untrained``.

        Raises
        ------
        Cancelled
            From ``checkpoint``, at the next batch boundary after the run was cancelled.
        WorkbenchError
            When the workload or the recipe can't be used, in one line for the person.
        """
        self._baselines.pause()
        asked = self._taken_up(run, token, recipe, baseline, checkpoint)
        if self._waits_for_a_word(asked, train_up_to_s):
            return
        asked = self._resolved(asked, enough)
        measurement = self._prepared(asked)
        result_key = _result_key(asked.workload, measurement.recipe, baseline)
        if when_quiet:
            wait_for_quiet(asked.context.checkpoint, lambda words: asked.context.progress(words, 0, 0))
        with turn.measuring(data_directory(), waiting=lambda: self._wait_for_others(asked.context)):
            for event in measurement.events(run, checkpoint):
                self._outbox.event(event)
        if asked.workload.key not in self._blocked:
            self._say_loaded(asked)
        self._say(run, measurement.doubt, measurement.overflow)
        self._last = asked, measurement
        result = measurement.result()
        self._ablations.keep(measurement, result)
        self._outbox.event(events.Finished(run=run, result=result), result_key)

    def questions(self) -> Questions:
        """What may be asked that is no run. What is built in idle time rests until :meth:`look_ahead` goes on."""
        self._baselines.pause()
        return self._questions

    def _taken_up(self, run: int, token: int, recipe: Recipe, baseline: str, checkpoint: Callable[[], None]) -> Asked:
        """What was asked for, with its workload in memory, once it is known that it can be carried out."""
        require_place(recipe.place)
        progress = self._progress(run)
        if token not in self._workloads:
            progress("loading the workload", 0, 0)
        workload = self._workloads.get(token)
        context = Context.of(
            workload,
            seed=recipe.seed,
            checkpoint=checkpoint,
            progress=progress,
            curve=self._curve(run),
        )
        asked = Asked(run, workload, recipe, baseline, context)
        self._say_started(asked, asked.candidates[0])
        reason = blocked.first_reason(recipe.steps, workload.module, blocked.form_of(workload))
        if reason or workload.key in self._blocked:  # else the first figures don't wait for all techniques to be asked
            self._say_loaded(asked)
        if reason:
            raise WorkbenchError(reason)
        return asked

    def _waits_for_a_word(self, asked: Asked, train_up_to_s: float | None) -> bool:
        """Whether it trains or searches for longer than it may; then that is told, and what is known before it."""
        searches = asked.recipe.open_step is not None
        if searches and train_up_to_s is None:
            return False
        seconds = self._search_seconds(asked) if searches else self._rehearsed(asked)
        waits = train_up_to_s is not None and seconds > train_up_to_s
        if waits:
            self._outbox.event(events.Untrained(run=asked.run, seconds=seconds, searches=searches))
        return waits

    def _resolved(self, asked: Asked, enough: Callable[[], bool]) -> Asked:
        """The same with what a search found in place of what its recipe leaves to one; ``enough`` ends that."""
        if asked.recipe.open_step is None:
            return asked
        workload, context = asked.workload, asked.context
        self._shelf.variant(workload, _without_search(asked.recipe), context)  # what comes before tells of itself
        context.progress("searching the fastest scheme for each layer", 0, 0)
        model, best = self._judgements.model(workload), None
        for found in searched(self._mixes, workload, asked.recipe, model, context, enough):
            self._outbox.event(events.Search(run=asked.run, mixture=found))
            best = found if found.recipe else best
        asked = replace(asked, recipe=Recipe.parse(best.recipe))
        self._say(asked.run, f"auto chose {best.in_words}")
        self._say_started(asked, asked.candidates[0])
        return asked

    def _search_seconds(self, asked: Asked) -> float:
        """About how long it takes to train what comes before a search, and at most to search."""
        recipe = _without_search(asked.recipe)
        done = self._shelf.steps_done(asked.workload, recipe, saturates=False)
        return self._rehearsals.seconds(asked.workload, recipe, asked.context, done) + Wanted.seconds

    def _prepared(self, asked: Asked) -> Measurement:
        """Both sides, ready to be compared."""
        workload, place, baseline = asked.workload, asked.candidates[0].place, asked.against
        self._say(asked.run, workload.note, self._baselines.notice(workload, place, baseline))
        judged = self._judged(asked)
        plain_fp32 = self._baselines.strongest(workload, place, baseline, asked.context)
        recipe, variant = self._first_that_runs(asked, asked.candidates, self._shelf)
        self._say(asked.run, *variant.variant.notices)
        awaited = self._baselines.awaited(workload, place, baseline)
        return Measurement(workload, recipe, plain_fp32, variant, judged, awaited=awaited)

    def _rehearsed(self, asked: Asked) -> float:
        """About how many seconds of training come, 0 where none do; sends what is known before it: size and latency."""
        workload, recipe = asked.workload, asked.candidates[0]
        saturates = engines.find(recipe.place.engine).saturates()
        done = self._shelf.steps_done(workload, recipe, saturates=saturates)
        if not any(step.training_epochs() for step in recipe.steps[done:]):
            return 0
        context = replace(asked.context, saturates=saturates)
        context.progress("how long will the training take?", 0, 0)
        seconds = self._rehearsals.seconds(workload, recipe, context, done)
        few_of_it, few_in_context = self._rehearsals.few(workload, context)
        few = replace(asked, workload=few_of_it, context=few_in_context)
        baseline = self._baselines.strongest(workload, recipe.place, asked.against, asked.context)
        recipe, variant = self._first_that_runs(few, few.candidates, self._rehearsals.shelf)
        form = Measurement(
            workload,
            recipe,
            baseline,
            variant,
            self._judged(asked),
            awaited="",
            budget_s=_LATENCY_OF_A_FORM_SECONDS,
        )
        with turn.measuring(data_directory(), waiting=lambda: self._wait_for_others(asked.context)):
            for event in form.form(asked.run, asked.context.checkpoint):
                self._outbox.event(event)
        return seconds

    def look_ahead(self, checkpoint: Callable[[], None]) -> None:
        """Prepare what may be asked next, until ``checkpoint`` says that something was asked.

        Keeps quiet while another process measures.
        """

        def quietly() -> None:
            turn.keep_quiet(data_directory(), checkpoint)

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
        last, measurement = self._last
        context = Context.of(last.workload, seed=last.recipe.seed, checkpoint=quietly)
        for beginning in self._ablations.of(measurement, context):
            self._outbox.event(_told(last.run, beginning))
        spent = 0
        for candidate in ahead.neighbours(last.recipe):
            spent += self._prepare_quietly(last.workload, candidate, context)
            if spent > self._shelf.budget_bytes // 2:
                break
        if last.baseline == "auto":
            place = last.candidates[0].place
            for message, changed in self._baselines.improve(last.workload, place, context, wait):
                again = changed and last.against == last.baseline
                self._outbox.event(events.Notice(run=last.run, message=message, measure_again=again))
        for technique, seconds in self._costs(last, context):
            self._outbox.event(events.Cost(run=last.run, technique=technique, seconds=seconds))
        if all(map(self._shelf.keeps, measurement.sides)) and measurement.was_slow(quietly):
            message = "this machine was slower than usual while that was measured; measuring again"
            self._outbox.event(events.Notice(run=last.run, message=message, measure_again=True))

    def _costs(self, asked: Asked, context: Context) -> Iterator[tuple[str, float]]:
        """How long a recipe would train with one technique more, for each that trains and is off."""
        for name, longer in ahead.trained(asked.candidates[0]):
            done = self._shelf.steps_done(asked.workload, longer, saturates=False)
            with contextlib.suppress(WorkbenchError):  # told in full when the person asks for it
                yield name, self._rehearsals.seconds(asked.workload, longer, context, done)

    def _say(self, run: int, *notices: str | None) -> None:
        for notice in filter(None, notices):
            self._outbox.event(events.Notice(run=run, message=notice))

    def _say_started(self, asked: Asked, recipe: Recipe) -> None:
        workload = asked.workload
        started = events.Started(
            run=asked.run, workload=workload.name, workload_id=workload.id, recipe=recipe.model_dump(mode="json")
        )
        self._outbox.event(started, _result_key(workload, recipe, asked.baseline))

    def _say_loaded(self, asked: Asked) -> None:
        """Say what of the techniques could do nothing to this model; asking them all takes a moment, the first time."""
        workload = asked.workload
        if workload.key not in self._blocked:
            self._blocked[workload.key] = blocked.toggles(workload)
        self._outbox.event(events.Loaded(run=asked.run, workload=workload.name, blocked=self._blocked[workload.key]))

    def _first_that_runs(self, asked: Asked, candidates: list[Recipe], shelf: Shelf) -> tuple[Recipe, Prepared]:
        """Prepare the recipe on its engine; where that is "auto", on the first that can run this very model."""
        first, *others = candidates
        try:
            return first, shelf.prepared(asked.workload, first, asked.context)
        except EngineError as error:
            if not others:
                raise
            self._say(asked.run, f"{first.place.engine} can't run it: {error}")
            self._say_started(asked, others[0])
            return self._first_that_runs(asked, others, shelf)

    def _progress(self, run: int) -> Callable[[str, int, int], None]:
        def progress(message: str, done: int, total: int) -> None:
            self._outbox.event(events.Progress(run=run, message=message, done=done, total=total))

        return progress

    def _curve(self, run: int) -> Callable[[TrainingPoint], None]:
        def curve(point: TrainingPoint) -> None:
            self._outbox.event(events.Training(run=run, **vars(point)))

        return curve

    def _judged(self, asked: Asked) -> quality.Judged:
        return self._judgements.of(asked.workload, asked.candidates[0].place.batch, asked.context)

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


def _without_search(recipe: Recipe) -> Recipe:
    """The steps before a search, placed where that begins."""
    others = tuple(step for step in recipe.steps if not step.searches())
    return completions(recipe.model_copy(update={"steps": others}))[0]


def _told(run: int, beginning: Beginning) -> events.Event:
    if beginning.result:
        return events.Ablation(run=run, result=beginning.result)
    return events.Unmeasured(run=run, steps=beginning.steps, reason=beginning.reason)


def _result_key(workload: LoadedWorkload, recipe: Recipe, baseline: str) -> str:
    parts = [workload.key, recipe.key(), baseline, identity.fingerprint(offer.libraries())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

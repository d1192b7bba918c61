"""What was made once and may be asked for again: variants after each prefix of steps, and their runners."""

from __future__ import annotations

import itertools
import operator
from collections import OrderedDict
from dataclasses import dataclass, field, replace

import torch

from workbench.core.placing import failures_of, require_engine
from workbench.engines import Engine, Runner
from workbench.graph.quantized import untouched
from workbench.machine.limits import usable_threads
from workbench.measure import memory
from workbench.measure.fidelity import require_faithful
from workbench.measure.pace import Pace
from workbench.measure.quality import batch_for
from workbench.measure.warmup import warm_up
from workbench.recipe import Place, Recipe
from workbench.techniques import Context
from workbench.variant import Variant
from workbench.workload import LoadedWorkload

_COPIES_PER_RUNNER = 3
"""An engine holds about this many copies of the weights: its own, packed, and the exported form."""

_WARM_UP_BUDGET_SECONDS = 0.1


@dataclass(frozen=True)
class Prepared:
    """A variant ready to be called and warmed up, with what it weighs. ``steady``: whether warm-up came to an end."""

    place: Place
    variant: Variant
    runner: Runner
    size_bytes: int
    peak_memory_bytes: int | None
    steady: bool
    pace: Pace = field(default_factory=Pace)


class Shelf:
    """Least recently used things leave when ``budget_bytes`` is exceeded, but never the two used last.

    ``place`` in every recipe given here must be complete: no "auto", threads filled in.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._variants: OrderedDict[tuple, Variant] = OrderedDict()
        self._prepared: OrderedDict[tuple, Prepared] = OrderedDict()

    def has(self, workload: LoadedWorkload, recipe: Recipe) -> bool:
        """Whether this recipe could be measured at once."""
        return _key(workload, recipe) in self._prepared

    def find(self, workload: LoadedWorkload, recipe: Recipe) -> Prepared | None:
        """This recipe's variant, ready to be called; None where it would have to be prepared."""
        return self._prepared.get(_key(workload, recipe))

    def keeps(self, prepared: Prepared) -> bool:
        """Whether this very one can still be called."""
        return any(each is prepared for each in self._prepared.values())

    def forget(self, workload_key: str) -> None:
        """Let go of everything made from this workload."""
        for key in [key for key in self._prepared if key[0] == workload_key]:
            self._prepared.pop(key).runner.close()
        for key in [key for key in self._variants if key[0] == workload_key]:
            del self._variants[key]

    def variant(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Variant:
        """The variant after all steps, resuming at the longest prefix that was made before."""
        keys = _variant_keys(workload, recipe, saturates=context.saturates)
        if keys[0] not in self._variants:
            self._variants[keys[0]] = untouched(workload.module, workload.example(1))
        done = self._done(keys)
        variant = self._variants[keys[done]]
        torch.set_num_threads(usable_threads())  # whatever the last run left: equal seeds, equal sums
        for key, step in list(zip(keys[1:], recipe.steps, strict=True))[done:]:
            context.checkpoint()
            context.progress(step.summary(), 0, 0)
            variant = self._variants[key] = step.apply(variant, context)
        for key in keys:
            self._variants.move_to_end(key)
        return variant

    def steps_done(self, workload: LoadedWorkload, recipe: Recipe, *, saturates: bool) -> int:
        """How many of the recipe's steps needn't be done any more."""
        return self._done(_variant_keys(workload, recipe, saturates=saturates))

    def _done(self, keys: list[tuple]) -> int:
        return max((n for n, key in enumerate(keys) if key in self._variants), default=0)

    def prepared(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Prepared:
        """The variant on its engine, ready to be called.

        Raises
        ------
        EngineError
            When the engine isn't there, refuses the precision or device, fails on the model, or computes something
            else than it.
        """
        key = _key(workload, recipe)
        if key not in self._prepared:
            engine = require_engine(recipe)
            variant = self.variant(workload, recipe, replace(context, saturates=engine.saturates()))
            context.checkpoint()
            self._prepared[key] = self._prepare(workload, recipe, engine, variant, context)
            self._make_room()
        self._prepared.move_to_end(key)
        return self._prepared[key]

    def _prepare(
        self, workload: LoadedWorkload, recipe: Recipe, engine: Engine, variant: Variant, context: Context
    ) -> Prepared:
        context.progress(f"preparing {engine.title}", 0, 0)
        place, example, checkpoint = recipe.place, workload.example(recipe.place.batch), context.checkpoint
        with failures_of(engine):
            runner = engine.prepare(variant, example, device=place.device, threads=place.threads, checkpoint=checkpoint)
            growth_bytes = memory.peak_memory_growth(lambda: runner(*example))
            checkpoint()
            for part in workload.test.parts:
                require_faithful(engine, runner, variant, part.inputs, batch=place.batch)
            of_quality = workload.example(batch_for(place.batch, workload.test.inputs))
            runner(*of_quality)  # engines plan once for each batch size
            warm = warm_up(lambda: runner(*example), budget_s=_WARM_UP_BUDGET_SECONDS, checkpoint=checkpoint)
        size_bytes = memory.stored_bytes(variant, runner.kernels)
        peak_bytes = None if growth_bytes is None else size_bytes + growth_bytes
        return Prepared(place, variant, runner, size_bytes, peak_bytes, warm.steady)

    def _make_room(self) -> None:
        def used() -> int:
            return sum(item.size_bytes * _COPIES_PER_RUNNER for item in self._prepared.values())

        while len(self._prepared) > 2 and used() > self.budget_bytes:
            _, oldest = self._prepared.popitem(last=False)
            oldest.runner.close()
        while len(self._variants) > 2 * len(self._prepared) + 4:
            self._variants.popitem(last=False)


def plain(place: Place, engine: str) -> Recipe:
    """The recipe of the untouched fp32 model on ``engine``, otherwise placed like ``place``."""
    return Recipe(place=place.model_copy(update={"engine": engine}))


def _variant_keys(workload: LoadedWorkload, recipe: Recipe, *, saturates: bool) -> list[tuple]:
    """Of the untouched model and of the variant after each step."""
    heeding = [False, *itertools.accumulate((step.heeds_saturation for step in recipe.steps), operator.or_)]
    step_keys = ("", *recipe.step_keys())
    return [(workload.key, key, heeds and saturates) for key, heeds in zip(step_keys, heeding, strict=True)]


def _key(workload: LoadedWorkload, recipe: Recipe) -> tuple:
    steps = recipe.step_keys()
    return (workload.key, steps[-1] if steps else "", recipe.place)

"""What was made once and may be asked for again: variants after each prefix of steps, and their runners."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch

from workbench import engines
from workbench.engines import Runner
from workbench.errors import EngineError
from workbench.measure import memory
from workbench.measure.accuracy import batch_for
from workbench.measure.limits import usable_threads
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

    def forget(self, workload_key: str) -> None:
        """Let go of everything made from this workload."""
        for key in [key for key in self._prepared if key[0] == workload_key]:
            self._prepared.pop(key).runner.close()
        for key in [key for key in self._variants if key[0] == workload_key]:
            del self._variants[key]

    def variant(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Variant:
        """The variant after all steps, resuming at the longest prefix that was made before."""
        keys = [(workload.key, key) for key in ("", *recipe.step_keys())]
        self._variants.setdefault(keys[0], Variant(module=workload.module))
        done = max(n for n, key in enumerate(keys) if key in self._variants)
        variant = self._variants[keys[done]]
        torch.set_num_threads(usable_threads())  # whatever the last run left: equal seeds, equal sums
        for key, step in list(zip(keys[1:], recipe.steps, strict=True))[done:]:
            context.checkpoint()
            context.progress(step.summary(), 0, 0)
            variant = self._variants[key] = step.apply(variant, context)
        for key in keys:
            self._variants.move_to_end(key)
        return variant

    def prepared(self, workload: LoadedWorkload, recipe: Recipe, context: Context) -> Prepared:
        """The variant on its engine, ready to be called.

        Raises
        ------
        EngineError
            When the engine isn't there, refuses the precision or device, or fails on the model.
        """
        key = _key(workload, recipe)
        if key not in self._prepared:
            self._check(recipe)
            variant = self.variant(workload, recipe, context)
            context.checkpoint()
            self._prepared[key] = self._prepare(workload, recipe.place, variant, context)
            self._make_room()
        self._prepared.move_to_end(key)
        return self._prepared[key]

    def _check(self, recipe: Recipe) -> None:
        engine = engines.find(recipe.place.engine)
        reason = engine.unavailable()
        if reason:
            raise EngineError(f"{engine.title} isn't available: {reason}")
        reason = engine.refuses(recipe.precision, recipe.place.device)
        if reason:
            raise EngineError(f"{engine.title} can't run {recipe.precision} on {recipe.place.device}: {reason}")

    def _prepare(self, workload: LoadedWorkload, place: Place, variant: Variant, context: Context) -> Prepared:
        engine = engines.find(place.engine)
        context.progress(f"preparing {engine.title}", 0, 0)
        example = workload.example(place.batch)
        runner = engine.prepare(
            variant, example, device=place.device, threads=place.threads, checkpoint=context.checkpoint
        )
        growth_bytes = memory.peak_memory_growth(lambda: runner(example))
        size_bytes = memory.stored_bytes(variant, runner.kernels)
        runner(workload.example(batch_for(place.batch)))  # engines plan once for each batch size
        peak_bytes = None if growth_bytes is None else size_bytes + growth_bytes
        warm = warm_up(lambda: runner(example), budget_s=_WARM_UP_BUDGET_SECONDS, checkpoint=context.checkpoint)
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


def _key(workload: LoadedWorkload, recipe: Recipe) -> tuple:
    steps = recipe.step_keys()
    return (workload.key, steps[-1] if steps else "", recipe.place)

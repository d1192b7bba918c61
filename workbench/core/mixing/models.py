"""Whole models, each layer in a scheme of its own: built, measured and kept."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from workbench.core.measurement import comparison_seconds
from workbench.core.mixing.bench import Bench
from workbench.core.mixing.layers import Layers
from workbench.core.shelf import Prepared
from workbench.errors import WorkbenchError
from workbench.machine import turn
from workbench.machine.affinity import core_of_its_own
from workbench.measure import latency, quality
from workbench.plumbing.directory import data_directory
from workbench.receipt import Interval, Quality
from workbench.recipe import Recipe
from workbench.search.knapsack import Assignment
from workbench.search.mending import Measured
from workbench.techniques import Context
from workbench.techniques.quantize.schemes import KEPT
from workbench.workload import Data

_BESIDE_ITSELF = Interval(value=1.0, low=1.0, high=1.0)


@dataclass(frozen=True)
class _Found:
    measured: Measured
    reason: str = ""


class Models:
    """What whole models lose beside the untouched one, which ``judged`` is, and how fast they are beside the reference.

    ``budget`` is the loss accepted, as a share.
    """

    def __init__(self, bench: Bench, layers: Layers, judging: Data, judged: quality.Judged, budget: float) -> None:
        self._bench, self._layers, self._judging, self._judged = bench, layers, judging, judged
        self._budget = budget
        self._found: dict[frozenset[tuple[str, str]], _Found] = {}
        self._untouched: Quality | None = None

    @property
    def limit(self) -> float:
        """The loss accepted, in the metric's unit; infinite before any model is measured."""
        return self._untouched.loss_of(self._budget) if self._untouched else math.inf

    def recipe(self, assignment: Assignment) -> Recipe:
        """The scheme of most quantized layers for the model, and what differs from that beside it."""
        schemes = Counter(scheme for scheme in assignment.values() if scheme != KEPT)
        if not schemes:
            return self._bench.unquantized
        [(general, _)] = schemes.most_common(1)
        usual = self._layers.uniform(general)
        others = {layer: scheme for layer, scheme in assignment.items() if scheme != usual[layer]}
        return self._bench.quantized(general, others)

    def measured(self, assignment: Assignment, context: Context) -> Measured:
        """What was measured of it, now or before."""
        key = frozenset(assignment.items())
        if key not in self._found:
            try:
                self._found[key] = _Found(self._measure(assignment, context))
            except WorkbenchError as error:
                self._found[key] = _Found(Measured(assignment, None, None), str(error))
        return self._found[key].measured

    def reason(self, assignment: Assignment) -> str:
        """Why nothing could be measured of it; "" where it could."""
        return self._found[frozenset(assignment.items())].reason

    def _measure(self, assignment: Assignment, context: Context) -> Measured:
        recipe = self.recipe(assignment)
        loss = self._loss(self._bench.prepared(recipe, context), context)
        if assignment == self._layers.uniform(self._bench.reference):
            return Measured(assignment, loss, _BESIDE_ITSELF)
        return Measured(assignment, loss, self._speedup(recipe, context) if loss.value <= self.limit else None)

    def _loss(self, prepared: Prepared, context: Context) -> Interval:
        bench = self._bench
        *_, snapshot = quality.evaluate(
            self._judged,
            prepared.runner,
            self._judging,
            bench.workload.task.metric,
            batch=quality.batch_for(bench.kept.place.batch, self._judging.inputs),
            seed=bench.kept.seed,
            checkpoint=context.checkpoint,
        )
        self._untouched = snapshot.baseline
        return snapshot.loss

    def _speedup(self, recipe: Recipe, context: Context) -> Interval:
        bench = self._bench
        reference = bench.prepared(bench.quantized(bench.reference), context)
        variant, example = bench.prepared(recipe, context), bench.example
        calls = [lambda runner=each.runner: runner(*example) for each in (reference, variant)]
        with turn.measuring(data_directory(), waiting=context.checkpoint), core_of_its_own(*calls):
            *_, last = latency.compare(
                *calls,
                seed=recipe.seed,
                budget_s=comparison_seconds(),
                steady=(reference.steady, variant.steady),
                checkpoint=context.checkpoint,
                paces=(reference.pace, variant.pace),
            )
        return last.speedup

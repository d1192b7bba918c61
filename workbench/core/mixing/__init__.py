"""Automatic mixed precision: layers, then whole models are measured as the search asks for them, and kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from workbench.core.mixing.bench import settled
from workbench.core.mixing.layers import Layers
from workbench.core.mixing.models import Models
from workbench.core.mixing.wanted import Wanted
from workbench.core.placing import completions
from workbench.core.sensitivity import quantized_apart
from workbench.core.shelf import Shelf
from workbench.errors import WorkbenchError
from workbench.measure import quality
from workbench.mixtures import Candidate, Choice, Mixture
from workbench.recipe import Recipe
from workbench.search import mending
from workbench.search.knapsack import Assignment
from workbench.search.mending import Measured
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.schemes import KEPT, TRIED
from workbench.workload import Data, LoadedWorkload

__all__ = ["Mixes", "Mixing", "Wanted"]

_OF_LAYERS = 0.6
"""Of the time, what may be over once layers were looked at, so that some is left for whole models."""


class Mixes:
    """The last search, gone on with where it was left."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._kept: tuple[tuple, Mixing] | None = None

    def of(
        self, workload: LoadedWorkload, recipe: Recipe, wanted: Wanted, model: quality.Model, context: Context
    ) -> Iterator[Mixture]:
        """What is known, piece by piece: see :meth:`Mixing.states`. ``model`` is the untouched one."""
        key, begun_at = (workload.key, recipe.key(), replace(wanted, seconds=math.inf)), time.monotonic()
        if self._kept is None or self._kept[0] != key:
            self._kept = key, Mixing(workload, recipe, wanted, self._shelf, model, context)
        yield from self._kept[1].states(context, begun_at, wanted.seconds)

    def forget(self, workload_key: str) -> None:
        """Let go of what was found for this workload."""
        if self._kept and self._kept[0][0] == workload_key:
            self._kept = None


class Mixing:
    """The search for one model, recipe and budget.

    Training examples calibrate and others of them judge; test examples are left alone. The recipe's steps but
    quantization come first; of its own quantization all options but training are taken, and overrides where its scheme
    is "auto".

    Raises
    ------
    WorkbenchError
        There are no training examples to judge by, a scheme is of no layer, an override names no layer or they leave
        none to choose for, or no engine times the layers of a quantized model.
    """

    def __init__(
        self,
        workload: LoadedWorkload,
        recipe: Recipe,
        wanted: Wanted,
        shelf: Shelf,
        model: quality.Model,
        context: Context,
    ) -> None:
        plain = Quantize.model_fields["scheme"].default
        others, steps = quantized_apart(recipe, [plain, *(wanted.schemes or TRIED)])
        kept = others.model_copy(update={"place": recipe.place})
        self._metric, self._budget = workload.task.metric, wanted.budget
        self._judging = _judging(workload, wanted.examples, recipe.seed)
        if own := recipe.open_step:
            own.require_choice(shelf.variant(workload, completions(kept)[0], context).module)
        fixed = own.overrides if own else {}
        self._bench = settled(workload, kept, {step.scheme: step for step in steps}, fixed, shelf, context)
        self._layers = Layers(self._bench, self._judging)
        judged = quality.Judged(model, self._judging, self._metric)
        self._models = Models(self._bench, self._layers, self._judging, judged, wanted.budget)
        self._estimated: Assignment | None = None

    def states(self, context: Context, begun_at: float, seconds: float) -> Iterator[Mixture]:
        """What is known, after each piece of work; the last is final.

        No further model is begun so many ``seconds`` after ``begun_at`` of ``time.monotonic``.

        Raises
        ------
        WorkbenchError
            The model loses more than the budget before any layer is quantized.
        """
        found: list[Measured] = []
        for doing in self._layers.timed(context):
            yield self._told(found, doing)
        for scheme in (KEPT, self._bench.reference):
            yield self._told(found, f"measuring {scheme} in all layers")
            found.append(self._models.measured(self._layers.uniform(scheme), context))
            self._require_reachable(found[0])
        for doing in self._layers.surveyed(context, begun_at + seconds * _OF_LAYERS):
            yield self._told(found, doing)
        yield self._told(found, "measuring what is fastest by estimates")
        for each in self._searched(found, context, begun_at + seconds):
            found += [each] if each not in found else []
            yield self._told(found, "mending it by what was measured")
        yield self._told(found, "", final=True)

    def _searched(self, known: Sequence[Measured], context: Context, ends_at: float) -> Iterator[Measured]:
        limit = self._models.limit
        spare = max(0.0, limit - known[0].loss.value)
        search = mending.search(
            self._layers.options, limit, spare, known, lambda assignment: self._models.measured(assignment, context)
        )
        while time.monotonic() < ends_at and (found := next(search, None)):
            self._estimated = self._estimated or found.assignment
            yield found

    def _require_reachable(self, exact: Measured) -> None:
        if exact.loss is None:
            raise WorkbenchError(self._models.reason(exact.assignment))
        if exact.loss.value > self._models.limit:
            what = "with the overrides alone" if self._bench.fixed else "without any quantization"
            raise WorkbenchError(
                f"budget {self._budget:g} is below what the model loses {what}, "
                f"{exact.loss.value:.3g} on {len(self._judging):,} training examples; give a larger one"
            )

    # -- what is told

    def _told(self, found: Sequence[Measured], doing: str, *, final: bool = False) -> Mixture:
        layers, models = self._layers, self._models
        best = mending.best(found, models.limit, found[:2][-1]) if found else None
        return Mixture(
            metric=self._metric.name,
            title=self._metric.title,
            unit=self._metric.unit,
            budget=self._budget,
            limit=models.limit if found else None,
            engine=self._bench.kept.place.engine,
            reference=self._bench.reference,
            examples=len(self._judging),
            choices=tuple(
                Choice(layer=layer, scheme=scheme, latency_ms=each.latency_ms, loss=each.loss, error=each.error)
                for layer, options in layers.options.items()
                for scheme, each in options.items()
            ),
            candidates=tuple(map(self._candidate, found)),
            best=None if best is None else found.index(best),
            recipe=None if best is None else models.recipe(best.assignment).model_dump(mode="json"),
            doing=doing,
            final=final,
        )

    def _candidate(self, measured: Measured) -> Candidate:
        layers, assignment = self._layers, measured.assignment
        is_uniform = assignment in (layers.uniform(KEPT), layers.uniform(self._bench.reference))
        return Candidate(
            schemes=dict(assignment),
            origin="uniform" if is_uniform else "estimated" if assignment == self._estimated else "mended",
            estimated_loss=layers.estimated_loss(assignment),
            estimated_speedup=layers.estimated_speedup(assignment),
            loss=measured.loss,
            speedup=measured.speedup,
            reason=self._models.reason(assignment),
        )


def _judging(workload: LoadedWorkload, count: int, seed: int) -> Data:
    """Training examples to judge by: the last of the random order of which calibration takes the first."""
    train = workload.train
    if not len(train):
        raise WorkbenchError("there are no training examples to calibrate and to judge by; give the workload some")
    if train.targets is None and not workload.task.metric.compares_with_untouched:
        raise WorkbenchError(
            "the training examples have no targets to judge by, and the test examples are for the end; give the "
            "workload train=(inputs, targets)"
        )
    return train.at(torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[-count:])

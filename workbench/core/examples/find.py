"""One look of both models at the test examples, the untouched model's from what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from workbench.core.examples.batch import Batch, Collector
from workbench.core.examples.classes import OfClasses
from workbench.core.examples.masks import OfMasks
from workbench.core.examples.numbers import OfNumbers
from workbench.core.examples.tokens import OfTokens
from workbench.examples import Examples
from workbench.measure.quality import Judged, Model, called, in_turn
from workbench.workload import LoadedWorkload

_BUDGET_S = 10.0
"""What takes longer is told of the examples that were reached, which are drawn at random."""


@dataclass(frozen=True)
class Compared:
    """Two models of one workload, to be compared example by example.

    ``untouched`` and ``variant`` are called with inputs one by one and give float32 [n, …]; ``judged`` is what is kept
    of the former; ``variant`` is ``None`` where it is the untouched model itself. ``batch`` is how many go into a call,
    ``seed`` orders them, ``limit`` is how many are shown at most.
    """

    workload: LoadedWorkload
    untouched: Model
    judged: Judged
    variant: Model | None
    batch: int
    seed: int
    limit: int

    @property
    def compares_with_untouched(self) -> bool:
        """Whether there are no targets but what the untouched model gives."""
        return self.workload.task.metric.compares_with_untouched


def find(compared: Compared, checkpoint: Callable[[], None], budget_s: float = _BUDGET_S) -> Examples:
    """The examples whose answers differ; ``checkpoint`` is called before every batch and may raise ``Cancelled``."""
    metric, data = compared.workload.task.metric, compared.workload.test
    collector: Collector | None = None
    seen, until = 0, time.perf_counter() + budget_s
    for index in in_turn(data, compared.batch, compared.seed):
        checkpoint()
        terms, targets, *before = compared.judged.at(index)
        terms_after, after = terms, before[0] if before else None
        if compared.variant is not None:
            outputs = called(compared.variant, data.at(index))
            terms_after, after = metric.terms(outputs, targets), metric.answers(outputs)
        both, answers = (terms, terms_after), (before[0], after) if before else None
        known = None if compared.compares_with_untouched or not answers else targets.reshape(answers[0].shape).long()
        collector = collector or _collector(compared, answers, checkpoint)
        collector.add(Batch(index, both, answers, known))
        seen += len(index)
        if time.perf_counter() > until:
            break
    return collector.found(seen)


def _collector(
    compared: Compared,
    answers: tuple[torch.Tensor, torch.Tensor] | None,
    checkpoint: Callable[[], None],
) -> Collector:
    """By the form of the answers: a class, a class for each token, one for each pixel, or none."""
    if answers is None:
        return OfNumbers(compared, checkpoint)
    if answers[0].dim() == 1:
        return OfClasses(compared)
    return OfTokens(compared) if answers[0].dim() == 2 else OfMasks(compared)

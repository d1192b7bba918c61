"""What training makes of a model, by examples it isn't trained on: on the way, and whether it was better before."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from workbench.errors import WorkloadError
from workbench.plumbing.words import figure
from workbench.receipt import Quality
from workbench.tasks import Metric, metrics
from workbench.techniques._base import Context
from workbench.techniques._training import outputs
from workbench.workload import Data, at_a_time

_EVERY, _MOST, _FEWEST = 10, 1000, 50
"""One example in so many is set aside, so many at most; of fewer than the last nothing could be told."""
_AT_A_TIME = 256  # fewer of large ones
_GLANCE, _RESAMPLES = 256, 200
"""Examples that an estimate on the way takes at most, and resamples of them for its interval."""


@dataclass(frozen=True)
class Referee:
    """Judges a module by ``aside``: training examples that training leaves out, with what outputs are judged by."""

    metric: Metric
    aside: Data
    checkpoint: Callable[[], None]

    def better(
        self, module: torch.nn.Module, training: Callable[[], None], before: torch.nn.Module | None = None
    ) -> str | None:
        """Train ``module`` in place; where that made it worse, undo it and return words that say so.

        ``before`` is what it is compared with, if that isn't what the module was.
        """
        before, weights = self._figure(before or module), copy.deepcopy(module.state_dict())
        training()
        after = self._figure(module)
        if not math.isfinite(before) or self.metric.loss_of(before, after) <= 0:
            return None
        module.load_state_dict(weights)
        then, now = (figure(each, self.metric.unit) for each in (before, after))
        return (
            f"fine-tuning made {self.metric.title} worse, {now} after {then} on {len(self.aside):,} training examples "
            "set aside for that: the weights are those of before it"
        )

    def glance(self, module: torch.nn.Module) -> Quality:
        """What ``module``, which may be in training, comes to on some of the examples: a bootstrap's 95 % interval."""
        count = min(len(self.aside), at_a_time(self.aside.inputs, _GLANCE))
        training = module.training
        terms = self._terms(module.eval(), self.aside.at(torch.arange(count) * len(self.aside) // count))
        module.train(training)
        draws = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
        low, high = np.quantile([self.metric.value(terms[draw]) for draw in draws], (0.025, 0.975))
        metric = self.metric
        words = {"metric": metric.name, "title": metric.title, "unit": metric.unit, "better": metric.better}
        return Quality(value=metric.value(terms), low=low, high=high, n=count, **words)

    def _figure(self, module: torch.nn.Module) -> float:
        return self.metric.value(self._terms(module, self.aside))

    @torch.no_grad()
    def _terms(self, module: torch.nn.Module, data: Data) -> np.ndarray:
        """What each example contributes to the metric, float64 [n, k]."""
        terms = []
        for some in data.batches(at_a_time(data.inputs, _AT_A_TIME)):
            self.checkpoint()
            terms.append(self.metric.terms(module(*some.inputs).float(), some.targets))
        return torch.cat(terms).numpy()


@torch.no_grad()
def refereed(context: Context, untouched: torch.nn.Module) -> tuple[Context, Referee | None]:
    """What is left to train with, and a referee; all of it and none where examples are few or nothing judges them.

    Without targets the outputs of ``untouched`` are what others are judged by.
    """
    data = context.train
    rows = torch.arange(0, len(data), max(_EVERY, -(-len(data) // _MOST)))
    metric = _metric(context, untouched)
    if len(rows) < _FEWEST or metric is None:
        return context, None

    def judged_by(part: Data) -> Data:
        if part.targets is not None and not metric.compares_with_untouched:
            return part
        size = at_a_time(part.inputs, _AT_A_TIME)
        (given,) = outputs(untouched, replace(context, train=part), "asking the whole model", size).inputs
        return Data(part.inputs, given.float())

    left = torch.ones(len(data), dtype=torch.bool)
    left[rows] = False
    aside = data.at(rows).mapped(judged_by)
    return replace(context, train=data.at(left.nonzero().flatten())), Referee(metric, aside, context.checkpoint)


def _metric(context: Context, module: torch.nn.Module) -> Metric | None:
    """The task's, or the one that the targets ask for, where the training data fit it."""
    some = context.train.at(slice(2))
    outputs = module(*some.inputs).float()
    try:
        metric = context.metric or metrics.automatic(outputs, some.targets)
    except WorkloadError:
        return None
    judged_by = outputs if metric.compares_with_untouched else some.targets
    return metric if judged_by is not None and metric.misfit(outputs, judged_by) is None else None

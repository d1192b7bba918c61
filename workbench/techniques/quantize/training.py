"""Training with what rounding does to a model, so that its weights get used to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from workbench.models.folding import folded_parametrizations
from workbench.precisions import Precision
from workbench.techniques._base import Context
from workbench.techniques._better import refereed
from workbench.techniques._training import Plan, learning, loss_for, outputs, train
from workbench.techniques.prune.masks import Masks
from workbench.techniques.quantize.sample import Sample
from workbench.techniques.quantize.steps import observe, rounding

_NORMS_LEARN = 0.75
"""The share of the steps in which batch norms take their statistics from batches; afterwards they keep them, as when
the model is run."""


@dataclass(frozen=True)
class Trained:
    """A model whose layers' weights are whole numbers times scales, and by layer these numbers, of the weight's shape.

    ``worse``: words that say that it is worse than without training.
    """

    module: nn.Module
    numbers: Mapping[str, torch.Tensor]
    worse: str | None


def trained(
    module: nn.Module,
    layers: Mapping[str, Precision],
    group_size: int,
    plan: Plan,
    sample: Sample,
    untrained: nn.Module,
    context: Context,
) -> Trained:
    """Train a copy of ``module`` that computes with the weights and inputs of ``layers`` rounded.

    It starts from what rounding without training finds, learns from the targets and from what ``module`` gives, and is
    to become better than ``untrained``, in fewer bits already.
    """
    loss = loss_for(module, context, plan.technique)
    context, referee = refereed(context, module)
    taught = outputs(module, context, f"{plan.technique}: asking the exact model")
    by_targets = learning(loss, context, lambda: taught)
    student = copy.deepcopy(folded_parametrizations(module)).eval()

    def loss_of(given: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return by_targets(given, rows) + loss.towards(given, *taught.at(rows).inputs, 1.0)

    with rounding(student, layers, group_size) as steps:
        for batch in sample.batches:
            observe(student, batch)
        weights = {f"{name}.parametrizations.weight.original": name for name in layers}
        masks = _pruned(student, weights)

        def training() -> None:
            with _keeping_statistics(student, after=int(_NORMS_LEARN * plan.steps(context.train))):
                train(student, plan, context, loss_of, masks.apply, referee.glance if referee else None)

        worse = referee.better(student, training, before=untrained) if referee else training()
        numbers = {name: steps[name].numbers(student.get_parameter(weight)) for weight, name in weights.items()}
    return Trained(student, numbers, worse)


@contextmanager
def _keeping_statistics(module: nn.Module, after: int) -> Iterator[None]:
    """Have batch norms keep their statistics once so many batches were trained on."""
    norms = [each for each in module.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    seen = 0

    def before(module: nn.Module, _: object) -> None:
        nonlocal seen
        seen += module.training
        if seen > after:
            for norm in norms:
                norm.eval()

    hook = module.register_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()


def _pruned(module: nn.Module, names: Iterable[str]) -> Masks:
    """What keeps weights at zero that were pruned."""
    weights = {name: module.get_parameter(name) for name in names}
    return Masks(module, {name: weight != 0 for name, weight in weights.items() if (weight == 0).any()})

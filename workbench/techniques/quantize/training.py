"""Training with what rounding does to a model, so that its weights get used to it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.models.folding import folded_parametrizations
from workbench.techniques._better import refereed
from workbench.techniques._training import Plan, learning, loss_for, outputs, train
from workbench.techniques.prune.masks import Masks
from workbench.techniques.quantize.steps import observe, rounding
from workbench.techniques.quantize.working import Working

_NORMS_LEARN = 0.75
"""The share of the steps in which batch norms take their statistics from batches; afterwards they keep them, as when
the model is run."""


def trained(working: Working, plan: Plan) -> tuple[Working, str | None]:
    """The same of a copy that got used to rounding, or ``working`` itself with words that say that it is better so.

    The copy is trained while it computes with rounded weights and inputs. It starts from what rounding without training
    finds, and learns from the targets and from what the exact model gives.

    Raises
    ------
    WorkbenchError
        Nothing in the model can be trained rounded, or nothing is known that could train it.
    """
    if not working.trainable:
        raise WorkbenchError(
            f"training rounds linear layers and convolutions, and {working.step.scheme} takes none of this model; "
            "train 0 epochs"
        )
    module, layers, context = working.module, working.trainable, working.context
    loss = loss_for(module, context, plan.technique)
    context, referee = refereed(context, module)
    taught = outputs(module, context, f"{plan.technique}: asking the exact model")
    by_targets = learning(loss, context, lambda: taught)
    student = copy.deepcopy(folded_parametrizations(module)).eval()

    def loss_of(given: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return by_targets(given, rows) + loss.towards(given, *taught.at(rows).inputs, 1.0)

    step = working.step
    options = {"group_size": step.group_size, "calibration": step.calibration}
    with rounding(student, layers, working.fed_by, **options) as steps:
        observe(student, working.sample.batches)
        weights = {f"{name}.parametrizations.weight.original": name for name in layers}
        masks = _pruned(student, weights)

        def training() -> None:
            with _keeping_statistics(student, after=int(_NORMS_LEARN * plan.steps(context.train))):
                train(student, plan, context, loss_of, masks.apply, referee.glance if referee else None)

        worse = referee.better(student, training, before=working.quantized[0]) if referee else training()
        numbers = {name: steps.weights[name].numbers(student.get_parameter(weight)) for weight, name in weights.items()}
        ranges = {name: each.range for name, each in steps.inputs.items()}
    return (working, worse) if worse else (replace(working, module=student, numbers=numbers, ranges=ranges), None)


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

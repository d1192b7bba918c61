"""A recipe applied in this very process: a model in, the function that runs it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch

from workbench.core import blocked
from workbench.core.placing import completions, failures_of, require_engine, require_place
from workbench.engines import Runner
from workbench.errors import EngineError, WorkbenchError, WorkloadError
from workbench.measure import layers
from workbench.measure.fidelity import require_faithful
from workbench.models import intake
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.variant import Variant
from workbench.workload import Data


def prepare(model: torch.nn.Module, example: Any, recipe: Recipe, calibration: Any) -> Runner:
    """Apply ``recipe`` to ``model``; see :func:`workbench.prepare`."""
    if not isinstance(model, torch.nn.Module):
        raise WorkloadError(f"the model is of type {type(model).__name__}; give a torch.nn.Module")
    module, _ = intake.taken_in(model, own_copy=True)  # what runs is of this moment, and forward may write to buffers
    example = intake.as_float(example, "example")
    intake.require_output(module, example)
    train = _training_data(example, calibration, recipe)
    if reason := blocked.first_reason(recipe.steps, module):
        raise WorkbenchError(reason)
    require_place(recipe.place)
    context = Context(train=train, seed=recipe.seed)

    @cache
    def made(saturates: bool) -> Variant:
        variant = Variant(module=module)
        for step in recipe.steps:
            variant = step.apply(variant, replace(context, saturates=saturates))
        return variant

    for candidate in (candidates := completions(recipe)):
        try:
            return _on_engine(candidate, made, module, example)
        except EngineError:
            if candidate is candidates[-1]:
                raise
    raise AssertionError("a recipe has one completion at least")


def _on_engine(
    recipe: Recipe, made: Callable[[bool], Variant], module: torch.nn.Module, example: torch.Tensor
) -> Runner:
    """The variant that ``made`` gives an engine that saturates, or doesn't, on the engine of ``recipe``."""
    place = recipe.place
    engine = require_engine(place, recipe.precision)
    variant = made(engine.saturates())
    with failures_of(engine):
        runner = engine.prepare(variant, example, device=place.device, threads=place.threads)
        require_faithful(engine, runner, variant, example, batch=len(example))
    runner.notices = variant.notices
    runner.write_receipt = partial(layers.receipt, module, variant, runner, example)
    return runner


def _training_data(example: torch.Tensor, calibration: Any, recipe: Recipe) -> Data:
    """What steps may learn and calibrate from; labels are asked for, and looked at, only where a step trains."""
    pair = isinstance(calibration, (tuple, list)) and len(calibration) == 2
    given = calibration[0] if pair else calibration
    inputs = example if given is None else intake.as_float(given, "calibration")
    if inputs.shape[1:] != example.shape[1:]:
        raise WorkloadError(
            f"calibration has inputs of shape [N, {_features(inputs)}] and the example is [N, {_features(example)}]; "
            "give both as the model takes them"
        )
    trains = [step.do for step in recipe.steps if step.training_epochs() > 0]
    if not trains:
        return Data(inputs, torch.zeros(len(inputs), dtype=torch.int64))
    if not pair:
        raise WorkbenchError(f"{trains[0]!r} trains: pass calibration=(inputs, labels), not inputs alone")
    return intake.labelled(inputs, calibration[1], "calibration")


def _features(inputs: torch.Tensor) -> str:
    return ", ".join(map(str, inputs.shape[1:]))

"""A recipe applied in this very process: a model in, the function that runs it out."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from workbench import blocked, devices, engines
from workbench.core import completions
from workbench.engines import Runner
from workbench.errors import EngineError, WorkbenchError
from workbench.measure import layers
from workbench.measure.limits import require_threads
from workbench.receipt import LayerReceipt
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.variant import Variant
from workbench.workload import Data


def prepare(model: torch.nn.Module, example: torch.Tensor, recipe: Recipe, calibration: Any) -> Runner:
    """Apply ``recipe`` to ``model``; see :func:`workbench.prepare`."""
    if reason := blocked.first_reason(recipe.steps, model):
        raise WorkbenchError(reason)
    devices.require(recipe.place.device)
    require_threads(recipe.place.threads)
    candidates = completions(recipe)
    context = Context(train=_examples(example if calibration is None else calibration, recipe), seed=recipe.seed)
    was_training = model.training
    variant = Variant(module=model.eval())
    try:
        for step in recipe.steps:
            variant = step.apply(variant, context)
        for candidate in candidates:
            try:
                runner = _prepare_on(candidate, variant, example)
            except EngineError:
                if candidate is candidates[-1]:
                    raise
                continue
            runner.write_receipt = partial(_receipt, model, variant, runner, example)
            return runner
    finally:
        model.train(was_training)


def _prepare_on(recipe: Recipe, variant: Variant, example: torch.Tensor) -> Runner:
    engine, place = engines.find(recipe.place.engine), recipe.place
    reason = engine.unavailable() or engine.refuses(recipe.precision, place.device)
    if reason:
        raise EngineError(f"{engine.title} can't run this recipe: {reason}")
    return engine.prepare(variant, example, device=place.device, threads=place.threads)


def _receipt(
    model: torch.nn.Module, variant: Variant, runner: Runner, example: torch.Tensor
) -> tuple[LayerReceipt, ...]:
    was_training = model.training
    model.eval()
    try:
        return layers.receipt(model, variant, runner, example)
    finally:
        model.train(was_training)


def _examples(calibration: Any, recipe: Recipe) -> Data:
    if isinstance(calibration, torch.Tensor):
        trains = [step.do for step in recipe.steps if step.training_epochs() > 0]
        if trains:
            raise WorkbenchError(f"{trains[0]!r} trains: pass calibration=(inputs, labels), not inputs alone")
        return Data(calibration, torch.zeros(len(calibration), dtype=torch.int64))
    inputs, labels = calibration
    return Data(torch.as_tensor(inputs), torch.as_tensor(labels))

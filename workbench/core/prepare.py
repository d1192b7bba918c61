"""A recipe applied in this very process: a model in, the function that runs it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch

from workbench import models
from workbench.core import blocked
from workbench.core.placing import completions, failures_of, require_engine, require_place
from workbench.engines import Runner
from workbench.errors import EngineError, WorkbenchError, WorkloadError
from workbench.graph.quantized import untouched
from workbench.measure import layers
from workbench.measure.fidelity import require_faithful
from workbench.models import intake
from workbench.models.intake import Read
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.variant import Variant
from workbench.workload import AUTO, Data, Inputs, Workload


def prepare_workload(workload: Workload, recipe: Recipe) -> Runner:
    """Apply ``recipe`` to the model of ``workload``, with its own data; see :func:`workbench.prepare`."""
    loaded = models.load(workload)
    module, _ = intake.taken_in(loaded.module, own_copy=True)
    context = Context.of(loaded, seed=recipe.seed)
    return _applied(recipe, module, loaded.example(recipe.place.batch), context)


def prepare(
    model: torch.nn.Module, example: Any, recipe: Recipe, calibration: Any, *, call: str = AUTO, output: Any = AUTO
) -> Runner:
    """Apply ``recipe`` to ``model``; see :func:`workbench.prepare`."""
    if not isinstance(model, torch.nn.Module):
        raise WorkloadError(
            f"the model is of type {type(model).__name__}; give a torch.nn.Module, a Workload or the name of one"
        )
    if example is None:
        raise WorkloadError("a module comes without examples; give some of its inputs: wb.prepare(model, inputs[:8])")
    module, _ = intake.taken_in(model, own_copy=True)  # what runs is of this moment, and forward may write to buffers
    given = intake.example_of(example, "example")
    train = _training_data(given, calibration, recipe)
    module, test, train, _ = intake.fitted(module, given, train, call, output)
    for before, after in zip(given.data.inputs, test.inputs, strict=True):
        if before.dtype == torch.uint8 and before.dim() >= 3 and after.dtype != before.dtype:
            raise WorkloadError(
                "the model takes no uint8; give float32 as it takes it, for instance example.float() / 255, and the "
                "runner the same"
            )
    return _applied(recipe, module, test.inputs, Context(train, seed=recipe.seed))


def _applied(recipe: Recipe, module: torch.nn.Module, example: Inputs, context: Context) -> Runner:
    """The first runner of those that the recipe's engine may stand for which takes the model."""
    if reason := blocked.first_reason(recipe.steps, module):
        raise WorkbenchError(reason)
    require_place(recipe.place)
    if searching := recipe.open_step:
        raise WorkbenchError(
            f"{searching.summary()!r} takes a search, which runs make: give the recipe of a result, "
            "wb.run(workload, recipe).result().recipe"
        )

    @cache
    def made(saturates: bool) -> Variant:
        variant = untouched(module, example)
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


def _on_engine(recipe: Recipe, made: Callable[[bool], Variant], module: torch.nn.Module, example: Inputs) -> Runner:
    """The variant that ``made`` gives an engine that saturates, or doesn't, on the engine of ``recipe``."""
    place = recipe.place
    engine = require_engine(recipe)
    variant = made(engine.saturates())
    with failures_of(engine):
        runner = engine.prepare(variant, example, device=place.device, threads=place.threads)
        require_faithful(engine, runner, variant, example, batch=len(example[0]))
    runner.notices = variant.notices
    runner.write_receipt = partial(layers.receipt, module, variant, runner, example)
    return runner


def _training_data(example: Read, calibration: Any, recipe: Recipe) -> Data:
    """What steps may learn and calibrate from: the calibration, else the example; what trains needs the first."""
    trains = [step.do for step in recipe.steps if step.training_epochs() > 0]
    if calibration is None:
        if trains:
            raise WorkbenchError(f"{trains[0]!r} trains: pass calibration=(inputs, targets), or inputs alone")
        return example.data
    pair = isinstance(calibration, (tuple, list)) and len(calibration) == 2
    inputs, targets = calibration if pair else (calibration, None)
    read = intake.example_of(inputs, "calibration")
    if _forms(read) != _forms(example):
        raise WorkloadError(
            f"calibration has inputs {_forms(read)} and the example {_forms(example)}; give both as the model takes "
            "them"
        )
    if not trains or targets is None:
        return read.data
    return intake.labelled(read.data, targets)


def _forms(read: Read) -> str:
    shapes = [", ".join(map(str, each.shape[1:])) for each in read.data.inputs]
    named = [f"{name} " for name in read.names] or [""] * len(shapes)
    return " and ".join(f"{name}[N, {shape}]" for name, shape in zip(named, shapes, strict=True))

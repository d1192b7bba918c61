"""What a model has to do, told by its outputs and its targets where nobody says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from workbench.errors import WorkloadError
from workbench.models import _check
from workbench.tasks import Counted, Loss, Metric, Task, losses, metrics
from workbench.workload import Data, Inputs, at_a_time, is_auto, rows

_MOST_CHANNELS = 4
_TELLING_EXAMPLES, _ENLARGED = 64, 1000


def task_of(
    outputs: torch.Tensor, test: Data, train: Data, metric: Any, loss: Any, counted: Counted | None
) -> tuple[Task, list[str]]:
    """The task of a model that gives ``outputs`` for the first test examples, and words for what was chosen.

    Raises
    ------
    WorkloadError
        The metric, or each there is, or the loss doesn't fit outputs and targets, or these tell the metric nothing.
    """
    chosen = metrics.automatic(outputs, test.targets) if is_auto(metric) else metrics.of(metric)
    for what, data in (("test", test), ("train", train)):
        _require_fit(chosen, outputs, data, what)
    _require_told(chosen, test)
    trains = _loss(chosen, loss, outputs, train)
    notes = [f"judged by {chosen.title}"] if is_auto(metric) and chosen.name != "accuracy" else []
    if notes and chosen.compares_with_untouched:
        notes = [f"there are no targets: judged by {chosen.title} with the untouched model"]
    if notes and chosen.assumes:
        notes.append(chosen.assumes)
    return Task(chosen, trains, counted or _counted(test)), notes


def of_probabilities(task: Task, outputs: torch.Tensor, module: torch.nn.Module, examples: Data, loss: Any) -> Task:
    """The task with the metric, and where it is "auto" the loss, for probabilities, where the model gives such."""
    scores = losses.find(task.metric.loss) if task.metric.loss else None
    if scores is None or not scores.of_probabilities or examples.targets is None:
        return task
    probabilities = losses.find(scores.of_probabilities)
    if any(probabilities.misfit(each, examples.targets) for each in _telling(outputs, module, examples.inputs)):
        return task
    trains = probabilities if is_auto(loss) and task.loss is scores else task.loss
    return replace(task, metric=task.metric.of_probabilities(), loss=trains)


def _telling(outputs: torch.Tensor, module: torch.nn.Module, inputs: Inputs) -> Iterator[torch.Tensor]:
    """Outputs that tell scores from probabilities, of which a sigmoid or a softmax makes such whatever comes in.

    The first ones, those of more examples, and of inputs a thousand times as large where the model takes such: scores
    would be large too.
    """
    yield outputs
    few = rows(inputs, slice(at_a_time(inputs, _TELLING_EXAMPLES)))
    yield _check.outputs_of(module, few)
    if all(each.is_floating_point() for each in few):
        with contextlib.suppress(WorkloadError):
            enlarged = _check.outputs_of(module, tuple(_ENLARGED * each for each in few))
            if enlarged.isfinite().all():
                yield enlarged


def as_classes(outputs: torch.Tensor, data: Data, what: str) -> Data:
    """The same with whole or yes-and-no targets [N] as class numbers, where the model gives several scores.

    Raises
    ------
    WorkloadError
        The targets are other numbers.
    """
    targets = data.targets
    scores = outputs.dim() == 2 and outputs.shape[1] > 1
    if targets is None or not scores or targets.dim() != 1 or targets.dtype == torch.int64:
        return data
    odd = (targets != targets.round()).nonzero() if targets.is_floating_point() else ()
    if len(odd):
        first = int(odd[0])
        raise WorkloadError(
            f"target {targets[first].item():g} at index {first} of {what} is no class number, and the model gives "
            f"{outputs.shape[1]} scores; give class numbers from 0, or as many targets as outputs"
        )
    return Data(data.inputs, targets.long())


def _require_fit(metric: Metric, outputs: torch.Tensor, data: Data, what: str) -> None:
    if metric.compares_with_untouched:
        judged_by = outputs
    elif data.targets is None:
        if what == "train":  # needn't be judged
            return
        raise WorkloadError(f"{metric.title} needs targets and the data have none; give (inputs, targets)")
    else:
        judged_by = data.targets
    if reason := metric.misfit(outputs, judged_by):
        raise WorkloadError(f"the {what} examples: {reason}; correct them, or choose another metric")


def _require_told(metric: Metric, test: Data) -> None:
    """Refuse targets that leave the metric without a figure, which would show when all is measured."""
    targets = [part.targets for part in test.parts if part.targets is not None]
    if len({each.shape[1:] for each in targets}) == 1:
        targets = [torch.cat(targets)]
    reasons = [metric.untold(each) for each in targets]
    if reasons and all(reasons) and not metric.compares_with_untouched:
        raise WorkloadError(f"the test examples: {reasons[0]}; give others, or choose another metric")


def _loss(metric: Metric, given: Any, outputs: torch.Tensor, train: Data) -> Loss | None:
    """What trains it; ``None`` where nothing that is known can."""
    if not is_auto(given):
        loss = losses.of(given)
    elif metric.loss:
        loss = losses.find(metric.loss)
    else:
        return None
    if train.targets is not None and (reason := loss.misfit(outputs, train.targets)):
        if is_auto(given):
            return None
        raise WorkloadError(f"the train examples: {reason}; correct them, or choose another loss")
    return loss


def _counted(data: Data) -> Counted:
    """What a call handles, by the form of the inputs."""
    first = data.inputs[0]
    if first.dim() == 4 and (first.shape[1] <= _MOST_CHANNELS or first.shape[3] <= _MOST_CHANNELS):
        return Counted("images")
    if first.dim() == 2 and not first.is_floating_point():
        return Counted("tokens", first.shape[1])
    return Counted("rows")

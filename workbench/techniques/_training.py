"""The training loop that pruning and distillation share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError
from workbench.techniques._base import Context, TrainingPoint
from workbench.workload import Data

_POINT_SECONDS = 0.1


@dataclass(frozen=True)
class Plan:
    """How to train: AdamW over shuffled batches; the learning rate rises to its peak, then falls as a cosine."""

    technique: str
    epochs: int
    learning_rate: float
    batch: int = 128
    weight_decay: float = 1e-4


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run torch's global random numbers from ``seed`` and leave them afterwards as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train(
    module: torch.nn.Module,
    plan: Plan,
    context: Context,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Train ``module`` in place on ``context.train``; it is in eval mode afterwards.

    Equal seeds, data and thread counts give bit-equal weights on one machine. Cancellation is
    looked for at every batch.

    Parameters
    ----------
    loss_of
        Takes logits [batch, classes] and the batch's int64 row numbers in ``context.train``, and
        returns a scalar.
    after_step
        Called after every optimiser step: where pruned weights are set to zero again.

    Raises
    ------
    WorkbenchError
        The loss is no longer finite, there are fewer than two examples, or their labels are no class numbers.
    """
    inputs = context.train.inputs
    if len(inputs) < 2:
        raise WorkbenchError(f"{plan.technique} trains and needs at least 2 training examples, not {len(inputs)}")
    require_class_numbers(module, context.train, plan.technique)
    batch = min(plan.batch, len(inputs))
    steps_per_epoch = len(inputs) // batch
    meter = _Meter(plan, steps_per_epoch, context)
    layout = _fast_layout(module, inputs[:2])
    weights = unfrozen(module.to(memory_format=layout).train())
    optimizer = torch.optim.AdamW(weights, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_peak(step, meter.total_steps))
    with seeded(context.seed), torch.enable_grad():
        for _ in range(plan.epochs):
            order = torch.randperm(len(inputs))  # what is left over after whole batches waits for another epoch
            for rows in order[: steps_per_epoch * batch].split(batch):
                context.checkpoint()
                loss = loss_of(module(inputs[rows].to(memory_format=layout)), rows)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                after_step()
                meter.add(loss.item())
    module.eval().to(memory_format=torch.contiguous_format)


def unfrozen(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The module's parameters that can have gradients, with them from now on: all but those of whole numbers."""
    return [
        weight.requires_grad_() for weight in module.parameters() if weight.is_floating_point() or weight.is_complex()
    ]


def require_class_numbers(module: torch.nn.Module, train: Data, technique: str) -> None:
    """Raise :class:`WorkbenchError` where ``technique`` would train ``module`` on targets that are no class numbers."""
    if reason := _no_classes(module, train):
        raise WorkbenchError(
            f"{technique} trains classifiers, on int64 class numbers [N], and {reason}; give class numbers, or a "
            "recipe that trains nothing (prune with finetune_epochs 0 doesn't)"
        )


@torch.no_grad()
def _no_classes(module: torch.nn.Module, train: Data) -> str | None:
    labels = train.labels
    if labels.dtype != torch.int64 or labels.dim() != 1:
        return f"the targets are {str(labels.dtype).removeprefix('torch.')} of shape {list(labels.shape)}"
    outputs = module(train.inputs[:2])
    if outputs.dim() != 2:
        return f"the model gives outputs of shape {list(outputs.shape)} for 2 examples instead of [2, classes]"
    lowest, highest, classes = int(labels.min()), int(labels.max()), outputs.shape[1]
    if lowest < 0 or highest >= classes:
        return f"the targets go from {lowest} to {highest} while the model has {classes} outputs"
    return None


@torch.no_grad()
def outputs(module: torch.nn.Module, context: Context, message: str, batch: int = 256) -> torch.Tensor:
    """What ``module`` gives for every training example, in order: [N, classes]."""
    parts = []
    for rows in torch.arange(len(context.train)).split(batch):
        context.checkpoint()
        context.progress(message, int(rows[0]), len(context.train))
        parts.append(module(context.train.inputs[rows]))
    return torch.cat(parts)


@torch.no_grad()
def _fast_layout(module: torch.nn.Module, example: torch.Tensor) -> torch.memory_format:
    """Channels last, in which convolutions train faster on a CPU, unless the model's forward needs the other."""
    if example.ndim != 4:
        return torch.contiguous_format
    try:
        module.eval().to(memory_format=torch.channels_last)(example.to(memory_format=torch.channels_last))
    except RuntimeError:  # a view() in its forward
        return torch.contiguous_format
    return torch.channels_last


def _share_of_peak(step: int, total_steps: int) -> float:
    """The learning rate's factor: up a line for the first fifth of the steps, then down half a cosine to 0."""
    rising = max(1, total_steps // 5)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising + 1) / (total_steps - rising + 1)))


class _Meter:
    """Reports the mean loss since the last point, at most ten times a second."""

    def __init__(self, plan: Plan, steps_per_epoch: int, context: Context) -> None:
        self._plan, self._steps_per_epoch, self._context = plan, steps_per_epoch, context
        self.total_steps = plan.epochs * steps_per_epoch
        self._step, self._last = 0, float("-inf")
        self._losses: list[float] = []

    def add(self, loss: float) -> None:
        self._step += 1
        if not math.isfinite(loss):
            raise WorkbenchError(
                f"{self._plan.technique} diverged: the loss was {loss} at step {self._step} of {self.total_steps}; "
                f"use a smaller learning rate than {self._plan.learning_rate:g}"
            )
        self._losses.append(loss)
        now = time.monotonic()
        if now - self._last >= _POINT_SECONDS or self._step == self.total_steps:
            self._report()
            self._last = now

    def _report(self) -> None:
        point = TrainingPoint(
            technique=self._plan.technique,
            step=self._step,
            total_steps=self.total_steps,
            epoch=self._step / self._steps_per_epoch,
            loss=sum(self._losses) / len(self._losses),
        )
        self._losses.clear()
        self._context.curve(point)
        epoch = (self._step - 1) // self._steps_per_epoch + 1
        message = f"{self._plan.technique}: training, epoch {epoch} of {self._plan.epochs}"
        self._context.progress(message, self._step, self.total_steps)

"""The training loop that pruning and distillation share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError, WorkloadError
from workbench.plumbing.words import about
from workbench.receipt import Quality
from workbench.tasks import Loss, losses, metrics
from workbench.techniques._base import Context, TrainingPoint
from workbench.workload import Data, Inputs

_POINT_SECONDS = 0.1
_TIMES_JUDGING = 20
"""Training goes on for as many times as long as judging it on the way takes."""
_LEAST_APART_S = 1.0


@dataclass(frozen=True)
class Plan:
    """How to train: AdamW over shuffled batches; the learning rate rises to its peak, then falls as a cosine."""

    technique: str
    epochs: int
    learning_rate: float
    batch: int = 128
    weight_decay: float = 1e-4

    def batch_of(self, data: Data) -> int:
        """Examples in a batch of ``data``."""
        return min(self.batch, len(data.parts[0]))

    def steps(self, data: Data) -> int:
        """How many batches of ``data`` it trains on."""
        return self.epochs * (len(data) // self.batch_of(data))


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
    judge: Callable[[torch.nn.Module], Quality] | None = None,
) -> None:
    """Train ``module`` in place on ``context.train``; it is in eval mode afterwards.

    Equal seeds, data and thread counts give bit-equal weights on one machine. Cancellation is
    looked for at every batch.

    Parameters
    ----------
    loss_of
        Takes outputs [batch, …] and the batch's int64 row numbers in ``context.train``, and returns a scalar.
    after_step
        Called after every optimiser step: where pruned weights are set to zero again.
    judge
        Tells what the module comes to by now; asked now and then, for a twentieth of the time at most.

    Raises
    ------
    WorkbenchError
        The loss is no longer finite, or there are fewer than two examples.
    """
    data = context.train
    if len(data) < 2:
        raise WorkbenchError(f"{plan.technique} trains and needs at least 2 training examples, not {len(data)}")
    batch = plan.batch_of(data)
    steps_per_epoch = len(data) // batch
    judged = (lambda: judge(module)) if judge else None
    meter = _Meter(plan, steps_per_epoch, context, judged)
    layout = _fast_layout(module, data.at(slice(2)).inputs)
    weights = unfrozen(module.to(memory_format=layout).train())
    optimizer = torch.optim.AdamW(weights, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_peak(step, meter.total_steps))
    with seeded(context.seed), torch.enable_grad():
        for _ in range(plan.epochs):
            order = torch.randperm(len(data))  # what is left over after whole batches waits for another epoch
            for rows in data.batch_rows(batch, order)[:steps_per_epoch]:
                context.checkpoint()
                loss = loss_of(module(*_laid_out(data.at(rows).inputs, layout)), rows)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                after_step()
                meter.add(loss.item())
    context.spent(meter.seconds)
    module.eval().to(memory_format=torch.contiguous_format)


def unfrozen(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The module's parameters that can have gradients, with them from now on: all but those of whole numbers."""
    return [
        weight.requires_grad_() for weight in module.parameters() if weight.is_floating_point() or weight.is_complex()
    ]


def loss_for(module: torch.nn.Module, context: Context, technique: str) -> Loss:
    """What training ``module``, or a smaller one that takes its place, makes small.

    Raises
    ------
    WorkbenchError
        Nothing that is known fits its outputs and the training data's targets.
    """
    outputs, targets = _first_outputs(module, context), context.train.targets
    advice = "give loss=, or a recipe that trains nothing (prune with finetune_epochs 0 doesn't)"
    loss = context.loss
    if loss is None:
        try:
            name = metrics.automatic(outputs, targets).loss
        except WorkloadError as error:
            raise WorkbenchError(f"{technique} trains, and {error}") from error
        if name is None:
            raise WorkbenchError(f"{technique} trains, and nothing is known that could train these outputs; {advice}")
        loss = losses.find(name)
    if targets is not None and (reason := loss.misfit(outputs, targets)):
        raise WorkbenchError(f"{technique} trains, and {reason}; {advice}")
    return loss


def learning(
    loss: Loss, context: Context, teacher: Callable[[], Data]
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The loss of a batch by its targets; without targets, by what ``teacher`` gives for all training examples."""
    if context.train.targets is not None:
        return lambda outputs, rows: loss(outputs, context.train.at(rows).targets)
    taught = teacher()
    return lambda outputs, rows: loss.towards(outputs, *taught.at(rows).inputs, 1.0)


@torch.no_grad()
def _first_outputs(module: torch.nn.Module, context: Context) -> torch.Tensor:
    return module(*context.train.at(slice(2)).inputs)


def _laid_out(inputs: Inputs, layout: torch.memory_format) -> Inputs:
    return tuple(each.to(memory_format=layout) if each.dim() == 4 else each for each in inputs)


@torch.no_grad()
def outputs(module: torch.nn.Module, context: Context, message: str, batch: int = 256) -> Data:
    """What ``module`` gives for every training example, in order: [N, …] as the one input."""
    done, began = 0, time.monotonic()

    def called(inputs: Inputs) -> torch.Tensor:
        nonlocal done
        context.checkpoint()
        context.progress(message, done, len(context.train))
        done += len(inputs[0])
        return module(*inputs)

    found = context.train.mapped(
        lambda part: Data(torch.cat([called(examples.inputs) for examples in part.batches(batch)]))
    )
    context.spent(time.monotonic() - began)
    return found


@torch.no_grad()
def _fast_layout(module: torch.nn.Module, examples: Inputs) -> torch.memory_format:
    """Channels last, in which convolutions train faster on a CPU, unless the model's forward needs the other."""
    if all(each.dim() != 4 for each in examples):
        return torch.contiguous_format
    try:
        module.eval().to(memory_format=torch.channels_last)(*_laid_out(examples, torch.channels_last))
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

    def __init__(
        self, plan: Plan, steps_per_epoch: int, context: Context, judged: Callable[[], Quality] | None
    ) -> None:
        self._plan, self._steps_per_epoch, self._context = plan, steps_per_epoch, context
        self._judged, self._judge_at = judged, None
        self.total_steps = plan.epochs * steps_per_epoch
        self._step, self._last = 0, float("-inf")
        self._began = self._first_ended = time.monotonic()
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
        if self._step == 1:
            self._first_ended = now
        if now - self._last >= _POINT_SECONDS or self._step == self.total_steps:
            self._report()
            self._last = now

    @property
    def seconds(self) -> float:
        """What all steps took, the first of them, which finds nothing warm, as long as the others."""
        if self._step < 2:
            return time.monotonic() - self._began
        return self._a_step_s() * self._step

    def _a_step_s(self) -> float:
        return (time.monotonic() - self._first_ended) / (self._step - 1)

    def _quality(self) -> Quality | None:
        if self._judged is None or self._step < 2:
            return None
        if self._judge_at is None:
            self._judge_at = self._first_ended + _TIMES_JUDGING * self._a_step_s()
        began = time.monotonic()
        if began < self._judge_at:
            return None
        quality = self._judged()
        ended = time.monotonic()
        self._judge_at = ended + max(_LEAST_APART_S, _TIMES_JUDGING * (ended - began))
        return quality if all(map(math.isfinite, (quality.value, quality.low, quality.high))) else None

    def _report(self) -> None:
        point = TrainingPoint(
            technique=self._plan.technique,
            step=self._step,
            total_steps=self.total_steps,
            epoch=self._step / self._steps_per_epoch,
            loss=sum(self._losses) / len(self._losses),
            quality=self._quality(),
        )
        self._losses.clear()
        self._context.curve(point)
        epoch = (self._step - 1) // self._steps_per_epoch + 1
        message = f"{self._plan.technique}: training, epoch {epoch} of {self._plan.epochs}"
        if self._step > 1 and (left_s := self._a_step_s() * (self.total_steps - self._step)) >= 1:
            message += f", {about(left_s)} left"
        self._context.progress(message, self._step, self.total_steps)

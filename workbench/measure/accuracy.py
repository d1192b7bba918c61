"""Accuracy that can be read while it is being measured, each figure with its interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import WorkloadError
from workbench.measure.intervals import paired_difference, wilson
from workbench.plumbing.lazy import lazy
from workbench.receipt import Interval, Proportion

if TYPE_CHECKING:
    import torch

    from workbench.workload import Data
else:
    torch = lazy("torch")

Model = Callable[["torch.Tensor"], "torch.Tensor"]

NOT_A_NUMBER = -1
"""The class predicted where the logits hold NaN: none, so it is never right."""


@dataclass(frozen=True)
class AccuracySnapshot:
    """Accuracy on the examples seen so far. ``changed`` counts predictions that differ from the baseline's."""

    baseline: Proportion
    variant: Proportion
    drop: Interval
    changed: int
    total: int
    final: bool


def batch_for(latency_batch: int) -> int:
    """Examples per call while accuracy is measured: it hardly depends on the batch, and large ones take less time.

    Only int8-dynamic depends on it at all, since its scales come from the batch.
    """
    return max(latency_batch, 256)


def predictions(
    model: Model, inputs: torch.Tensor, batch: int = 256, checkpoint: Callable[[], None] = lambda: None
) -> torch.Tensor:
    """The predicted classes, int64 [N], of float32 ``inputs`` [N, …]; worth keeping for a baseline.

    ``checkpoint`` is called before every batch and raises ``Cancelled`` to stop.
    """
    found = []
    for part in inputs.split(batch):
        checkpoint()
        found.append(_classes(model(part)))
    return torch.cat(found)


def evaluate(
    baseline: torch.Tensor | Model,
    variant: Model,
    data: Data,
    *,
    batch: int = 256,
    seed: int = 0,
    snapshot_s: float = 0.1,
    checkpoint: Callable[[], None] = lambda: None,
) -> Iterator[AccuracySnapshot]:
    """Compare the accuracy of two models on ``data`` as a stream; the last snapshot covers all of it.

    The examples are taken in random order: test sets are often sorted by class, and an interval from
    the first few would then be about one class only. Both models are judged on the same examples, so
    the drop's interval is the paired one (:func:`workbench.measure.intervals.paired_difference`).

    Parameters
    ----------
    baseline
        Its predictions, int64 [N] in the order of ``data``, or the model itself: float32 [batch, …]
        to logits [batch, classes].
    variant
        The model to judge, called likewise.
    data
        Inputs and labels; at least one example.
    batch
        Examples per call.
    seed
        Seeds the order.
    snapshot_s
        Seconds between snapshots at least. The first comes after the first batch.
    checkpoint
        Called before every batch; raises :class:`workbench.errors.Cancelled` to stop.

    Raises
    ------
    WorkloadError
        When there are no examples, or not as many baseline predictions as examples.
    """
    total = len(data)
    if total == 0:
        raise WorkloadError("the test data is empty; accuracy needs at least one example")
    known = baseline if isinstance(baseline, torch.Tensor) else None
    if known is not None and len(known) != total:
        raise WorkloadError(f"{len(known)} baseline predictions don't fit {total} test examples; predict them again")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    both = first_only = second_only = changed = done = 0
    shown_at = float("-inf")
    for index in order.split(batch):
        checkpoint()
        inputs, labels = data.inputs[index], data.labels[index]
        before = known[index] if known is not None else _classes(baseline(inputs))
        after = _classes(variant(inputs))
        right_before, right_after = before == labels, after == labels
        both += int((right_before & right_after).sum())
        first_only += int((right_before & ~right_after).sum())
        second_only += int((~right_before & right_after).sum())
        changed += int((before != after).sum())
        done += len(index)
        if done < total and time.perf_counter() - shown_at < snapshot_s:
            continue
        yield AccuracySnapshot(
            baseline=wilson(both + first_only, done),
            variant=wilson(both + second_only, done),
            drop=paired_difference(both, first_only, second_only, done - both - first_only - second_only),
            changed=changed,
            total=total,
            final=done == total,
        )
        shown_at = time.perf_counter()


def _classes(logits: torch.Tensor) -> torch.Tensor:
    logits = logits.detach().cpu()
    return logits.argmax(dim=1).masked_fill(logits.isnan().any(dim=1), NOT_A_NUMBER)


def no_better_than_guessing(predictions: torch.Tensor, data: Data) -> str | None:
    """Words where ``predictions`` are right no more often than one and the same answer would be; None where they are.

    Outputs that aren't scores of the labels' classes, an embedding's for instance, show in that.
    """
    right = wilson(int((predictions == data.labels).sum()), len(data))
    most_frequent = float(torch.bincount(data.labels).max()) / len(data)
    if right.high >= most_frequent or right.low > most_frequent:
        return None
    return (
        f"the model is right on {100 * right.value:.1f} % of the examples, fewer than always giving the most frequent "
        f"class would be ({100 * most_frequent:.1f} %): are its outputs scores of these classes?"
    )

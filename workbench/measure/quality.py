"""Quality that can be read while it is being measured, each figure with its interval."""

from __future__ import annotations

import bisect
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError, WorkloadError
from workbench.measure.intervals import paired_difference, percentiles, wilson
from workbench.plumbing.lazy import lazy
from workbench.receipt import Interval, Quality
from workbench.tasks.metrics import Mean, Share
from workbench.workload import Data, at_a_time, rows

if TYPE_CHECKING:
    import torch

    from workbench.tasks import Metric
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

Model = Callable[..., "torch.Tensor"]

_RESAMPLES = 400
_MOST_SETS, _FEWEST_SETS, _BUDGET_OF_SETS_S = 200, 40, 0.6
"""Where each resample is a look at all examples: as many as take this long, the fewest while more examples come."""


_TIMES_TELLING = 4
"""A snapshot comes after as many times as long as telling the one before took: of sets that takes most of it."""


@dataclass(frozen=True)
class QualitySnapshot:
    """Quality on the examples seen so far. Of ``answers``, ``changed`` differ from the baseline's; None for numbers.

    ``overflown`` of the variant's outputs hold NaN or positive infinity; a score of minus infinity is a way to say "not
    this one".
    """

    baseline: Quality
    variant: Quality
    loss: Interval
    changed: int | None
    answers: int | None
    overflown: int
    total: int
    final: bool


class Judged:
    """What the untouched model's outputs come to: found example by example, when first asked for, and kept.

    ``model`` is called with the inputs of ``data`` one by one, [batch, …], and gives float32 [batch, …].

    Raises
    ------
    WorkloadError
        There are no examples.
    """

    def __init__(self, model: Model, data: Data, metric: Metric) -> None:
        if not len(data):
            raise WorkloadError("the test data is empty; quality needs at least one example")
        self._model, self._data, self._metric = model, data, metric
        self._parts = [_Kept(len(part)) for part in data.parts]
        self._starts = [0, *itertools.accumulate(map(len, data.parts))]

    def __len__(self) -> int:
        return len(self._data)

    def at(self, index: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of the examples at ``index``, int64 [n] and all of one shape, n rows each.

        The metric's terms, float64 [n, k]; what outputs are judged by, the data's targets or the untouched model's
        outputs; and the metric's answers, int64 [n, …], where it knows any.
        """
        number = bisect.bisect_right(self._starts, int(index[0])) - 1
        part, rows = self._parts[number], index - self._starts[number]
        missing = ~part.known[rows]
        if missing.any():
            part.keep(rows[missing], self._judge(self._data.at(index[missing])))
        return part.at(rows)

    @property
    def terms(self) -> torch.Tensor:
        """The metric's terms of the examples judged by now, float64 [n, k]."""
        return torch.cat([part.at(part.known)[0] for part in self._parts if part.known.any()])

    @property
    def targets(self) -> torch.Tensor:
        """What their outputs are judged by, one after the other: [n · …]."""
        return torch.cat([part.at(part.known)[1].flatten() for part in self._parts if part.known.any()])

    def require_number(self) -> None:
        """Raise ``WorkloadError`` where the metric of the examples judged by now isn't a number."""
        terms = self.terms
        if not math.isfinite(value := self._metric.value(terms.numpy())):
            raise WorkloadError(
                f"{self._metric.title} of the untouched model is {value}{_where(terms)}; correct the model or the "
                "targets, or choose another metric"
            )

    def _judge(self, examples: Data) -> Inputs:
        outputs = called(self._model, examples)
        targets = outputs if self._metric.compares_with_untouched else examples.targets
        terms, answers = self._metric.terms(outputs, targets), self._metric.answers(outputs)
        return (terms, targets) if answers is None else (terms, targets, answers)


class _Kept:
    """Rows of some tensors of ``count`` rows each, of which not all are known."""

    def __init__(self, count: int) -> None:
        self.known = torch.zeros(count, dtype=torch.bool)
        self._columns: Inputs = ()

    def at(self, index: torch.Tensor) -> Inputs:
        return rows(self._columns, index)

    def keep(self, index: torch.Tensor, some: Inputs) -> None:
        if not self._columns:
            self._columns = tuple(each.new_zeros(len(self.known), *each.shape[1:]) for each in some)
        for column, each in zip(self._columns, some, strict=True):
            column[index] = each
        self.known[index] = True


def batch_for(latency_batch: int, inputs: Inputs) -> int:
    """Examples per call while quality is measured: it hardly depends on the batch, and large ones take less time.

    Only int8-dynamic depends on it at all, since its scales come from the batch. Of large ``inputs``, [N, …] each, a
    call takes fewer, so that a run can be stopped between calls and what layers make of them finds room.
    """
    return max(latency_batch, at_a_time(inputs, 256))


def in_turn(data: Data, batch: int, seed: int) -> tuple[torch.Tensor, ...]:
    """The numbers of the examples in the order in which they are judged, int64 [batch] at a time.

    It is random: test sets are often sorted by class, and an interval from the first few would then be about one class
    only.
    """
    return data.batch_rows(batch, torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)))


def evaluate(
    baseline: Judged,
    variant: Model,
    data: Data,
    metric: Metric,
    *,
    batch: int = 256,
    seed: int = 0,
    snapshot_s: float = 0.1,
    checkpoint: Callable[[], None] = lambda: None,
) -> Iterator[QualitySnapshot]:
    """Compare the quality of two models on ``data`` as a stream; the last snapshot covers all of it.

    Both models are judged on the same examples, so the loss is paired: for shares by
    :func:`workbench.measure.intervals.paired_difference`, else by a bootstrap over examples that draws the same ones of
    both (Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13).

    Parameters
    ----------
    baseline
        The untouched model on the same data and metric; examples that it wasn't judged on yet are judged on the way.
    variant
        The model to judge: takes the inputs one by one and gives float32 [batch, …].
    data
        Inputs and, unless the metric compares with the untouched model, targets; at least one example.
    batch
        Examples per call.
    seed
        Seeds the order and the resampling.
    snapshot_s
        Seconds between snapshots at least, more where telling one takes long. The first comes after the first batch,
        or as soon as the examples tell.
    checkpoint
        Called before every batch; raises :class:`workbench.errors.Cancelled` to stop.

    Raises
    ------
    WorkloadError
        When the baseline is judged on another number of examples, or the metric of its outputs isn't a number.
    WorkbenchError
        When the metric of the variant's outputs isn't a number.
    """
    total = len(data)
    if len(baseline) != total:
        raise WorkloadError(f"a baseline judged on {len(baseline)} examples doesn't fit {total}; judge it again")
    figures = paired_figures(metric, seed)
    changed = answered = overflown = done = 0
    shown_at, telling_s = float("-inf"), 0.0
    for index in in_turn(data, batch, seed):
        checkpoint()
        terms, targets, *answers = baseline.at(index)
        checkpoint()
        outputs = called(variant, data.at(index))
        figures.add(terms.numpy(), metric.terms(outputs, targets).numpy())
        for before in answers:
            changed += int((metric.answers(outputs) != before).sum())
            answered += before.numel()
        overflown += int((outputs.isnan() | outputs.isposinf()).reshape(len(index), -1).any(1).sum())
        done += len(index)
        final = done == total
        now = time.perf_counter()
        if not final and now - shown_at < max(snapshot_s, _TIMES_TELLING * telling_s):
            continue
        before, after, loss = figures.told(final)
        telling_s = time.perf_counter() - now
        if not all(map(math.isfinite, (before.value, after.value, loss.low, loss.high))):
            if final:
                baseline.require_number()
                raise WorkbenchError(f"{metric.title} of the variant is {after.value}{figures.where()}")
            continue  # the first few may not tell: of one class, or all the same
        yield QualitySnapshot(
            baseline=_quality(before, metric, done),
            variant=_quality(after, metric, done),
            loss=loss,
            changed=changed if answers else None,
            answers=answered if answers else None,
            overflown=overflown,
            total=total,
            final=final,
        )
        shown_at = time.perf_counter()


def doubt(baseline: Judged, metric: Metric) -> str | None:
    """Words where the untouched model's figure shows that something is amiss; None where it doesn't."""
    if not isinstance(metric, Share):
        return None
    terms = baseline.terms
    return metric.doubt(wilson(int(terms.sum()), len(terms)), baseline.targets)


def called(model: Model, data: Data) -> torch.Tensor:
    """What ``model`` gives for the inputs of ``data``: float32 [n, …] on the CPU."""
    return model(*data.inputs).detach().float().cpu()


def _quality(figure: Interval, metric: Metric, n: int) -> Quality:
    return Quality(
        value=figure.value,
        low=figure.low,
        high=figure.high,
        metric=metric.name,
        title=metric.title,
        unit=metric.unit,
        better=metric.better,
        n=n,
    )


def _where(terms: torch.Tensor) -> str:
    bad = (~terms.isfinite()).any(1)
    return f", since {int(bad.sum())} of {len(bad)} outputs hold NaN or infinity" if bad.any() else ""


def paired_figures(metric: Metric, seed: int) -> _Shares | _Means | _Sets:
    """What takes terms of the same examples before and after, float64 [n, k] each, and tells both figures and the loss.

    Its ``told`` gives the intervals of what was before, what is after, and the loss; ``seed`` draws resamples.
    """
    if isinstance(metric, Mean):
        return _Shares() if metric.is_share else _Means(metric, seed)
    return _Sets(metric, seed)


class _Shares:
    """Both sides' shares of right examples so far."""

    def __init__(self) -> None:
        self._both = self._first = self._second = self._neither = 0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Terms of some more examples: 0 or 1, float64 [n, 1] each."""
        right, still = before[:, 0] > 0, after[:, 0] > 0
        self._both += int((right & still).sum())
        self._first += int((right & ~still).sum())
        self._second += int((~right & still).sum())
        self._neither += int((~right & ~still).sum())

    def told(self, final: bool) -> tuple[Interval, Interval, Interval]:
        """The baseline's figure, the variant's, and the loss."""
        n = self._both + self._first + self._second + self._neither
        loss = paired_difference(self._both, self._first, self._second, self._neither)
        return wilson(self._both + self._first, n), wilson(self._both + self._second, n), loss

    def where(self) -> str:
        return ""


class _Means:
    """Both sides' means of terms so far, and of resamples of the same examples.

    Each example counts in a resample as often as a Poisson variable of mean 1 says, so that what was seen needn't be
    kept (Chamandy, Muralidharan, Najmi and Naidu 2012, "Estimating uncertainty for massive data streams").
    """

    def __init__(self, metric: Mean, seed: int) -> None:
        self._metric, self._random = metric, np.random.default_rng(seed)
        self._n, self._bad = 0, 0
        self._sums: np.ndarray | float = 0.0
        self._resampled: np.ndarray | float = 0.0
        self._weight = np.zeros(_RESAMPLES)

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Terms of some more examples: float64 [n, k] each."""
        both = np.stack([before, after])
        drawn = self._random.poisson(1.0, (_RESAMPLES, len(before))).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinite terms count as told
            self._sums = self._sums + both.sum(axis=1)
            self._resampled = self._resampled + drawn @ both
        self._weight += drawn.sum(axis=1)
        self._n += len(before)
        self._bad += int((~np.isfinite(after)).any(axis=1).sum())

    def told(self, final: bool) -> tuple[Interval, Interval, Interval]:
        """The baseline's figure, the variant's, and the loss."""
        figures = self._metric.of_means(self._sums / self._n)
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = self._metric.of_means(self._resampled / self._weight[:, None])
        return _intervals(self._metric, figures, resampled, self._n)

    def where(self) -> str:
        return f", since {self._bad} of {self._n} outputs hold NaN or infinity" if self._bad else ""


class _Sets:
    """Both sides' terms so far; each resample draws the same examples of both and looks at all of them."""

    def __init__(self, metric: Metric, seed: int) -> None:
        self._metric, self._random = metric, np.random.default_rng(seed)
        self._kept: list[np.ndarray] = []

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Terms of some more examples: float64 [n, k] each."""
        self._kept.append(np.stack([before, after]))

    def told(self, final: bool) -> tuple[Interval, Interval, Interval]:
        """The baseline's figure, the variant's, and the loss."""
        terms = np.concatenate(self._kept, axis=1)
        self._kept, n = [terms], terms.shape[1]
        started = time.perf_counter()
        figures = np.array([self._metric.value(side) for side in terms])
        affordable = int(_BUDGET_OF_SETS_S / max(time.perf_counter() - started, 1e-9))
        count = min(max(affordable, _FEWEST_SETS), _MOST_SETS) if final else _FEWEST_SETS
        draws = self._random.integers(0, n, (count, n))
        resampled = np.array([[self._metric.value(side[draw]) for draw in draws] for side in terms])
        return _intervals(self._metric, figures, resampled, n)

    def where(self) -> str:
        return _where(torch.from_numpy(np.concatenate(self._kept, axis=1)[1]))


def _intervals(metric: Metric, figures: np.ndarray, resampled: np.ndarray, n: int) -> tuple[Interval, ...]:
    """Of both sides and of the loss, from figures [2] and resampled ones [2, resamples]."""
    before, after = (percentiles(float(figure), some, n) for figure, some in zip(figures, resampled, strict=True))
    lost = metric.loss_of(resampled[0], resampled[1])
    return before, after, percentiles(metric.loss_of(before.value, after.value), lost, n)

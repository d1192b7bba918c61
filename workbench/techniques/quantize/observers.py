"""How the range of an activation is chosen from what examples give: torchao's observers, and three of its histogram."""

from __future__ import annotations

import torch

from workbench.plumbing.quiet import quiet

with quiet("torchao", "torch.utils._pytree"):  # torchao names each GPU library that it can't load
    from torchao.quantization.pt2e import HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver

_KEPT_SHARE = 0.9999
_OF_EACH_BATCH = 0.1
"""How much of a moving average each batch makes up; the first is all of it at first."""
_SHARES = torch.linspace(0.1, 1.0, 46)
"""Of the largest magnitude, the limits that are tried for the least divergence."""
_LEAST = 1e-10


class PercentileObserver(HistogramObserver):
    """Takes the range that holds 99.99 % of the values seen, half of the rest cut from either end."""

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        below = torch.cumsum(self.histogram.double(), 0) / self.histogram.sum().double()
        cut = (1 - _KEPT_SHARE) / 2
        first = int(torch.searchsorted(below, cut))
        last = min(int(torch.searchsorted(below, 1 - cut)), self.bins - 1)
        width = (self.max_val - self.min_val) / self.bins
        return self._calculate_qparams(self.min_val + width * first, self.min_val + width * (last + 1))


class SquaredErrorObserver(HistogramObserver):
    """Takes the range of the least squared error that torchao's search finds, of the numbers that there are."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.dst_nbins = self.quant_max - self.quant_min + 1  # torchao takes a whole byte's


class EntropyObserver(HistogramObserver):
    """Takes the range whose numbers tell most of the values: the least Kullback–Leibler divergence.

    After Migacz, "8-bit Inference with TensorRT", GPU Technology Conference 2017: values beyond a limit count to the
    last within it, and are compared with themselves once they have as many levels as there are numbers, of which the
    histogram has several bins each. Zeros, of which a ReLU makes many, have a number of their own whatever the range:
    they are left out.
    """

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        low, high = float(self.min_val), float(self.max_val)
        width = (high - low) / self.bins
        if not 0 < width < float("inf"):
            return self._calculate_qparams(self.min_val, self.max_val)
        levels, found, counts = self.quant_max - self.quant_min + 1, {}, self.histogram.double().clone()
        if low <= 0 < high:
            counts[int(-low / width)] = 0
        for share in _SHARES.tolist():
            limit = share * max(-low, high)
            first = max(0, int((max(low, -limit) - low) / width))
            last = min(self.bins, int((min(high, limit) - low) / width + 0.5))
            if last - first >= levels:
                found[first, last] = divergence(counts, first, last, levels)
        first, last = min(found, key=found.get)
        return self._calculate_qparams(self.min_val + width * first, self.min_val + width * last)


def divergence(counts: torch.Tensor, first: int, last: int, levels: int) -> float:
    """Σ p ln(p / q) of the values counted in ``counts`` [bins], limited to bins ``first`` to ``last``.

    p holds what lies beyond in its outermost bins, q what lies within, each level's share spread evenly over those of
    its bins that hold any.
    """
    within = counts[first:last]
    p = within.clone()
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    level = torch.arange(len(within)) * levels // max(len(within), levels)
    sums = torch.zeros(levels, dtype=counts.dtype).index_add_(0, level, within)
    filled = torch.zeros(levels, dtype=counts.dtype).index_add_(0, level, (within > 0).to(counts.dtype))
    q = torch.where(within > 0, (sums / filled.clamp(min=1))[level], 0.0)
    if not p.sum() or not q.sum():
        return float("inf")
    p, q = p / p.sum(), q / q.sum()
    held = p > 0
    return float((p[held] * (p[held] / q[held].clamp(min=_LEAST)).log()).sum())


OBSERVERS = {
    "range": MinMaxObserver,
    "moving-average": MovingAverageMinMaxObserver.with_args(averaging_constant=_OF_EACH_BATCH),
    "percentile": PercentileObserver,
    "mse": SquaredErrorObserver,
    "entropy": EntropyObserver,
}
"""By the name of a calibration."""

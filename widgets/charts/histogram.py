"""A latency distribution in few bytes: counts in bins of equal width on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterable

BINS_PER_DECADE = 256
"""One bin is 0.9 % wide: finer than the spread of a quiet machine."""

Bins = tuple[tuple[int, int], ...]
"""(bin, count) where count > 0; bin ``i`` begins at ``10 ** (i / BINS_PER_DECADE)`` milliseconds."""


def add(bins: Bins, samples_ms: Iterable[float]) -> Bins:
    """``bins`` with more samples counted in. Samples that aren't positive are no latencies and raise."""
    counts = dict(bins)
    for sample in samples_ms:
        index = math.floor(math.log10(sample) * BINS_PER_DECADE)
        counts[index] = counts.get(index, 0) + 1
    return tuple(sorted(counts.items()))


def total(bins: Bins) -> int:
    """How many samples are counted."""
    return sum(count for _, count in bins)

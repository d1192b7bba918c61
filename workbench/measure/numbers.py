"""The numbers of one layer's weights, before and after a recipe: their distribution, their grid, their zeros."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError, unknown
from workbench.layer import Histogram, LayerDetail, Numbers, Scales
from workbench.measure.tensors import HALVES, Kept, Kernels, first_names, kept_tensors, own_tensors
from workbench.measure.weights import main_weight
from workbench.plumbing.lazy import lazy
from workbench.variant import Variant

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_BINS = 61
_FEWER_BITS = re.compile(r"int([1-7])")
_WIDEST_GRID = 256


def layer_detail(original: torch.nn.Module, variant: Variant, kernels: Kernels | None, layer: str) -> LayerDetail:
    """The largest weight of ``layer`` in the ``original`` and as the ``variant`` keeps it, by the runner's kernels.

    Raises :class:`WorkbenchError` when neither has a layer of that name with parameters.
    """
    before, after = _kept(Variant(module=original), None, layer), _kept(variant, kernels, layer)
    if not before and not after:
        names = list(dict.fromkeys([*own_tensors(original), *own_tensors(variant.module)]))
        raise WorkbenchError(unknown("layer", layer, names))
    sides = _values(before), _values(after)
    low, high = _range([values for values in sides if values is not None])
    width = (high - low) / _BINS
    return LayerDetail(
        layer=layer,
        before=_numbers(before, sides[0], low, width),
        after=_numbers(after, sides[1], low, width),
    )


def _kept(variant: Variant, kernels: Kernels | None, layer: str) -> list[Kept]:
    """What is kept of the layer's largest weight, its scales and zero points too; [] where there is nothing."""
    own = own_tensors(variant.module).get(layer, {})
    all_kept = kept_tensors(variant, kernels)
    if not own:
        return [each for each in all_kept if each.layer == layer]
    main = main_weight(own)
    parts = [each for each in all_kept if each.parameter == main]
    return parts or [each for each in all_kept if each.parameter == first_names(variant.module).get(main, main)]


def _values(kept: list[Kept]) -> torch.Tensor | None:
    """All numbers that are kept, as what they stand for: float32 [elements]; None where nothing is."""
    parts = [_rounded(each.weight.values(), each.weight.dtype).flatten() for each in kept if each.weight is not None]
    return torch.cat(parts) if parts else None


def _rounded(values: torch.Tensor, dtype: str) -> torch.Tensor:
    floats = values.detach()
    return (floats.to(getattr(torch, dtype)) if dtype in HALVES else floats).float()


def _range(sides: list[torch.Tensor]) -> tuple[float, float]:
    finite = [values[values.isfinite()] for values in sides]
    ends = [float(end) for values in finite if len(values) for end in values.aminmax()]
    low, high = min(ends, default=0.0), max(ends, default=0.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _numbers(kept: list[Kept], values: torch.Tensor | None, low: float, width: float) -> Numbers | None:
    if values is None:
        return None
    weights = [each.weight for each in kept if each.weight is not None]
    finite = values[values.isfinite()]
    ends = [float(end) for end in finite.aminmax()] if len(finite) else [0.0, 0.0]
    spread = torch.histc(finite[finite != 0], _BINS, low, low + _BINS * width)
    return Numbers(
        dtype=" and ".join(dict.fromkeys(weight.dtype for weight in weights)),
        shape=weights[0].shape if len(weights) == 1 else (len(values),),
        size_bytes=sum(each.size_bytes for each in kept),
        total=len(values),
        zeros=int((values == 0).sum()),
        low=ends[0],
        high=ends[1],
        values=Histogram(low=low, width=width, counts=tuple(int(count) for count in spread)),
        levels=_levels([weight.levels() for weight in weights if weight.levels], weights[0].dtype),
        scales=_scales([weight.scales() for weight in weights if weight.scales]),
    )


def _levels(parts: list[torch.Tensor], dtype: str) -> Histogram | None:
    """Of the whole numbers that the format has; None where there are none, or more than can be told apart."""
    if not parts:
        return None
    bounds, stored = torch.iinfo(parts[0].dtype), _FEWER_BITS.fullmatch(dtype)
    most = 2 ** (int(stored[1]) - 1) if stored else 0
    low, high = (-most, max(most - 1, 1)) if stored else (bounds.min, bounds.max)
    if high - low >= _WIDEST_GRID:
        return None
    whole = torch.cat([part.flatten() for part in parts]).long() - low
    counts = torch.bincount(whole, minlength=high - low + 1)
    return Histogram(low=low, width=1, counts=tuple(counts.tolist()))


def _scales(parts: list[torch.Tensor]) -> Scales | None:
    if not parts:
        return None
    scales = torch.cat([part.flatten() for part in parts])
    low, high = (float(end) for end in scales.aminmax())
    return Scales(count=len(scales), low=low, high=high)

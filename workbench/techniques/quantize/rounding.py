"""Weights as whole numbers times a scale, the scale chosen so that they lose least; or as floats of eight bits."""

from __future__ import annotations

import torch

from workbench.precisions import Floats, Integers

Formats = Integers | Floats
Rounded = tuple[torch.Tensor, torch.Tensor]
"""Numbers that the format has [outputs, groups, inputs of a group] and their scales [outputs, groups]."""
_BY_SEARCH = 3
"""The most bits of which the scale is searched: of more the largest magnitude decides, and hardly anything is lost."""
_SAME = 0.01
"""Of a step, how far sums in another order may put a weight off its number."""
_SHARES = torch.linspace(0.2, 1.0, 33)
"""Of what the largest magnitude asks, the scales that are tried."""


def rounded(weights: torch.Tensor, formats: Formats) -> Rounded:
    """Numbers float32 like ``weights`` [outputs, groups, inputs of a group], and their scales [outputs, groups].

    One and two levels either side of zero have the scale of the least squared error: of the signs of weights the mean
    magnitude (Rastegari et al., "XNOR-Net", 2016, arXiv:1603.05279, eq. 6), of −1, 0 and 1 the mean of those magnitudes
    that aren't taken for zero (Li and Liu, "Ternary Weight Networks", 2016, arXiv:1605.04711, eq. 4), of two and three
    bits the best of a search. Else the largest magnitude is the largest number. Zeros have any scale.
    """
    if isinstance(formats, Floats):
        scales = steps(weights.abs().amax(-1), limits(formats)[1])
    elif formats.bits == 1:
        scales = torch.where(weights.any(-1), weights.abs().mean(-1), 0.0)
    elif formats.levels == 3:
        scales = _ternary(weights)
    else:
        scales = steps(weights.abs().amax(-1), 2 ** (formats.bits - 1) - 1)
        if formats.bits <= _BY_SEARCH:
            scales = _searched(weights, scales, formats)
    return nearest(weights, scales.unsqueeze(-1), formats), scales


def nearest(weights: torch.Tensor, scales: torch.Tensor, formats: Formats) -> torch.Tensor:
    """The numbers, float32, that come nearest to ``weights`` once they are multiplied by ``scales``."""
    steps = weights / scales
    if isinstance(formats, Floats):
        return steps.clamp(*limits(formats)).to(getattr(torch, formats.dtype)).float()
    if formats.bits == 1:
        return torch.where(steps < 0, -1.0, 1.0)
    return steps.round().clamp(*limits(formats))


def limits(formats: Formats) -> tuple[float, float]:
    """The smallest and the largest number."""
    if isinstance(formats, Floats):
        most = torch.finfo(getattr(torch, formats.dtype)).max
        return -most, most
    if formats.bits == 1:
        return -1, 1
    most = 2 ** (formats.bits - 1) - 1
    return -most if formats.levels == 3 else -most - 1, most


def known(weights: torch.Tensor, numbers: torch.Tensor) -> Rounded | None:
    """``weights`` as ``numbers``, both [outputs, groups, inputs of a group], times scales.

    None where there are no such scales: where weights were changed by more than a factor for each group.
    """
    weights, exact = weights.double(), numbers.double()  # of floats up to 57,344 the last bit is half of _SAME
    squares = exact.square().sum(-1)
    scales = torch.where(squares > 0, (weights * exact).sum(-1) / squares.clamp(min=1), 1.0)
    apart = (exact * scales.unsqueeze(-1) - weights).abs().amax(-1)
    return (numbers, scales.float()) if bool((apart <= _SAME * scales.abs()).all()) else None


def steps(magnitudes: torch.Tensor, most: float = 1) -> torch.Tensor:
    """Scales of which ``most`` make the magnitudes; any number for zero and for what is so small that its scale is."""
    scales = magnitudes / most
    return torch.where(scales > 0, scales, torch.ones_like(scales))


def _ternary(weights: torch.Tensor) -> torch.Tensor:
    """Of the k largest taken for ±scale, Σw² − (their sum)² / k is left: least where (their sum)² / k is most.

    Those are the ones that come nearer to their mean than to zero, so rounding takes them.
    """
    largest_first = weights.abs().sort(-1, descending=True).values
    counts = torch.arange(1, weights.shape[-1] + 1)
    sums = largest_first.cumsum(-1)
    best = (sums**2 / counts).argmax(-1, keepdim=True)
    return steps((sums.gather(-1, best) / (best + 1)).squeeze(-1))


def _searched(weights: torch.Tensor, largest: torch.Tensor, formats: Integers) -> torch.Tensor:
    """Either side of zero may have the number that the other lacks, so scales of both signs are tried."""
    best, least = largest, torch.full_like(largest, torch.inf)
    for share in torch.cat([_SHARES, -_SHARES]):
        scales = share * largest
        error = (nearest(weights, scales.unsqueeze(-1), formats) * scales.unsqueeze(-1) - weights).square().sum(-1)
        best, least = torch.where(error < least, scales, best), torch.minimum(error, least)
    return best

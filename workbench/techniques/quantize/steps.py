"""A model that computes with rounded weights and inputs while it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils import parametrize

from workbench.plumbing.quiet import quiet
from workbench.precisions import Integers, Precision
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.rounding import limits, nearest, rounded

with quiet("torchao", "torch.utils._pytree"):  # torchao names each GPU library that it can't load
    from torchao.quantization.pt2e import MovingAverageMinMaxObserver

_LEAST = 1e-12
_OUTPUTS_SECOND = (nn.ConvTranspose1d, nn.ConvTranspose2d)


class StepSizes(nn.Module):
    """A weight as whole numbers times scales, which are learned: a parametrization.

    Esser et al., "Learned Step Size Quantization", 2020, arXiv:1902.08153, eq. 1 to 3; what a scale grows by is learned
    in place of the scale, so that steps of an optimizer are shares of it.
    """

    def __init__(self, weight: torch.Tensor, formats: Integers, groups: Groups) -> None:
        super().__init__()
        self._formats, self._groups = formats, groups
        _, scales = rounded(groups.of(weight.detach()), formats)
        scales = torch.where(scales == 0, _LEAST, scales)  # of a channel of zeros
        self.register_buffer("_start", scales.unsqueeze(-1))
        self.growth = nn.Parameter(torch.ones_like(self._start))

    @property
    def _scales(self) -> torch.Tensor:
        return self._start * self.growth

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The rounded weight; gradients pass rounding by, but for weights beyond the largest number."""
        steps = (self._groups.of(weight) / self._scales).clamp(*limits(self._formats))
        numbers = steps + (nearest(steps.detach(), torch.ones(()), self._formats) - steps.detach())
        return self._groups.back(numbers * self._scales, weight)

    @torch.no_grad()
    def numbers(self, weight: torch.Tensor) -> torch.Tensor:
        """The whole numbers that it is rounded to, of its shape."""
        return self._groups.back(nearest(self._groups.of(weight), self._scales, self._formats), weight)


class _Inputs(nn.Module):
    """A layer's inputs rounded to the numbers of a range, which is that of each call or a moving average."""

    def __init__(self, formats: Integers) -> None:
        super().__init__()
        self._most = 2**formats.bits - 1
        self._of_each_call = formats.scales == "call"
        self.range = MovingAverageMinMaxObserver(
            averaging_constant=1.0 if self._of_each_call else 0.01,
            dtype=torch.uint8,
            quant_min=0,
            quant_max=self._most,
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training or self._of_each_call:
            self.range(inputs.detach())
        scale, zero_point = self.range.calculate_qparams()
        return torch.fake_quantize_per_tensor_affine(inputs, scale, zero_point.int(), 0, self._most)


@contextmanager
def rounding(module: nn.Module, layers: Mapping[str, Precision], group_size: int) -> Iterator[dict[str, StepSizes]]:
    """Have ``module`` compute with the weights and inputs of ``layers`` rounded, meanwhile; weights stay so.

    Yields what rounds each layer's weight: layers that share a weight share it.
    """
    steps: dict[int, StepSizes] = {}
    found, hooks = {}, []
    for name, formats in layers.items():
        layer = module.get_submodule(name)
        axis = 1 if isinstance(layer, _OUTPUTS_SECOND) else 0
        groups = Groups(axis, group_size if formats.weights.scales == "group" else None)
        shared = steps.setdefault(id(layer.weight), StepSizes(layer.weight, formats.weights, groups))
        parametrize.register_parametrization(layer, "weight", shared)
        found[name] = shared
        if formats.activations:
            layer.add_module("_rounded_inputs", _Inputs(formats.activations))
            hooks.append(layer.register_forward_pre_hook(_round_inputs))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
        for name in layers:
            layer = module.get_submodule(name)
            layer._modules.pop("_rounded_inputs", None)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def observe(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Take the ranges of a rounding module's layers' inputs from a call with ``inputs``."""
    ranges = [each for each in module.modules() if isinstance(each, _Inputs)]
    for each in ranges:
        each.train()
    with torch.no_grad():
        module(*(each.clone() for each in inputs))
    for each in ranges:
        each.eval()


def _round_inputs(layer: nn.Module, inputs: tuple) -> tuple:
    first, *others = inputs
    return (layer._rounded_inputs(first), *others)

"""A model that computes with rounded weights and inputs while it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

from workbench.plumbing.quiet import quiet
from workbench.precisions import Integers, Precision
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.observers import OBSERVERS
from workbench.techniques.quantize.rounding import limits, nearest, rounded
from workbench.workload import Inputs

with quiet("torchao", "torch.utils._pytree"):  # torchao names each GPU library that it can't load
    from torchao.quantization.pt2e import MovingAverageMinMaxObserver

Range = tuple[float, int]
"""The scale of a value's numbers and which of them is zero."""
_LEAST = 1e-12
_LEARNED = 4
"""The most bits of inputs whose scale is learned: of more the range decides, and hardly anything is lost."""
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


class InputSteps(nn.Module):
    """Inputs as whole numbers times a scale that is learned, as :class:`StepSizes` learns those of weights.

    It starts from the range that a calibration finds in what it is given before :meth:`start`, and leaves as it is.
    """

    def __init__(self, formats: Integers, calibration: str) -> None:
        super().__init__()
        self._most = 2**formats.bits - 1
        self._observer = OBSERVERS[calibration](dtype=torch.uint8, quant_min=0, quant_max=self._most)
        self.growth = nn.Parameter(torch.ones(()))

    def start(self) -> None:
        """Round from now on."""
        scale, zero_point = self._observer.calculate_qparams()
        self._start, self._zero_point = float(scale), int(zero_point)
        self._observer = None

    @property
    def range(self) -> Range:
        return self._start * float(self.growth.detach()), self._zero_point

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The rounded inputs; gradients pass rounding by, but for inputs beyond the range."""
        if self._observer is not None:
            self._observer(inputs.detach())
            return inputs
        scale = self._start * self.growth
        steps = (inputs / scale).clamp(-self._zero_point, self._most - self._zero_point)
        return (steps + (steps.round() - steps).detach()) * scale


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


@dataclass(frozen=True)
class Steps:
    """By layer, what rounds its weight, and its inputs where their scale is learned; layers may share either."""

    weights: Mapping[str, StepSizes]
    inputs: Mapping[str, InputSteps]


@contextmanager
def rounding(
    module: nn.Module, layers: Mapping[str, Precision], fed_by: Mapping[str, str], *, group_size: int, calibration: str
) -> Iterator[Steps]:
    """Have ``module`` compute with the weights and inputs of ``layers`` rounded, meanwhile; weights stay so.

    ``fed_by`` names the value that each of them multiplies: those of the same value round it alike.
    """
    of_weights: dict[int, StepSizes] = {}
    of_values: dict[str, InputSteps] = {}
    weights, inputs, hooks = {}, {}, []
    for name, formats in layers.items():
        layer = module.get_submodule(name)
        axis = 1 if isinstance(layer, _OUTPUTS_SECOND) else 0
        groups = Groups.sharing(formats.weights, axis, group_size)
        weights[name] = of_weights.setdefault(id(layer.weight), StepSizes(layer.weight, formats.weights, groups))
        parametrize.register_parametrization(layer, "weight", weights[name])
        if not formats.activations:
            continue
        if formats.activations.bits <= _LEARNED:
            new = InputSteps(formats.activations, calibration)
            layer._rounded_inputs = inputs[name] = of_values.setdefault(fed_by[name], new)
        else:
            layer._rounded_inputs = _Inputs(formats.activations)
        hooks.append(layer.register_forward_pre_hook(_round_inputs))
    try:
        yield Steps(weights, inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for name in layers:
            layer = module.get_submodule(name)
            layer._modules.pop("_rounded_inputs", None)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def observe(module: nn.Module, batches: Iterable[Inputs]) -> None:
    """Take the ranges of a rounding module's layers' inputs from calls with ``batches``."""
    ranges = [each for each in module.modules() if isinstance(each, (_Inputs, InputSteps))]
    for each in ranges:
        each.train()
    with torch.no_grad():
        for inputs in batches:
            module(*(each.clone() for each in inputs))
    for each in ranges:
        each.eval()
        if isinstance(each, InputSteps):
            each.start()


def _round_inputs(layer: nn.Module, inputs: tuple) -> tuple:
    first, *others = inputs
    return (layer._rounded_inputs(first), *others)

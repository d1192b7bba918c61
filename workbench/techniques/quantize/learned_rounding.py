"""Weights rounded so that what a layer computes moves least: layer after layer, by examples, without training.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2023,
arXiv:2210.17323, algorithm 1: an input's weights are rounded, and what that changes of the outputs is made good by the
weights of the inputs that follow. A group is a block, and its scales are those of its weights as they have become.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from workbench.graph import layer_of
from workbench.precisions import Integers
from workbench.techniques.quantize.calls import LINEAR
from workbench.techniques.quantize.constants import is_constant
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.rounding import Rounded, nearest, rounded

aten = torch.ops.aten
_DAMPING = 0.01
"""Of the mean square of the inputs, added to each: those that depend on each other leave no inverse without it."""
_AT_ONCE = 16
_ROWS = 16384
"""Of a layer's inputs, as of all words of a text, so many are enough."""


class LearnedRounding(torch.fx.Interpreter):
    """Runs a graph on examples, each linear layer that it ``takes`` with its weights rounded already.

    So each is rounded for the inputs that it will have. ``found`` is by the weight's name what
    :func:`workbench.techniques.quantize.rounding.rounded` gives.
    """

    def __init__(
        self,
        graph: torch.fx.GraphModule,
        formats: Integers,
        *,
        group_size: int,
        takes: Callable[[str | None], bool],
        checkpoint: Callable[[], None],
    ) -> None:
        super().__init__(graph)
        self.found: dict[str, Rounded] = {}
        self._formats, self._groups, self._takes, self._checkpoint = formats, Groups(0, group_size), takes, checkpoint

    def run_node(self, node: torch.fx.Node):
        if node.target is not LINEAR or not is_constant(node.args[1]) or not self._takes(layer_of(node)):
            return super().run_node(node)
        self._checkpoint()
        (inputs, weight, *bias), _ = self.fetch_args_kwargs_from_env(node)
        name = node.args[1].target
        if name not in self.found:
            self.found[name] = learned(self._groups.of(weight), self._formats, inputs.flatten(0, -2))
        numbers, scales = self.found[name]
        values = self._groups.back(numbers * scales.unsqueeze(-1), weight)
        return torch.nn.functional.linear(inputs, values, *bias)


def learned(weights: torch.Tensor, formats: Integers, inputs: torch.Tensor) -> Rounded:
    """What :func:`workbench.techniques.quantize.rounding.rounded` gives, for ``inputs`` [N, inputs of the layer].

    ``weights`` is [outputs, groups, inputs of a group], filled with zeros beyond the layer's inputs.
    """
    _, groups, size = weights.shape
    inputs = torch.nn.functional.pad(inputs, (0, groups * size - inputs.shape[1]))
    spread = _spread(inputs)
    left = weights.flatten(1).clone()
    numbers, scales = torch.empty_like(weights), torch.empty(weights.shape[:2])
    for group in range(groups):
        here = slice(group * size, (group + 1) * size)
        block, factors = left[:, here], spread[here, here]
        _, found = rounded(block.unsqueeze(1), formats)
        scales[:, group] = found[:, 0]
        errors = torch.empty_like(block)
        for column in range(size):
            number = nearest(block[:, column], scales[:, group], formats)
            numbers[:, group, column] = number
            errors[:, column] = (block[:, column] - number * scales[:, group]) / factors[column, column]
            block[:, column:] -= errors[:, column, None] * factors[column, column:]
        left[:, here.stop :] -= errors @ spread[here, here.stop :]
    return numbers, scales


def inputs_of_channels(node: torch.fx.Node, inputs: torch.Tensor, weight: torch.Tensor) -> list[torch.Tensor] | None:
    """What each group of a call's output channels multiplies by its weights, [N, weights of a channel] each.

    None where that isn't known here: of transposed convolutions and of those in three dimensions.
    """
    if node.target is LINEAR:
        return [inputs.flatten(0, -2)]
    if node.target not in (aten.conv1d.default, aten.conv2d.default):
        return None
    stride, padding, dilation, groups = (*node.args[3:], *(1, 0, 1, 1)[len(node.args[3:]) :])
    if node.target is aten.conv1d.default:  # as an image of one row
        inputs, weight = inputs.unsqueeze(-2), weight.unsqueeze(-2)
        stride, padding, dilation = [1, _last(stride)], [0, _last(padding)], [1, _last(dilation)]
    kernel = tuple(weight.shape[-2:])
    unfold = partial(torch.nn.functional.unfold, kernel_size=kernel, stride=stride, padding=padding, dilation=dilation)
    positions = unfold(inputs[:1]).shape[-1]
    every = max(1, len(inputs) * positions // _ROWS)
    seen = [unfold(part)[..., ::every] for part in inputs.split(_AT_ONCE)]
    columns = torch.cat(seen).transpose(1, 2).flatten(0, 1)
    return list(columns.chunk(groups, dim=1))


def _last(sizes: int | list[int]) -> int:
    return sizes if isinstance(sizes, int) else sizes[-1]


def _spread(inputs: torch.Tensor) -> torch.Tensor:
    """How rounding an input's weight is made good by those after it: the upper Cholesky factor of (XᵀX)⁻¹."""
    inputs = inputs[:: max(1, len(inputs) // _ROWS)]
    squares = (inputs.T @ inputs).double()
    diagonal = squares.diagonal()
    diagonal += _DAMPING * diagonal.mean() + (diagonal == 0)  # whose input is always zero, any number will do
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(squares)), upper=True).float()

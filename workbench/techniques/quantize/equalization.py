"""Weights of convolutions that follow each other, scaled so that channels have like ranges; outputs stay the same.

Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction", 2019, arXiv:1906.04721, section
4.1: what one channel gives divided by s and what is made of it multiplied by s is the same, with a ReLU between too.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch

from workbench.graph import layer_of
from workbench.graph.layers import SCALED_BY
from workbench.techniques.quantize.calls import Takes
from workbench.techniques.quantize.constants import constant_of, is_constant, keep_constant

aten = torch.ops.aten
_CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default)
_RELUS = (aten.relu.default, aten.relu_.default)
_GROUPS = 6
"""Where a convolution's arguments say how many groups its channels are in."""
_EVEN = 1e-3
"""No channel is scaled by more than this share any longer: then pairs that overlap are even."""
_MOST_ROUNDS = 50


@dataclass(frozen=True)
class Pair:
    """A convolution and the one that alone reads what it gives, as it is or through a ReLU."""

    first: torch.fx.Node
    second: torch.fx.Node

    @property
    def layers(self) -> tuple[str, str]:
        return layer_of(self.first) or "", layer_of(self.second) or ""


def pairs(graph: torch.fx.GraphModule, takes: Takes) -> list[Pair]:
    """Those of the layers that ``takes`` names whose weights and biases are constants of their own."""
    readers = Counter(node.target for node in graph.graph.find_nodes(op="get_attr") for _ in node.users)

    def has_own(node: torch.fx.Node) -> bool:
        constants = [each for each in node.args[1:3] if each is not None]
        return takes(layer_of(node)) and all(is_constant(each) and readers[each.target] == 1 for each in constants)

    found = []
    for first in graph.graph.nodes:
        second = _only_reader(first)
        if second is not None and second.target in _RELUS:
            second = _only_reader(second)
        if second is None or {first.target, second.target} - set(_CONVOLUTIONS) or second.args[0] in second.args[1:]:
            continue
        if has_own(first) and has_own(second):
            found.append(Pair(first, second))
    return found


def equalize(graph: torch.fx.GraphModule, found: list[Pair]) -> None:
    """Scale the weights and biases of such pairs, in place, until the ranges of each pair's channels are alike."""
    for _ in range(_MOST_ROUNDS):
        if max((_scale(graph, pair) for pair in found), default=0.0) <= _EVEN:
            return


def factors(first: torch.Tensor, second: torch.Tensor, groups: int) -> torch.Tensor:
    """What the output channels of ``first`` are divided by and the inputs of ``second`` multiplied by, [channels].

    Eq. 11: s = √(r₁ r₂) / r₂ with the largest magnitudes r of either; 1 for a channel of which one is all zero.
    """
    ours = first.flatten(1).abs().amax(1)
    by_input = second.unflatten(0, (groups, -1)).transpose(1, 2).flatten(2)  # [groups, inputs of one, …]
    theirs = by_input.abs().amax(2).flatten()
    return torch.where((ours > 0) & (theirs > 0), (ours * theirs).sqrt() / theirs, 1.0)


def _scale(graph: torch.fx.GraphModule, pair: Pair) -> float:
    """By what share it was scaled, at most."""
    groups = pair.second.args[_GROUPS] if len(pair.second.args) > _GROUPS else 1
    first, second = (constant_of(graph, call.args[1]) for call in (pair.first, pair.second))
    by = factors(first, second, groups)
    keep_constant(graph, pair.first.args[1].target, first / _over(first.dim(), by))
    if len(pair.first.args) > 2 and pair.first.args[2] is not None:
        keep_constant(graph, pair.first.args[2].target, constant_of(graph, pair.first.args[2]) / by)
    pair.first.meta[SCALED_BY] = pair.first.meta.get(SCALED_BY, 1.0) * by
    of_inputs = by.view(groups, 1, -1, *[1] * (second.dim() - 2))
    keep_constant(graph, pair.second.args[1].target, (second.unflatten(0, (groups, -1)) * of_inputs).flatten(0, 1))
    return float((by.log().abs()).max())


def _over(dimensions: int, values: torch.Tensor) -> torch.Tensor:
    return values.view(-1, *[1] * (dimensions - 1))


def _only_reader(node: torch.fx.Node) -> torch.fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None

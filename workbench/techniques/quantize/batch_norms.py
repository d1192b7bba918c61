"""Batch normalisations folded into the layers before them."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from workbench.techniques.quantize.constants import constant_of, is_constant, keep_constant, unused_name

aten = torch.ops.aten
_CONVOLUTIONS = tuple(
    getattr(convolution, overload)
    for convolution in (aten.conv1d, aten.conv2d, aten.conv3d)
    for overload in ("default", "padding")
)
_TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)
_GROUPS = 6
"""Where a transposed convolution's arguments say how many groups its channels are in."""
Pair = tuple[torch.fx.Node, torch.fx.Node]


def fold_batch_norms(graph: torch.fx.GraphModule) -> None:
    """Fold each batch normalisation that only follows a convolution or linear call into its weight, in place.

    A weight that is called several times is kept once for each normalisation after it and once for the calls without
    (torchao's own folding writes all into the one weight).
    """
    by_weight: dict[torch.fx.Node, dict[tuple, list[Pair]]] = defaultdict(lambda: defaultdict(list))
    for norm in graph.graph.nodes:
        if norm.target is aten.batch_norm.default and _folds(norm):
            call = norm.args[0]
            by_weight[call.args[1]][(_bias(call), *norm.args[1:])].append((call, norm))
    for weight, alike in by_weight.items():
        folded = {call for pairs in alike.values() for call, _ in pairs}
        fused = [_fused(graph, *pairs[0]) for pairs in alike.values()]  # before any is written over
        own_name = set(weight.users) == folded
        for (values, bias), pairs in zip(fused, alike.values(), strict=True):
            name = weight.target if own_name else unused_name(graph, weight.target)
            bias_name = _bias_name(graph, name, pairs, own_name)
            _write(graph, {name: values, bias_name: bias}, pairs)
            own_name = False


def _folds(norm: torch.fx.Node) -> bool:
    call, *constants, training = norm.args[:6]
    linear = call.target is aten.linear.default and call.meta["val"].dim() == 2  # else they are over other dimensions
    in_one_group = call.target in _TRANSPOSED and (len(call.args) <= _GROUPS or call.args[_GROUPS] == 1)
    return (
        (linear or in_one_group or call.target in _CONVOLUTIONS)
        and not training
        and len(call.users) == 1
        and is_constant(call.args[1])
        and all(constant is None or is_constant(constant) for constant in (_bias(call), *constants))
    )


def _bias(call: torch.fx.Node) -> torch.fx.Node | None:
    return call.args[2] if len(call.args) > 2 else None


def _fused(graph: torch.fx.GraphModule, call: torch.fx.Node, norm: torch.fx.Node) -> tuple[torch.Tensor, torch.Tensor]:
    gain, shift, mean, variance = (constant_of(graph, node) for node in norm.args[1:5])
    gain, shift = torch.ones_like(mean) if gain is None else gain, torch.zeros_like(mean) if shift is None else shift
    weight, bias, epsilon = constant_of(graph, call.args[1]), constant_of(graph, _bias(call)), norm.args[7]
    if call.target is aten.linear.default:
        return fuse_linear_bn_weights(weight, bias, mean, variance, epsilon, gain, shift)
    transposed = call.target in _TRANSPOSED
    return fuse_conv_bn_weights(weight, bias, mean, variance, epsilon, gain, shift, transpose=transposed)


def _bias_name(graph: torch.fx.GraphModule, weight_name: str, pairs: list[Pair], own_name: bool) -> str:
    bias = _bias(pairs[0][0])
    if own_name and bias and set(bias.users) == {call for call, _ in pairs}:
        return bias.target
    return unused_name(graph, f"{weight_name}_bias")


def _write(graph: torch.fx.GraphModule, constants: dict[str, torch.Tensor], pairs: list[Pair]) -> None:
    """Give the calls these constants as weight and bias, and take the normalisations after them out."""
    nodes = []
    for name, constant in constants.items():
        keep_constant(graph, name, constant)
        with graph.graph.inserting_before(pairs[0][0]):
            nodes.append(graph.graph.get_attr(name))
    for call, norm in pairs:
        call.args = (call.args[0], *nodes, *call.args[3:])
        norm.replace_all_uses_with(call)
        graph.graph.erase_node(norm)

"""Calls that torchao takes for something else, kept out of its sight while it works on a graph."""

from __future__ import annotations

from collections.abc import Callable

import torch

aten = torch.ops.aten
_SOURCES = ("torch_fn", "source_fn_stack")
"""Where torchao looks for what a call was in Python."""


def _stand_in(operation: Callable) -> Callable:
    def computed(*arguments, **options) -> torch.Tensor:
        return operation(*arguments, **options)

    return computed


_STAND_INS = {
    operation: _stand_in(operation)
    for operation in (aten.batch_norm.default, aten.add.Tensor, aten.add_.Tensor, aten.add.Scalar)
}


def hide(graph: torch.fx.GraphModule) -> None:
    """Let other functions stand in for batch normalisations and for sums with a number.

    The first are those that follow no convolution or linear call: torchao would look for what training leaves of
    them, by 96 patterns that it exports first. The second it takes for sums of two tensors.
    """
    for node in graph.graph.nodes:
        if node.target is aten.batch_norm.default or (node.target in _STAND_INS and _adds_number(node)):
            node.target = _STAND_INS[node.target]
            for source in _SOURCES:
                node.meta.pop(source, None)
    graph.recompile()


def uncover(graph: torch.fx.GraphModule) -> None:
    """Put back what :func:`hide` replaced."""
    operations = {stand_in: operation for operation, stand_in in _STAND_INS.items()}
    for node in graph.graph.nodes:
        if node.target in operations:
            node.target = operations[node.target]
    graph.recompile()


def _adds_number(node: torch.fx.Node) -> bool:
    in_place_unused = node.target is aten.add_.Tensor and not node.users  # its effect is all there is of it
    return not all(isinstance(arg, torch.fx.Node) for arg in node.args) and not in_place_unused

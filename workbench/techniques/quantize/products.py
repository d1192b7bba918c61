"""Products by a constant matrix as linear calls: layers that people write themselves, such as GPT-2's, make those."""

from __future__ import annotations

from collections import defaultdict

import torch

from workbench.techniques.quantize.constants import constant_of, is_constant, keep_constant, unused_name

aten = torch.ops.aten
_TRANSPOSITIONS = (aten.t.default, aten.numpy_T.default, aten.mT.default)


def products_as_linear_calls(graph: torch.fx.GraphModule) -> None:
    """Make ``x @ w`` and ``addmm(b, x, w)`` linear calls with the transposed ``w``, in place; also ``x @ w + b``.

    A matrix that isn't used otherwise is kept transposed under its name; one that is a transposed weight itself,
    as in ``x @ w.T``, is used as it is.
    """
    by_matrix: dict[torch.fx.Node, list[torch.fx.Node]] = defaultdict(list)
    for node in graph.graph.nodes:
        if node.target in (aten.mm.default, aten.matmul.default, aten.addmm.default) and _is_linear(graph, node):
            by_matrix[_factors(node)[1]].append(node)
    for matrix, products in by_matrix.items():
        weight = _transposed(graph, matrix, products)
        for node in products:
            _replace(graph, node, weight)


def _factors(node: torch.fx.Node) -> tuple[torch.fx.Node, torch.fx.Node]:
    return node.args[-2:]


def _is_linear(graph: torch.fx.GraphModule, node: torch.fx.Node) -> bool:
    """Whether it multiplies what comes by a constant matrix, and adds a constant for each output or nothing."""
    inputs, matrix = _factors(node)
    weight = matrix.args[0] if _is_transposition(matrix) else matrix
    bias = node.args[0] if node.target is aten.addmm.default else None
    return (
        not node.kwargs
        and not is_constant(inputs)
        and is_constant(weight)
        and constant_of(graph, weight).dim() == 2
        and (bias is None or _is_bias(graph, bias, node))
    )


def _is_transposition(node: torch.fx.Node) -> bool:
    """Of a matrix."""
    if node.target is aten.permute.default:
        return [axis % 2 for axis in node.args[1]] == [1, 0]
    return node.target in _TRANSPOSITIONS or (
        node.target is aten.transpose.int and {axis % 2 for axis in node.args[1:]} == {0, 1}
    )


def _is_bias(graph: torch.fx.GraphModule, node: object, product: torch.fx.Node) -> bool:
    return is_constant(node) and constant_of(graph, node).shape == product.meta["val"].shape[-1:]


def _transposed(graph: torch.fx.GraphModule, matrix: torch.fx.Node, products: list[torch.fx.Node]) -> torch.fx.Node:
    if _is_transposition(matrix):
        return matrix.args[0]
    values = constant_of(graph, matrix).t()
    if set(matrix.users) <= set(products):
        keep_constant(graph, matrix.target, values)
        return matrix
    name = unused_name(graph, f"{matrix.target}_transposed")
    keep_constant(graph, name, values)
    with graph.graph.inserting_before(products[0]):
        return graph.graph.get_attr(name)


def _replace(graph: torch.fx.GraphModule, node: torch.fx.Node, weight: torch.fx.Node) -> None:
    inputs, last, bias = _factors(node)[0], node, None
    if node.target is aten.addmm.default:
        bias = node.args[0]
    elif total := _sum_with_bias(graph, node):
        last, bias = total, next(arg for arg in total.args if arg is not node)
    with graph.graph.inserting_before(node):
        linear = graph.graph.call_function(aten.linear.default, (inputs, weight, bias))
    linear.meta = {**node.meta, "torch_fn": (linear.name, "builtin_function_or_method.linear")}
    last.replace_all_uses_with(linear)
    graph.graph.erase_node(last)
    if last is not node:
        graph.graph.erase_node(node)


def _sum_with_bias(graph: torch.fx.GraphModule, node: torch.fx.Node) -> torch.fx.Node | None:
    """The sum of a product and one constant for each output, where nothing else uses the product."""
    user = next(iter(node.users), None)
    if len(node.users) != 1 or user.target is not aten.add.Tensor or user.kwargs:
        return None
    other = [arg for arg in user.args if arg is not node]
    return user if other and _is_bias(graph, other[0], node) else None

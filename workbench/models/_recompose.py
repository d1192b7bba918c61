"""Operations that decompositions leave of others, as those others: what techniques and engines know.

``ExportedProgram.run_decompositions`` writes a program in torch's core operators
(https://docs.pytorch.org/docs/stable/torch.compiler_ir.html): a linear layer becomes transpositions, views and a matrix
product.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import fx

from workbench.graph import layer_of
from workbench.models._relayer import arguments_of

aten = torch.ops.aten

_CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default)
_TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input)
_PRODUCTS = (aten.addmm.default, aten.mm.default, aten.bmm.default)
_RESHAPING = (aten.view.default, aten.expand.default)


def recompose(program: torch.export.ExportedProgram) -> None:
    """Write decomposed operations of ``program`` whole again, in place; what isn't known stays."""
    graph = program.graph_module.graph
    for node in graph.nodes:
        if node.target in _WHOLE:
            result = _only_result(node)
            if result is not None:
                result.target, result.args, result.kwargs = *_WHOLE[node.target](**arguments_of(node)), {}
        elif node.target in _PRODUCTS:
            _as_linear(node)
    graph.eliminate_dead_code()
    for node in graph.find_nodes(op="call_function", target=aten.view.default):
        _as_flattening(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()


def _only_result(node: fx.Node) -> fx.Node | None:
    """What is used of an operation: itself, or the first of its results; None where it is another."""
    if len(node.target._schema.returns) == 1:
        return node
    users = [user for user in node.users if user.users]
    first = len(users) == 1 and users[0].target is operator.getitem and users[0].args[1] == 0
    return users[0] if first else None


def _convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    dimensions = len(stride)
    if transposed:
        settings = (stride, padding, output_padding, groups, dilation)
        return _TRANSPOSED[dimensions - 1], (input, weight, bias, *settings)
    return _CONVOLUTIONS[dimensions - 1], (input, weight, bias, stride, padding, dilation, groups)


def _batch_norm(input, weight, bias, running_mean, running_var, momentum, eps):
    return aten.batch_norm.default, (input, weight, bias, running_mean, running_var, False, momentum, eps, True)


_WHOLE: dict[Callable, Callable] = {
    aten.convolution.default: _convolution,
    aten._native_batch_norm_legit_no_training.default: _batch_norm,
    aten.native_layer_norm.default: lambda input, normalized_shape, weight, bias, eps: (
        aten.layer_norm.default,
        (input, normalized_shape, weight, bias, eps),
    ),
    aten.native_group_norm.default: lambda input, weight, bias, N, C, HxW, group, eps: (
        aten.group_norm.default,
        (input, group, weight, bias, eps),
    ),
    aten.max_pool2d_with_indices.default: lambda **settings: (aten.max_pool2d.default, tuple(settings.values())),
    aten._softmax.default: lambda self, dim, half_to_float: (aten.softmax.int, (self, dim)),
    aten._log_softmax.default: lambda self, dim, half_to_float: (aten.log_softmax.int, (self, dim)),
}
"""By operation, what makes the whole one and its arguments of its own."""


def _as_linear(product: fx.Node) -> None:
    """Make a product with a transposed parameter, with the views around it, one linear call."""
    *bias, left, right = product.args
    weight = _transposed_parameter(_views(right, product)[-1])
    if weight is None:
        return
    for inputs in reversed(_views(left, product)):
        for result in (_view_of(product), product):
            if list(result.meta["val"].shape) == [*inputs.meta["val"].shape[:-1], _size(weight)]:
                if not bias and (total := _sum_with_bias(result, _size(weight))):
                    result, bias = total
                result.target, result.args, result.kwargs = aten.linear.default, (inputs, weight, *bias), {}
                return


def _views(node: fx.Node, within: fx.Node) -> list[fx.Node]:
    """A node, what it is a view of, and so on, as far as the module goes that makes ``within``."""
    found = [node]
    while node.target in _RESHAPING and layer_of(node) == layer_of(within):
        node = node.args[0]
        found.append(node)
    return found


def _view_of(product: fx.Node) -> fx.Node:
    """The view that its module makes of a product, which isn't used otherwise; else the product."""
    users = list(product.users)
    one = len(users) == 1 and users[0].target is aten.view.default and layer_of(users[0]) == layer_of(product)
    return users[0] if one else product


def _transposed_parameter(node: fx.Node) -> fx.Node | None:
    """The matrix that a node transposes, if it is a parameter or constant."""
    if node.target is not aten.permute.default or node.args[1] != [1, 0] or node.args[0].op != "placeholder":
        return None
    return node.args[0]


def _sum_with_bias(product: fx.Node, size: int) -> tuple[fx.Node, list[fx.Node]] | None:
    """The sum of a product that isn't used otherwise and one number for each output, and these."""
    for user in product.users if len(product.users) == 1 else ():
        if user.target is aten.add.Tensor and user.args[0] is product and not user.kwargs:
            bias = user.args[1]
            if isinstance(bias, fx.Node) and bias.op == "placeholder" and list(bias.meta["val"].shape) == [size]:
                return user, [bias]
    return None


def _as_flattening(view: fx.Node) -> None:
    """Have a view that joins all last dimensions say so: it holds for any number of channels."""
    before, after = (list(node.meta["val"].shape) for node in (view.args[0], view))
    kept = len(after) - 1
    if len(before) > len(after) and before[:kept] == after[:kept]:
        view.target, view.args = aten.flatten.using_ints, (view.args[0], kept)


def _size(weight: fx.Node) -> int:
    return weight.meta["val"].shape[0]

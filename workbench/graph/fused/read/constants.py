"""Constants are computed once, when a model is read; those of the batch's size for one example, as all are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.graph import dequantize_groups, unpacked_groups
from workbench.graph.fused.nodes import (
    arguments_of,
    begins_with_batch,
    counts_examples,
    is_overload,
    is_repeatable,
    is_symbolic_number,
    operator_of,
    sizes_with_batch,
    traced,
    unknown,
)
from workbench.graph.fused.read.ranges import QuantizedTransposed, QuantizedWeight
from workbench.graph.fused.read.sequence import live
from workbench.graph.fused.read.views import BATCH
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

_RESHAPING = {
    "aten.expand.default", "aten.view.default", "aten.reshape.default", "aten.unsqueeze.default", "aten.squeeze.dim",
    "aten.squeeze.dims", "aten.clone.default", "aten.contiguous.default", "aten.alias.default",
}  # fmt: skip
SIZES_ALONE = {
    "aten.zeros_like.default": 0, "aten.ones_like.default": 0, "aten.full_like.default": 0,
    "aten.new_zeros.default": 0, "aten.new_ones.default": 0, "aten.new_full.default": 0, "aten.expand_as.default": 1,
}  # fmt: skip
"""Operators that ask this one of their arguments for its sizes and dtype, and never for its values."""
_TREATS_EXAMPLES_ALIKE = {
    *SIZES_ALONE, *_RESHAPING, "aten.zeros.default", "aten.ones.default", "aten.full.default", "aten.repeat.default",
    "aten.flatten.using_ints", "aten.unflatten.int", "aten.transpose.int", "aten.permute.default", "aten.select.int",
    "aten.slice.Tensor", "aten.cat.default", "aten.embedding.default", "aten.to.dtype", "aten.to.dtype_layout",
    "aten.to.device", "aten.detach.default", "aten.dropout.default", "aten.__and__.Tensor", "aten.__or__.Tensor",
}  # fmt: skip
"""Beside those that torch calls pointwise: what is the same for every example stays so, whatever the batch."""
_ALONG_ONE = ("aten.cumsum.default", "aten.diff.default")
"""So do these along any dimension but the first."""


class ConstantOps:
    """The part of the reader that knows constants."""

    def _folded(self, node: torch.fx.Node) -> Any:
        """An operation on constants alone is done now; int8 weights keep their bytes."""
        if not is_repeatable(node):
            raise unknown(node)
        args, kwargs = self._arguments(node.args), self._arguments(node.kwargs)
        if weight := _quantized(node, args):
            return weight
        if not is_overload(node):
            return node.target(*args, **kwargs)
        if any(isinstance(argument, (QuantizedWeight, QuantizedTransposed)) for argument in args):
            raise unknown(node, "of int8 weights")
        return self._for_one_example(node)

    def _for_one_example(self, node: torch.fx.Node) -> Any:
        sizes = self._sizes_for_one(traced(node))
        of_batch = self._has_batch(node) or any(map(self._has_batch, node.all_input_nodes))
        if of_batch and (sizes is None or not self._treats_examples_alike(node)):
            raise unknown(node, "of the batch's size")
        args, kwargs = torch.fx.node.map_arg((node.args, dict(node.kwargs)), self._value_for_one)
        made = node.target(*args, **kwargs)
        if sizes is not None and tuple(made.shape) != sizes:
            raise unknown(node, "that differs from one batch size to another")
        return made

    def _treats_examples_alike(self, node: torch.fx.Node) -> bool:
        """Whether what it gives is the same for every example, or is the number of each, which are looked after."""
        name = operator_of(node)
        numbers = self.numbers.intersection(node.all_input_nodes)
        if counts_examples(node, self.batch) or (numbers and name in _RESHAPING):
            self.numbers.add(node)
            return True
        if name == "aten.index.Tensor":
            own, *others = node.args[1]
            alike = begins_with_batch(node.args[0], self.batch) and not any(map(self._has_batch, filter(None, others)))
            return own in numbers and len(numbers) == 1 and alike
        if name in _ALONG_ONE:
            return not numbers and arguments_of(node)["dim"] % traced(node).dim() > 0
        return not numbers and (torch.Tag.pointwise in node.target.tags or name in _TREATS_EXAMPLES_ALIKE)

    def _value_for_one(self, node: torch.fx.Node) -> Any:
        """What a node stands for where the batch is a single example."""
        value = self._value_of(node)
        if is_symbolic_number(node) and value % BATCH == 0:
            return value // BATCH
        if live(value):
            sizes = self._sizes_for_one(traced(node))
            return torch.empty((), dtype=traced(node).dtype).expand(sizes)
        return value

    def _has_batch(self, node: torch.fx.Node) -> bool:
        """Whether a tensor that it makes has the batch among its sizes."""
        value = traced(node)
        made = value if isinstance(value, (tuple, list)) else [value]
        return any(isinstance(size, torch.SymInt) for each in made for size in getattr(each, "shape", ()))

    def _sizes_for_one(self, value: Any) -> tuple[int, ...] | None:
        """The sizes of an exported tensor for one example; ``None`` where the batch isn't just one of them."""
        if not isinstance(value, torch.Tensor):
            return None
        batches = [size for size in value.shape if isinstance(size, torch.SymInt)]
        plain = len(batches) <= 1 and all(size.node.expr == self.batch for size in batches)
        return sizes_with_batch(value, self.batch, 1) if plain else None


def _quantized(node: torch.fx.Node, args: tuple) -> QuantizedWeight | QuantizedTransposed | None:
    """The weights in whole numbers that a dequantization gives of constants; ``None`` where it is another operation."""
    if operator_of(node) == "quantized_decomposed.dequantize_per_channel.default":
        values, steps, zero_points, axis = args[:4]
        if axis in (0, 1) and values.dtype == torch.int8 and not (zero_points is not None and zero_points.any()):
            return (QuantizedWeight, QuantizedTransposed)[axis](values, steps.float())
    if operator_of(node) is dequantize_groups:
        packed, steps, bits, group_size, inputs = args
        values = unpacked_groups(packed, bits, group_size).flatten(1)[:, :inputs]
        return QuantizedWeight(values, steps.float(), bits, group_size)
    return None

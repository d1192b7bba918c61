"""The exported graph: the one form in which techniques and engines meet."""

from __future__ import annotations

import contextlib
import io
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import EngineError
from workbench.graph.packed import dequantize_floats, dequantize_groups, packed_bytes, packed_groups, unpacked_groups
from workbench.graph.whole_layers import known_by_one_step
from workbench.plumbing.lazy import lazy
from workbench.plumbing.quiet import quiet
from workbench.workload import Data, Inputs, free_of

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")

__all__ = [
    "dequantize_floats",
    "dequantize_groups",
    "export",
    "layer_of",
    "packed_bytes",
    "packed_groups",
    "unpacked_groups",
]

_OPERATION = re.compile(r"torch\.ops\.aten\.(\w+)")
_FIXED_BATCH = re.compile(r"Constraints violated \(batch\).*?specialized it to be a constant", re.DOTALL)
_CONDITION = re.compile(r"Not all values of batch .*? satisfy the generated guard (.*?)\.?$", re.MULTILINE)
_BATCH_SIZE = re.compile(r"L\['\w+'\](\[\d+\])?\.size\(\)\[0\]")
_FEWEST_EXPORTED, _UNBOUNDED = 2, 2**40
_NOT_THE_MODEL = ("torch", "workbench", "<frozen", "<eval_with_key>")
"""Path parts of frames between us and the model's forward."""


def export(
    module: torch.nn.Module, example: Inputs | torch.Tensor, *, fixed_batch: bool = False
) -> torch.export.ExportedProgram:
    """Export ``module`` for inputs like ``example``: [batch, …] of any dtype; a lone tensor is one.

    The batch is a free dimension, the same of all, unless ``fixed_batch``: engines that specialise ask for that. So are
    those along which the example says that others vary.

    Raises
    ------
    EngineError
        Naming the operation and the line of the model that can't be exported, or saying that its forward goes by the
        size of the batch: a graph holds one of the ways it may take.
    """
    inputs = Data(example).inputs
    free = free_of(inputs)
    example = tuple(each.clone() for each in inputs)  # one tensor given twice would be one input
    if not fixed_batch and len(example[0]) < _FEWEST_EXPORTED:  # export takes 0 and 1 for constants
        example = tuple(each.expand(2, *each.shape[1:]).contiguous() for each in example)
    shapes = None if fixed_batch else _free_sizes(module, example, free)
    try:
        with (
            quiet("torch.fx.experimental.symbolic_shapes"),
            contextlib.redirect_stderr(io.StringIO()),  # torch prints the graph so far where it fails
            known_by_one_step(),
        ):
            return torch.export.export(module, example, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises many unrelated kinds
        if condition := _CONDITION.search(str(error)):
            holds = _BATCH_SIZE.sub("n", condition[1]).removesuffix(f" and n <= {_UNBOUNDED}")
            raise EngineError(
                f"the model's forward goes one way where {holds} for n examples at a time "
                "and another elsewhere, and a graph holds one way; the eager engine still runs it"
            ) from error
        raise EngineError(f"the model can't be exported: {_culprit(error)}; the eager engine still runs it") from error


def _free_sizes(module: torch.nn.Module, example: Inputs, free: Iterable[tuple[int, ...]]) -> Any:
    """The first dimension of every input, as one size that isn't known; and its ``free`` ones."""
    shapes = torch.export.ShapesCollection()
    batch = torch.export.Dim("batch", max=_UNBOUNDED)
    for each, dims in zip(example, free, strict=True):
        shapes[each] = {0: batch, **dict.fromkeys(dims, torch.export.Dim.DYNAMIC)}
    return shapes.dynamic_shapes(module, example)


def _culprit(error: Exception) -> str:
    """What an export error says first, the operation it came at, and the line of the model's code that led there."""
    if _FIXED_BATCH.search(str(error)):
        return "its forward takes the batch size for a fixed number (len(x), int(x.shape[0]), a loop); use x.shape[0]"
    first = (str(error).strip() or type(error).__name__).splitlines()[0].partition(" (unhinted")[0].strip()
    operations = _OPERATION.findall(getattr(error, "partial_fx_graph", None) or "")  # torch's text of the graph so far
    if operations:
        first += f" at aten.{operations[-1]}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(part in _NOT_THE_MODEL for part in Path(frame.filename).parts)
    ]
    if not own:
        return first
    code = f": {own[-1].line}" if own[-1].line else ""  # a class from a notebook cell has no source here
    return f"{first} ({Path(own[-1].filename).name}, line {own[-1].lineno}{code})"


def layer_of(node: torch.fx.Node) -> str | None:
    """The qualified name of the module whose forward made this node ("features.0"); None outside any."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path = list(stack.values())[-1][0]
    return path.removeprefix("L['self'].").removeprefix("L__self___") or None

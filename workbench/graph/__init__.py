"""The exported graph: the one form in which techniques and engines meet."""

from __future__ import annotations

import re
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import EngineError
from workbench.plumbing.lazy import lazy
from workbench.plumbing.quiet import quiet

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


_OPERATION = re.compile(r"torch\.ops\.aten\.(\w+)")
_FIXED_BATCH = re.compile(r"Constraints violated \(L\[.*?\]\.size\(\)\[0\]\)")
_BATCH_SIZE = re.compile(r"L\['\w+'\]\.size\(\)\[0\]")
_FEWEST_EXPORTED, _UNBOUNDED = 2, 2**40
_NOT_THE_MODEL = ("torch", "workbench", "<frozen", "<eval_with_key>")
"""Path parts of frames between us and the model's forward."""


def export(
    module: torch.nn.Module, example: torch.Tensor, *, fixed_batch: bool = False
) -> torch.export.ExportedProgram:
    """Export ``module`` for inputs like ``example`` (float32 [batch, …]).

    The batch is a free dimension unless ``fixed_batch``: engines that specialise ask for that.

    Raises
    ------
    EngineError
        Naming the operation and the line of the model that can't be exported, or saying that its forward goes by the
        size of the batch: a graph holds one of the ways it may take.
    """
    if not fixed_batch and example.shape[0] < _FEWEST_EXPORTED:  # export takes 0 and 1 for constants
        example = example.expand(2, *example.shape[1:]).contiguous()
    shapes = None if fixed_batch else (({0: torch.export.Dim.DYNAMIC}),)
    try:
        with warnings.catch_warnings(), quiet("torch.fx.experimental.symbolic_shapes"):
            warnings.simplefilter("ignore")
            exported = torch.export.export(module, (example,), dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises many unrelated kinds
        raise EngineError(f"the model can't be exported: {_culprit(error)}; the eager engine still runs it") from error
    if not fixed_batch and (condition := _condition_on_batch(exported)):
        raise EngineError(
            f"the model's forward goes one way where {condition} for n examples at a time and another elsewhere, and a "
            "graph holds one way; the eager engine still runs it"
        )
    return exported


def _condition_on_batch(exported: torch.export.ExportedProgram) -> str:
    """What the batch size n has to be for the exported way through the model; "" where any will do."""
    guards = [guard for guard in getattr(exported, "_guards_code", []) if _BATCH_SIZE.search(guard)]
    if guards:
        return _BATCH_SIZE.sub("n", guards[0])
    for node in exported.graph.nodes:
        batch = node.meta["val"].shape[0] if node.name in exported.graph_signature.user_inputs else None
        bounds = exported.range_constraints.get(batch.node.expr) if isinstance(batch, torch.SymInt) else None
        if bounds and (bounds.lower > _FEWEST_EXPORTED or bounds.upper < _UNBOUNDED):
            return f"{bounds.lower} <= n <= {bounds.upper}"
    return ""


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


def dequantize_groups(packed: torch.Tensor, scales: torch.Tensor, group_size: int, inputs: int) -> torch.Tensor:
    """Weights float32 [outputs, inputs] from four bits each: a function that graphs call.

    ``packed`` is uint8 [outputs, groups, ⌈group size / 2⌉], as :func:`unpacked_groups` reads it; ``scales`` is float32
    [outputs, groups].
    """
    weights = unpacked_groups(packed, group_size).float() * scales.unsqueeze(-1)
    return weights.flatten(1)[:, :inputs]


def unpacked_groups(packed: torch.Tensor, group_size: int) -> torch.Tensor:
    """Int8 [outputs, groups, group size] from bytes that hold a weight plus 8 in each half, the first in the lower."""
    halves = torch.stack((packed & 15, packed >> 4), -1).flatten(2)
    return halves[..., :group_size].to(torch.int8) - 8


def layer_of(node: torch.fx.Node) -> str | None:
    """The qualified name of the module whose forward made this node ("features.0"); None outside any."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return None
    path = list(stack.values())[-1][0]
    return path.removeprefix("L['self'].").removeprefix("L__self___") or None

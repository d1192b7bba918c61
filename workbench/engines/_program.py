"""A variant as an exported program: what engines compile and what people take away."""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.engines._base import PT2
from workbench.graph import export
from workbench.graph.plain import in_plain_operations
from workbench.graph.quantized import few_bits
from workbench.plumbing.lazy import lazy
from workbench.workload import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

_OF_THIS_MACHINE = ("stack_trace", "from_node", "torch_fn", "custom")
"""What an exported node tells of how it came about: paths and lines of code here, longer than small models."""

_memory: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_lock = threading.RLock()


def executed(variant: Variant) -> torch.nn.Module:
    """The module that says what the variant computes: its QDQ graph, its cast to other floats, or its module."""
    if variant.graph is not None:
        return variant.graph
    return _cast(variant.module, getattr(torch, variant.formats.cast)) if variant.formats.cast else variant.module


def _cast(module: torch.nn.Module, floats: torch.dtype) -> torch.nn.Module:
    """A copy of ``module`` in other floats that still takes and returns float32; other inputs go in as they are."""

    class Cast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = in_floats(module, floats)

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            return self.model(*as_floats(inputs, floats)).to(torch.float32)

    return Cast().eval()


def in_floats(module: torch.nn.Module, floats: torch.dtype) -> torch.nn.Module:
    """A copy of ``module`` that keeps its parameters in other floats, and whose layers take floats as these.

    A forward may make floats of its own, from whole numbers say, which then are float32.
    """
    import copy

    copied = copy.deepcopy(module).to(floats)
    for layer in copied.modules():
        if any(parameter.is_floating_point() for parameter in layer.parameters(recurse=False)):
            layer.register_forward_pre_hook(lambda _, *given: as_floats(given, floats), with_kwargs=True)
    return copied


def as_floats(given: Any, floats: torch.dtype) -> Any:
    """What a module is given, its tensors of floats in others; whole numbers as they are."""

    def converted(each: Any) -> Any:
        takes = isinstance(each, torch.Tensor) and each.is_floating_point() and each.dtype is not floats
        return each.to(floats) if takes else each

    return torch.utils._pytree.tree_map(converted, given)


def remembered(variant: Variant, key: tuple, make: Callable[[], Any]) -> Any:
    """``make()``, kept as long as the variant's model lives and its weights aren't written to."""
    model = variant.graph if variant.graph is not None else variant.module
    key = (*key, variant.precision, *((p.data_ptr(), p._version) for p in model.state_dict().values()))
    with _lock:
        known = _memory.setdefault(model, {})
        if key not in known:
            known[key] = make()
        return known[key]


def save_program(variant: Variant, example: Inputs, directory: str | Path) -> Path:
    """Write ``model.pt2``, which ``torch.export.load`` reads without this package. Returns its path.

    It takes any batch size, stores weights in the bits they have, and holds two of the ``example`` inputs.

    Raises
    ------
    EngineError
        When the model can't be exported.
    """
    path = Path(directory) / PT2.name
    graph = variant.graph
    module = executed(variant) if graph is None else in_plain_operations(graph, few_bits(variant))
    program = export(module, rows(example, slice(2)))
    for node in program.graph.nodes:
        for told in _OF_THIS_MACHINE:
            node.meta.pop(told, None)
    torch.export.save(program, path)
    return path

"""A model of any signature as one that takes its tensors one by one and gives the one that counts."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from workbench.workload import AUTO, Inputs, is_auto

OUTPUT_NAMES = "output_names"
"""In a module's ``meta``: what a file calls the outputs that the module gives as a tuple, or its only one."""


def numbered(module: torch.nn.Module, output: Any) -> Any:
    """Which output counts, where the module comes from a file that has names for them: by its number.

    With "auto" that is "logits", where one is called so.
    """
    names = getattr(module, "meta", {}).get(OUTPUT_NAMES, ())
    wanted = "logits" if is_auto(output) else output
    if not isinstance(wanted, str) or wanted not in names:
        return output
    return names.index(wanted) if len(names) > 1 else AUTO


@dataclass(frozen=True)
class Calling:
    """How a module is called, and what of its output counts.

    ``names`` are the keywords of its inputs, empty where it takes them by position; ``pairs``: it embeds each of two
    inputs, or both halves of named inputs [batch, 2, …], and gives [batch, 2, …]. ``output`` is a key, an attribute, a
    number or a function of the output, or "auto".
    """

    names: tuple[str, ...] = ()
    pairs: bool = False
    output: Any = AUTO

    def outputs(self, forward: Callable[..., Any], inputs: Inputs) -> torch.Tensor:
        """What counts of ``forward``'s output."""
        if not self.pairs:
            return self._counting(forward, inputs)
        pairs = [(each[:, 0], each[:, 1]) for each in inputs] if self.names else [inputs]
        both = self._counting(forward, [torch.cat(pair) for pair in pairs])
        return both.unflatten(0, (2, -1)).transpose(0, 1)

    def _counting(self, forward: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> torch.Tensor:
        raw = forward(**dict(zip(self.names, inputs, strict=True))) if self.names else forward(*inputs)
        return picked(raw, self.output)


def picked(outputs: Any, output: Any = AUTO) -> Any:
    """The part of a model's output that counts.

    With "auto" a tensor itself, else ``.logits`` (or the key "logits"), else the first of floats, else the first.
    What there is no tensor in is given back as it is.
    """
    if callable(output):
        return output(outputs)
    if not is_auto(output):
        if isinstance(outputs, Mapping) or isinstance(output, int):
            return outputs[output]
        return getattr(outputs, output)
    if isinstance(outputs, torch.Tensor):
        return outputs
    logits = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    if logits is not None:
        return logits
    parts = outputs.values() if isinstance(outputs, Mapping) else outputs if isinstance(outputs, tuple | list) else ()
    if not parts and hasattr(outputs, "__dataclass_fields__"):
        parts = [getattr(outputs, name) for name in outputs.__dataclass_fields__]
    tensors = [part for part in parts if isinstance(part, torch.Tensor)]
    floats = [part for part in tensors if part.is_floating_point()]
    return (floats or tensors or [outputs])[0]


def adapted(module: torch.nn.Module, calling: Calling, count: int) -> torch.nn.Module:
    """The module, sharing its weights, with a forward that takes ``count`` tensors and gives the one that counts.

    Its layers and weights keep their names: its class becomes a subclass of its own. A graph module, which makes its
    class anew whenever it is copied, is put into another module instead.
    """
    if isinstance(module, torch.fx.GraphModule):
        around = _Around(module)
        around.__class__ = _kind(_Around, lambda self, *args, **kwargs: self.model(*args, **kwargs), calling, count)
        return around
    kind = type(module)
    called = copy.copy(module)
    called.__class__ = _kind(kind, kind.forward, calling, count)
    return called


def with_parameters(kind: type, forward: Callable[..., Any], names: Sequence[str]) -> type:
    """A subclass of a module's class with this forward of ``*inputs``, as one of the parameters ``names``.

    Exporting a module with a free batch asks for them.
    """

    def named(self: torch.nn.Module, *inputs: torch.Tensor, **others: torch.Tensor) -> Any:
        return forward(self, *inputs, *(others[name] for name in names[len(inputs) :]))

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *names)]
    named.__signature__ = inspect.Signature(parameters)
    own = {"forward": named, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), own)


def _kind(base: type, inner: Callable[..., Any], calling: Calling, count: int) -> type:
    def forward(self: torch.nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
        return calling.outputs(lambda *args, **kwargs: inner(self, *args, **kwargs), inputs)

    return with_parameters(base, forward, calling.names or [f"input_{index}" for index in range(count)])


class _Around(torch.nn.Module):
    """Holds a module that can't be given another forward."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

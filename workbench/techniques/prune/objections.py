"""Why layers keep their channels, as far as the model itself shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial

import torch

from workbench.errors import WorkbenchError
from workbench.plumbing.words import one_line
from workbench.workload import Inputs, rows

LAYERS = (torch.nn.Linear, torch.nn.modules.conv._ConvNd)
"""The layers that are narrowed, and others with them."""

NOT_FOLLOWED = "its channels can't be followed through what the model does with them"
_WRITTEN = "its number of channels is written into the model's forward"
_BATCHES = (1, 2, 5)


def tied(module: torch.nn.Module) -> dict[str, str]:
    """For each layer that has a weight in common with another: that it has."""
    owners: dict[torch.nn.Parameter, list[str]] = {}
    for name, layer in module.named_modules():
        for weight in layer.parameters(recurse=False):
            owners.setdefault(weight, []).append(name)
    groups = [layers for layers in owners.values() if len(layers) > 1]
    reason = "have one weight in common, which stays as it is"
    return {layer: f"{_and(layers)} {reason}" for layers in groups for layer in layers}


def _and(layers: list[str]) -> str:
    return " and ".join(repr(name or "the model") for name in layers)


def beside(module: torch.nn.Module, followed: Collection[object], examples: Inputs) -> dict[str, str]:
    """Why linear and convolution layers were met nowhere between the model's inputs and outputs."""
    met = {part for layer in module.modules() if layer in followed for part in layer.modules()}
    left = {name: layer for name, layer in module.named_modules() if isinstance(layer, LAYERS) and layer not in met}
    if not left:
        return {}
    with torch.enable_grad(), _calls(module) as calls:
        weights = _weights_behind(module(*examples))
    used = {name for name, layer in left.items() if name in calls.begun or weights & set(layer.parameters())}
    return {name: NOT_FOLLOWED if name in used else "the model doesn't use this layer" for name in left}


@torch.no_grad()
def shapes(module: torch.nn.Module, examples: Inputs) -> dict[int, torch.Size]:
    """The shape of the outputs for batches of several sizes.

    Raises
    ------
    WorkbenchError
        The module doesn't take one of them.
    """
    try:
        return {batch: module(*rows(examples, slice(batch))).shape for batch in _BATCHES}
    except Exception as error:  # a forward may raise anything
        raise WorkbenchError(
            f"the model fails on one of the batch sizes {', '.join(map(str, _BATCHES))}: {one_line(error)}; pruning "
            "channels tries them all"
        ) from error


@torch.no_grad()
def failure(
    smaller: torch.nn.Module, examples: Inputs, wanted: dict[int, torch.Size], touched: Collection[str]
) -> str | None:
    """Why ``smaller``, whose layers ``touched`` have lost channels, gives no outputs of the shapes wanted."""
    with _calls(smaller) as calls:
        for batch, shape in wanted.items():
            try:
                given = smaller(*rows(examples, slice(batch)))
            except Exception:  # as above
                return _told(smaller, calls.open[-1], touched)
            if given.shape != shape:
                return _WRITTEN
    return None


def _told(module: torch.nn.Module, name: str, touched: Collection[str]) -> str:
    """Why the call of the layer ``name`` fails."""
    layer = module.get_submodule(name)
    if name in touched or isinstance(layer, LAYERS):
        return NOT_FOLLOWED
    if name and type(layer).__module__.startswith("torch.nn."):
        return f"{name!r} ({type(layer).__name__}) takes the number of channels it has"
    return _WRITTEN


class _Calls:
    """Names of the layers whose call has begun, and of those that haven't come back from it."""

    def __init__(self) -> None:
        self.begun: set[str] = set()
        self.open: list[str] = []

    def begin(self, name: str, *_) -> None:
        self.begun.add(name)
        self.open.append(name)

    def end(self, name: str, *_) -> None:
        while self.open.pop() != name:  # a forward may get over a failure further in
            pass


@contextmanager
def _calls(module: torch.nn.Module) -> Iterator[_Calls]:
    """Watch which layers of ``module`` are called."""
    calls = _Calls()
    hooks = []
    for name, layer in module.named_modules():
        hooks.append(layer.register_forward_pre_hook(partial(calls.begin, name)))
        hooks.append(layer.register_forward_hook(partial(calls.end, name)))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _weights_behind(outputs: torch.Tensor) -> set[torch.Tensor]:
    """The tensors that autograd finds behind ``outputs``."""
    found, seen, left = set(), set(), [outputs.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        left += [before for before, _ in node.next_functions]
    return found

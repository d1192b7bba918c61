"""In whose forward the parameters of each layer are used: an attention computes with its ``out_proj``'s itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.measure.tensors import MODEL
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")


def used_in(module: torch.nn.Module, inputs: Inputs) -> dict[str, list[str]]:
    """Layer → the layers in whose forward its parameters are used: itself where it is called; watched in one call.

    A layer that the model doesn't use isn't there. ``inputs`` are each [batch, …].
    """
    owners = _owners_by_storage(module)
    found: dict[str, list[str]] = {}

    class Watch(dispatch_mode()):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            options = options or {}
            for value in torch.utils._pytree.tree_leaves((arguments, options)):
                if isinstance(value, torch.Tensor):
                    for layer in _meant(owners.get(value.untyped_storage().data_ptr(), ()), inside[-1]):
                        if inside[-1] not in found.setdefault(layer, []):
                            found[layer].append(inside[-1])
            return function(*arguments, **options)

    layers = {name for name, _ in module.named_modules() if name}
    with entered(module, layers) as inside, torch.no_grad(), Watch():
        module(*inputs)
    return found


@contextmanager
def entered(module: torch.nn.Module, layers: Collection[str]) -> Iterator[list[str]]:
    """Of ``layers`` those whose forward is under way at any moment, the innermost last; at first the model alone."""
    inside, handles = [MODEL], []
    try:
        for name, layer in module.named_modules():
            if name in layers:
                handles.append(layer.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
                handles.append(layer.register_forward_hook(lambda *_: (inside.pop(), None)[1]))
        yield inside
    finally:
        for handle in handles:
            handle.remove()


def _owners_by_storage(module: torch.nn.Module) -> dict[int, list[str]]:
    owners: dict[int, list[str]] = defaultdict(list)
    for name, layer in module.named_modules():
        for tensor in (*layer.parameters(recurse=False), *layer.buffers(recurse=False)):
            if tensor.numel():
                owners[tensor.untyped_storage().data_ptr()].append(name or MODEL)
    return owners


def _meant(owners, caller: str):
    """Of the layers that share a tensor, the one that uses it itself, where that is one of them."""
    return (caller,) if caller in owners else owners


def dispatch_mode() -> type:
    """What a class that sees every operation inherits from; torch is imported when it is asked for."""
    from torch.utils._python_dispatch import TorchDispatchMode

    return TorchDispatchMode

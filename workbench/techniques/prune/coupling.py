"""Whether channels that are said to belong together really do."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from workbench.techniques._training import seeded
from workbench.techniques.prune.pruners import gates_of, takes_state
from workbench.workload import Inputs

_Conv, _ConvTransposed = torch.nn.modules.conv._ConvNd, torch.nn.modules.conv._ConvTransposeNd


@dataclass(frozen=True)
class Member:
    """Where a group's channels are in one layer or parameter: channel ``c`` is at ``positions[c]``.

    ``takes`` tells a layer's inputs from its outputs. A channel has several positions after a flattening or where it is
    taken twice.
    """

    name: str
    takes: bool
    positions: tuple[tuple[int, ...], ...]


def coupled(module: torch.nn.Module, groups: Sequence[Sequence[Member]], inputs: Inputs) -> bool:
    """Whether ``module`` computes the same when the channels of each group change places in all of its members.

    It does where the members are all that these channels pass through, whatever else is done with them. Where a layer
    takes other channels than is thought, or something counts them off, it doesn't.
    """
    for dtype in (torch.float64, torch.float32):  # a forward may insist on floats of its own
        twin = _stirred(module).to(dtype)
        try:
            with torch.no_grad():
                before = twin(*_floats(inputs, dtype))
                for members in groups:
                    _shuffle(twin, members)
                after = twin(*_floats(inputs, dtype))
        except (RuntimeError, ValueError, TypeError, IndexError):
            continue
        # Sums of the same numbers in another order differ by some eps, other numbers by far more.
        most = torch.finfo(dtype).eps ** (2 / 3) * float(before.nan_to_num(0, 0, 0).abs().max())
        return torch.allclose(after, before, rtol=0, atol=most, equal_nan=True)
    return False


def _floats(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return tuple(each.to(dtype) if each.is_floating_point() else each for each in inputs)


@torch.no_grad()
def _stirred(module: torch.nn.Module) -> torch.nn.Module:
    """A copy with weights a little off and of the same sign: no channel is as another, and no layer without effect."""
    twin = copy.deepcopy(module)
    with seeded(0):
        for weight in twin.parameters():
            if weight.is_floating_point():
                noise = torch.rand_like(weight)
                weight.copy_(weight * (0.9 + 0.2 * noise) if weight.any() else 0.1 * noise)
    return twin


def _shuffle(module: torch.nn.Module, members: Sequence[Member]) -> None:
    order = _other_order(members)
    for member in members:
        target = [position for places in member.positions for position in places]
        source = [position for channel in order for position in member.positions[channel]]
        for tensor, dim in _parts(module, member):
            moved = torch.arange(tensor.shape[dim]).index_put((torch.tensor(target),), torch.tensor(source))
            tensor.copy_(tensor.index_select(dim, moved))


def _other_order(members: Sequence[Member]) -> list[int]:
    """The channels in an order in which each stands where one was that is in as many places of each member."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for channel, places in enumerate(zip(*(member.positions for member in members), strict=True)):
        alike.setdefault(tuple(map(len, places)), []).append(channel)
    generator = random.Random(0)
    order = list(range(len(members[0].positions)))
    for channels in alike.values():
        for channel, other in zip(channels, generator.sample(channels, len(channels)), strict=True):
            order[channel] = other
    return order


def _parts(module: torch.nn.Module, member: Member) -> list[tuple[torch.Tensor, int]]:
    """The tensors that have an entry for each channel, with the dimension it is in."""
    parent, _, name = member.name.rpartition(".")
    layer = getattr(module.get_submodule(parent), name)
    if isinstance(layer, torch.nn.Parameter):
        return [(layer, max(dim for dim, size in enumerate(layer.shape) if size > 1))]
    if isinstance(layer, torch.nn.RNNBase):
        return list(_parts_of_recurrent(layer, member.takes))
    if isinstance(layer, torch.nn.Embedding):
        return [(layer.weight, 1)]
    if isinstance(layer, torch.nn.Linear | _Conv):
        depthwise = isinstance(layer, _Conv) and layer.groups == layer.out_channels > 1
        if member.takes and not depthwise:
            return [(layer.weight, 0 if isinstance(layer, _ConvTransposed) else 1)]
        across = isinstance(layer, _ConvTransposed) and not depthwise
        return [(layer.weight, 1 if across else 0), *([] if layer.bias is None else [(layer.bias, 0)])]
    tensors = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
    return [(tensor, -1) for tensor in tensors if tensor.dim() and len(tensor) > 1]


def _parts_of_recurrent(layer: torch.nn.RNNBase, takes: bool) -> Iterator[tuple[torch.Tensor, int]]:
    for name, parameter in layer.named_parameters():
        if takes:
            if name.startswith("weight_ih_l0"):
                yield parameter, 1
            continue
        yield parameter.unflatten(0, (gates_of(layer), -1)), 1
        if takes_state(name):
            yield parameter, 1

"""Removing whole channels, and with them their share of every layer before and after. Imports torch-pruning."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch_pruning

from workbench.errors import WorkbenchError
from workbench.techniques._training import seeded

Checkpoint = Callable[[], None]


@dataclass(frozen=True)
class _Cut:
    """Channels to take from the layer ``root`` and from all layers coupled to it."""

    root: str
    layers: tuple[str, ...]
    indices: tuple[int, ...]


def narrowed(
    module: torch.nn.Module,
    example: torch.Tensor,
    amount: float,
    criterion: str,
    *,
    seed: int = 0,
    checkpoint: Checkpoint = lambda: None,
) -> tuple[torch.nn.Module, dict[str, str]]:
    """A narrower copy of ``module`` and, by layer, why a layer kept its channels.

    Layers whose channels must stay equal (a residual addition, a depthwise convolution) are cut
    together, following the dependency graph of Fang et al., "DepGraph: Towards Any Structural
    Pruning", CVPR 2023. The model's outputs are never cut.

    Parameters
    ----------
    example
        float32 [batch, …], at least one input the module takes.
    amount
        Share of each layer's channels to remove, above 0 and below 1. Rounded so that layers of 16
        channels or more keep an even number, 32 a multiple of 4, 64 a multiple of 8.
    criterion
        What makes a channel unimportant: a small "l1" or "l2" norm of the weights coupled to it, or
        "random".

    Raises
    ------
    WorkbenchError
        No channel of this model can be removed.
    """
    example = example[:1].expand(2, *example.shape[1:]).contiguous()
    wanted = _shapes(module, example)
    with seeded(seed):
        cuts, kept = _plan(module, example, amount, criterion)
    smaller = _cut(module, example, cuts)
    if _shapes(smaller, example) != wanted:
        for cut in list(cuts):
            checkpoint()
            if _shapes(_cut(module, example, [cut]), example) != wanted:
                cuts.remove(cut)
                kept |= dict.fromkeys(cut.layers, "its number of channels is written into the model's forward")
        smaller = _cut(module, example, cuts)
    if not cuts or _shapes(smaller, example) != wanted:
        raise WorkbenchError(f"no channel of this model can be removed: {_why(kept)}")
    return smaller, kept


def channels_kept(channels: int, amount: float) -> int:
    """How many of ``channels`` stay: at least one step, in steps of an eighth of them, up to 8 at a time."""
    step = 1 << max(0, min(3, (channels // 8).bit_length() - 1))
    return min(channels, max(step, round(channels * (1 - amount) / step) * step))


def _plan(
    module: torch.nn.Module, example: torch.Tensor, amount: float, criterion: str
) -> tuple[list[_Cut], dict[str, str]]:
    twin, graph = _dependencies(module, example)
    names = {layer: name for name, layer in twin.named_modules()}
    importance = _importance(criterion)
    cuts: list[_Cut] = []
    kept: dict[str, str] = {}
    for group in graph.get_all_groups():
        layers = tuple(names[layer] for layer in _narrowed_layers(graph, group) if layer in names)
        channels = len(group[0].idxs)
        reason = _untouchable(graph, group)
        count = channels - channels_kept(channels, amount)
        if not reason and count == 0:
            reason = f"{100 * amount:.0f} % of its {channels} channels is less than are removed at a time"
        if reason:
            kept |= dict.fromkeys(layers, reason)
            continue
        scores = importance(group)
        indices = scores.argsort(stable=True)[:count].sort().values
        cuts.append(_Cut(names[group[0].dep.target.module], layers, tuple(indices.tolist())))
    return cuts, kept


def _cut(module: torch.nn.Module, example: torch.Tensor, cuts: list[_Cut]) -> torch.nn.Module:
    twin, graph = _dependencies(module, example)
    for cut in cuts:
        root = twin.get_submodule(cut.root)
        group = graph.get_pruning_group(root, graph.get_pruner_of_module(root).prune_out_channels, list(cut.indices))
        group.prune()
    return twin


def _dependencies(
    module: torch.nn.Module, example: torch.Tensor
) -> tuple[torch.nn.Module, torch_pruning.DependencyGraph]:
    """A copy of ``module`` and the graph of which of its channels belong together."""
    twin = copy.deepcopy(module).eval().requires_grad_(True)
    try:
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return twin, torch_pruning.DependencyGraph().build_dependency(twin, example_inputs=example)
    except Exception as error:  # it traces through autograd and fails in as many ways as models do
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise WorkbenchError(f"the channels of this model can't be followed from layer to layer: {reason}") from error


def _narrowed_layers(
    graph: torch_pruning.DependencyGraph, group: torch_pruning.dependency.Group
) -> list[torch.nn.Module]:
    """The layers of a group with weights whose own outputs would become fewer."""
    return [
        member.dep.target.module
        for member in group
        if graph.is_out_channel_pruning_fn(member.dep.handler)
        and isinstance(member.dep.target.module, torch.nn.Module)
        and any(True for _ in member.dep.target.module.parameters(recurse=False))
    ]


def _untouchable(graph: torch_pruning.DependencyGraph, group: torch_pruning.dependency.Group) -> str | None:
    for member in group:
        node, layer = member.dep.target, member.dep.target.module
        if not node.outputs and graph.is_out_channel_pruning_fn(member.dep.handler):
            return "all its outputs stay: they are the model's"
        if isinstance(layer, torch.nn.MultiheadAttention):
            return "its channels are shared out between attention heads"
        if isinstance(layer, torch.nn.GroupNorm):
            return "its channels are normalised in groups of fixed size"
        if isinstance(layer, torch.nn.modules.conv._ConvNd) and 1 < layer.groups < layer.out_channels:
            return "its convolution works on groups of fixed size"
    return None


def _importance(criterion: str) -> Callable[[torch_pruning.dependency.Group], torch.Tensor]:
    if criterion == "random":
        return lambda group: torch.rand(len(group[0].idxs))
    norm = {"l1": 1, "l2": 2}[criterion]
    measure = torch_pruning.importance.GroupMagnitudeImportance(p=norm)

    def scores(group: torch_pruning.dependency.Group) -> torch.Tensor:
        return measure(group).detach()

    return scores


@torch.no_grad()
def _shapes(module: torch.nn.Module, example: torch.Tensor) -> tuple | str:
    """What comes out for batches of 2 and 1; the error in words where the module doesn't run."""
    try:
        return tuple(tuple(module(inputs).shape) for inputs in (example, example[:1]))
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        return str(error)


def _why(kept: dict[str, str]) -> str:
    if not kept:
        return "it has no linear or convolution layer"
    return "; ".join(f"{layer}: {reason}" for layer, reason in list(kept.items())[:3])

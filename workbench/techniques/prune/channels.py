"""Removing whole channels, and with them their share of every layer before and after. Imports torch-pruning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch_pruning

from workbench.errors import WorkbenchError
from workbench.techniques._training import seeded
from workbench.techniques.prune import groups, objections
from workbench.techniques.prune.branches import require_one_path
from workbench.techniques.prune.coupling import Member, coupled
from workbench.techniques.prune.pruners import RECURRENT
from workbench.workload import Inputs, rows

Checkpoint = Callable[[], None]


@dataclass(frozen=True)
class _Cut:
    """Channels to take from the layer ``root`` and from all layers coupled to it."""

    root: str
    layers: tuple[str, ...]
    indices: tuple[int, ...]
    members: tuple[Member, ...]


def narrowed(
    module: torch.nn.Module,
    inputs: Inputs,
    amount: float,
    criterion: str,
    *,
    seed: int = 0,
    checkpoint: Checkpoint = lambda: None,
) -> tuple[torch.nn.Module, dict[str, str]]:
    """A narrower copy of ``module`` and, by layer, why a layer kept its channels.

    Layers whose channels must stay equal (a residual addition, a depthwise convolution) are cut
    together, following the dependency graph of Fang et al., "DepGraph: Towards Any Structural
    Pruning", CVPR 2023. The model's outputs are never cut. A cut is left out where the model doesn't
    run after it, or where the channels turn out not to belong together.

    Parameters
    ----------
    inputs
        [N, …] each, at least one example the module takes; five of them are tried.
    amount
        Share of each layer's channels to remove, above 0 and below 1. Rounded so that layers of 16
        channels or more keep an even number, 32 a multiple of 4, 64 a multiple of 8.
    criterion
        What makes a channel unimportant: a small "l1" or "l2" norm of the weights coupled to it, or
        "random".

    Raises
    ------
    WorkbenchError
        No channel of this model can be removed, or its forward decides by the values of its input.
    """
    examples = _spread(inputs, 5)
    wanted = objections.shapes(module, examples)
    require_one_path(module, examples)
    with seeded(seed):
        cuts, kept = _plan(module, examples, amount, criterion)
    if _objection(module, cuts, examples, wanted):
        cuts, left_out = _tenable(module, cuts, examples, wanted, checkpoint)
        kept |= left_out
    if not cuts:
        raise WorkbenchError(f"no channel of this model can be removed: {_why(kept)}")
    narrower = {layer for cut in cuts for layer in cut.layers}
    return _cut(module, cuts, examples), {layer: why for layer, why in kept.items() if layer not in narrower}


def channels_kept(channels: int, amount: float) -> int:
    """How many of ``channels`` stay: at least one step, in steps of an eighth of them, up to 8 at a time."""
    step = 1 << max(0, min(3, (channels // 8).bit_length() - 1))
    return min(channels, max(step, round(channels * (1 - amount) / step) * step))


def _spread(inputs: Inputs, count: int) -> Inputs:
    """``count`` of the inputs from all over; the same again where there are fewer."""
    available = len(inputs[0])
    return rows(inputs, torch.arange(count) * max(1, available // count) % available)


def _plan(
    module: torch.nn.Module, examples: Inputs, amount: float, criterion: str
) -> tuple[list[_Cut], dict[str, str]]:
    """What to cut, and why layers are left out that can be told so beforehand."""
    twin, graph = groups.dependencies(module, examples)
    names = {part: name for name, part in [*twin.named_parameters(), *twin.named_modules()]}
    tied = objections.tied(twin)
    kept = objections.beside(twin, set(graph.module2node), examples)
    cuts: list[_Cut] = []
    seen: set[str] = set()
    for root in [part for part in graph.module2node if isinstance(part, (*objections.LAYERS, *RECURRENT))]:
        if names[root] in seen:
            continue
        layers, found = _considered(graph, root, names, tied, amount, criterion)
        seen.update(layers)
        if isinstance(found, _Cut):
            cuts.append(found)
        else:
            kept |= dict.fromkeys(layers, found)
    return cuts, kept


def _considered(
    graph: torch_pruning.DependencyGraph,
    root: torch.nn.Module,
    names: dict[object, str],
    tied: dict[str, str],
    amount: float,
    criterion: str,
) -> tuple[tuple[str, ...], _Cut | str]:
    """The layers that would lose channels with ``root``, and the cut or why there is none."""
    layers: tuple[str, ...] = (names[root],)
    try:
        group = groups.group_of(graph, root)
        layers = tuple(names[layer] for layer in groups.narrowed_layers(graph, group) if layer in names)
        members = groups.members_of(graph, group, names)
        shared = [tied[member.name] for member in members if member.name in tied]
        if reason := groups.untouchable(graph, group) or next(iter(shared), None):
            return layers, reason
        channels = len(group[0].idxs)
        count = channels - channels_kept(channels, amount)
        if count == 0:
            alike = tuple(
                name for name in layers if graph.get_out_channels(graph.model.get_submodule(name)) == channels
            )
            return alike, f"{100 * amount:.0f} % of its {channels} channels is less than are removed at a time"
        indices = groups.importance_by(criterion)(group).argsort(stable=True)[:count].sort().values
        return layers, _Cut(names[root], layers, tuple(indices.tolist()), members)
    except Exception:  # torch-pruning fails in as many ways as models are built
        return layers, objections.NOT_FOLLOWED


def _tenable(
    module: torch.nn.Module,
    cuts: Sequence[_Cut],
    examples: Inputs,
    wanted: dict[int, torch.Size],
    checkpoint: Checkpoint,
) -> tuple[list[_Cut], dict[str, str]]:
    """The cuts that can be made together, and by layer why others can't."""
    tenable: list[_Cut] = []
    left_out: dict[str, str] = {}
    for cut in cuts:
        checkpoint()
        if reason := _objection(module, [*tenable, cut], examples, wanted):
            left_out |= dict.fromkeys(cut.layers, reason)
        else:
            tenable.append(cut)
    return tenable, left_out


def _objection(
    module: torch.nn.Module, cuts: Sequence[_Cut], examples: Inputs, wanted: dict[int, torch.Size]
) -> str | None:
    """Why these cuts can't be made together."""
    try:
        smaller = _cut(module, cuts, examples)
    except Exception:  # as above
        return objections.NOT_FOLLOWED
    touched = {member.name for cut in cuts for member in cut.members}
    if reason := objections.failure(smaller, examples, wanted, touched):
        return reason
    return None if coupled(module, [cut.members for cut in cuts], rows(examples, slice(2))) else objections.NOT_FOLLOWED


def _cut(module: torch.nn.Module, cuts: Sequence[_Cut], examples: Inputs) -> torch.nn.Module:
    twin, graph = groups.dependencies(module, examples)
    for cut in cuts:
        groups.group_of(graph, twin.get_submodule(cut.root), cut.indices).prune()
    return twin


def _why(kept: dict[str, str]) -> str:
    if not kept:
        return "it has no linear or convolution layer"
    return "; ".join(f"{layer}: {reason}" for layer, reason in list(kept.items())[:3])

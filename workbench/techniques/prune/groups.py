"""Which channels of a model belong together, as torch-pruning sees it."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence

import torch
import torch_pruning
from torch_pruning.dependency import Group

from workbench.errors import WorkbenchError
from workbench.plumbing.words import one_line
from workbench.techniques._training import unfrozen
from workbench.techniques.prune.coupling import Member
from workbench.techniques.prune.objections import NOT_FOLLOWED
from workbench.techniques.prune.pruners import PRUNERS, RECURRENT, as_one_operation, gates_of, state_stays
from workbench.workload import Inputs, rows


def dependencies(module: torch.nn.Module, examples: Inputs) -> tuple[torch.nn.Module, torch_pruning.DependencyGraph]:
    """A copy of ``module`` and the graph of which of its channels belong together."""
    twin = copy.deepcopy(module).eval()
    unfrozen(twin)
    graph = torch_pruning.DependencyGraph()
    try:
        with torch.enable_grad(), warnings.catch_warnings(), as_one_operation(twin):
            warnings.simplefilter("ignore")
            two = rows(examples, slice(2))
            return twin, graph.build_dependency(twin, example_inputs=two, customized_pruners=PRUNERS)
    except Exception as error:  # it traces through autograd and fails in as many ways as models do
        raise WorkbenchError(
            f"the channels of this model can't be followed from layer to layer: {one_line(error)}"
        ) from error


def group_of(
    graph: torch_pruning.DependencyGraph, root: torch.nn.Module, indices: Sequence[int] | None = None
) -> Group:
    """The channels of ``root``, all or those at ``indices``, with all that is coupled to them."""
    pruner = graph.get_pruner_of_module(root)
    chosen = range(pruner.get_out_channels(root)) if indices is None else indices
    return graph.get_pruning_group(root, pruner.prune_out_channels, list(chosen))


def narrowed_layers(graph: torch_pruning.DependencyGraph, group: Group) -> list[torch.nn.Module]:
    """The layers of a group with weights whose own outputs would become fewer."""
    return [
        item.dep.target.module
        for item in group
        if graph.is_out_channel_pruning_fn(item.dep.handler)
        and isinstance(item.dep.target.module, torch.nn.Module)
        and any(True for _ in item.dep.target.module.parameters(recurse=False))
    ]


def members_of(graph: torch_pruning.DependencyGraph, group: Group, names: dict[object, str]) -> tuple[Member, ...]:
    """Where the channels of a group of all of its root's are, in layers and parameters."""
    members = []
    for item in group:
        if (name := names.get(item.dep.target.module)) is not None:
            positions: list[list[int]] = [[] for _ in group[0].idxs]
            for position, channel in zip(item.idxs, item.root_idxs, strict=True):
                positions[channel].append(position)
            takes = not graph.is_out_channel_pruning_fn(item.dep.handler)
            members.append(Member(name, takes, tuple(map(tuple, positions))))
    return tuple(members)


def untouchable(graph: torch_pruning.DependencyGraph, group: Group) -> str | None:
    """Why no channel of a group may go."""
    for item in group:
        node, layer = item.dep.target, item.dep.target.module
        gives = graph.is_out_channel_pruning_fn(item.dep.handler)
        if not node.outputs and gives:
            return "all its outputs stay: they are the model's" if _fits(node.module, group) else NOT_FOLLOWED
        if isinstance(layer, torch.nn.MultiheadAttention):
            return "its channels are shared out between attention heads"
        if isinstance(layer, RECURRENT) and gives and (reason := state_stays(layer)):
            return reason
        if isinstance(layer, torch.nn.GroupNorm):
            return "its channels are normalised in groups of fixed size"
        if isinstance(layer, torch.nn.modules.conv._ConvNd) and 1 < layer.groups < layer.out_channels:
            return "its convolution works on groups of fixed size"
    return None


def _fits(last: torch.nn.Module, group: Group) -> bool:
    """Whether the model's outputs, where they come from no layer, have room for whole channels of the group."""
    if not isinstance(last, torch_pruning.ops._OutputOp):
        return True
    return math.prod(last.shape[1:]) % len(group[0].idxs) == 0


def importance_by(criterion: str) -> Callable[[Group], torch.Tensor]:
    """How much each channel of a group matters: float32 [channels]."""
    if criterion == "random":
        return lambda group: torch.rand(len(group[0].idxs))
    power = {"l1": 1, "l2": 2}[criterion]
    measure = torch_pruning.importance.GroupMagnitudeImportance(p=power)

    def importance(group: Group) -> torch.Tensor:
        found = measure(group)  # None for a group that it knows no layer of
        return sum([*([] if found is None else [found.detach()]), *_of_recurrent(group, power)])

    return importance


@torch.no_grad()
def _of_recurrent(group: Group, power: int) -> Iterator[torch.Tensor]:
    """What each recurrent layer of a group says of its channels, 1 on average: torch-pruning knows no such layers."""
    for item in group:
        layer = item.dep.target.module
        if not isinstance(layer, RECURRENT):
            continue
        entering = layer.weight_ih_l0.abs() ** power
        if item.dep.handler.__name__ == "prune_in_channels":
            sizes = entering.sum(0)
        else:
            rows = entering.sum(1) + (layer.weight_hh_l0.abs() ** power).sum(1)
            sizes = rows.view(gates_of(layer), -1).sum(0)
        places = torch.tensor(item.root_idxs)
        each = torch.zeros(len(group[0].idxs)).index_add(0, places, sizes[torch.tensor(item.idxs)].float())
        yield each / each.mean()

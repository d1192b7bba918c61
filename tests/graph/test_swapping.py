"""Calls of one graph swapped for another's: what depends on them is run again, all else is kept."""

import pytest
import torch
from torch import nn

from workbench.errors import EngineError
from workbench.graph import export
from workbench.graph.swapping import Looked, without_writes


class Branches(nn.Module):
    """Two layers that meet in a sum, and one that is called twice."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.twice = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.twice(torch.relu(self.twice(self.left(x) + self.right(x))))


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.last(torch.relu_(self.first(x)).mul_(2.0))


def graph_of(module: nn.Module) -> torch.fx.GraphModule:
    return without_writes(export(module.eval(), torch.rand(4, 6)).module())


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return Branches(), Branches()


def looked(pair, inputs) -> Looked:
    return Looked(*map(graph_of, pair), (inputs,))


CALLS = {"left": {"linear"}, "right": {"linear_1"}, "twice": {"linear_2", "linear_3"}}


@pytest.mark.parametrize("layer", CALLS)
def test_with_one_layer_swapped_it_computes_what_the_module_with_that_layer_does(pair, layer):
    one, other = pair
    inputs = torch.rand(5, 6)
    found = looked(pair, inputs).swapped(CALLS[layer])
    setattr(one, layer, getattr(other, layer))
    torch.testing.assert_close(found, one(inputs))


def test_with_all_layers_swapped_it_computes_what_the_other_does_and_with_none_what_it_did(pair):
    inputs = torch.rand(5, 6)
    found = looked(pair, inputs)
    torch.testing.assert_close(found.outputs, pair[0](inputs))
    torch.testing.assert_close(found.swapped(set.union(*CALLS.values())), pair[1](inputs))
    assert torch.equal(found.swapped(set()), found.outputs)


def test_swapping_leaves_what_it_looked_at_as_it_was(pair):
    found = looked(pair, torch.rand(5, 6))
    first = [found.swapped(calls) for calls in CALLS.values()]
    for before, calls in zip(first, CALLS.values(), strict=True):
        assert torch.equal(found.swapped(calls), before)


def test_a_shift_is_added_to_what_the_call_gives(pair):
    one, _ = pair
    inputs, shift = torch.rand(5, 6), torch.rand(6)
    found = Looked(graph_of(one), graph_of(one), (inputs,)).swapped({"linear"}, {"linear": shift, "linear_1": shift})
    one.left.bias.data += shift
    torch.testing.assert_close(found, one(inputs))


def test_it_counts_the_memory_of_its_values(pair):
    few, many = (looked(pair, torch.rand(count, 6)).kept_bytes for count in (10, 1010))
    # the input, four linear calls, a sum, a relu and the output are of six float32 each
    assert many - few == pytest.approx(1000 * 8 * 6 * 4, rel=0.2)


def test_calls_that_change_a_tensor_in_place_give_a_new_one():
    module = InPlace()
    graph, inputs = graph_of(module), torch.rand(5, 6) - 0.5
    assert not any(
        getattr(node.target, "_schema", None) and node.target._schema.is_mutable for node in graph.graph.nodes
    )
    found = Looked(graph, graph, (inputs,))
    torch.testing.assert_close(found.outputs, module(inputs))
    assert found.value("linear").min() < 0  # it was kept from being changed


def test_what_can_only_be_written_in_place_is_refused():
    @torch.library.custom_op("swapping::halve_", mutates_args={"values"})
    def halve_(values: torch.Tensor) -> None:
        values.mul_(0.5)

    graph = torch.fx.Graph()
    values = graph.placeholder("x")
    graph.call_function(torch.ops.swapping.halve_.default, (values,))
    graph.output(values)
    with pytest.raises(EngineError, match=r"swapping\.halve_\.default changes a tensor in place and has no other form"):
        without_writes(torch.fx.GraphModule(nn.Module(), graph))

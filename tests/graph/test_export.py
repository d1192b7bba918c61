"""What a graph is exported for: inputs of any number and dtype, and any batch that all of them share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.errors import EngineError
from workbench.graph import export


class Forward(nn.Module):
    """A forward as given."""

    def __init__(self, compute) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, a, b):
        return self.compute(a, b)


class AnyNumber(nn.Module):
    """Takes what it is given."""

    def forward(self, *inputs):
        return torch.cat(inputs, 1)


A, B = torch.randn(3, 4), torch.randint(0, 9, (3, 4))


@pytest.mark.parametrize("compute", [lambda a, b: a + b, lambda a, b: a * 2, lambda a, b: a.view(b.shape[0], 2, 2)])
def test_all_inputs_have_the_same_batch_whether_the_model_joins_them_or_not(compute):
    program = export(Forward(compute), (A, B))
    sizes = {str(node.meta["val"].shape[0]) for node in program.graph.nodes if node.op == "placeholder"}
    assert len(sizes) == 1
    for batch in (1, 2, 9):
        given = torch.randn(batch, 4), torch.randint(0, 9, (batch, 4))
        assert torch.equal(program.module()(*given), compute(*given))


def test_a_forward_of_any_number_of_inputs_is_exported_for_those_given():
    given = torch.randn(1, 4), torch.randn(1, 2), torch.randn(1, 3)
    assert export(AnyNumber(), given).module()(*(each.expand(5, -1) for each in given)).shape == (5, 9)


def test_one_tensor_may_be_two_inputs():
    assert torch.equal(export(Forward(lambda a, b: a - b), (A, A)).module()(A, 2 * A), -A)


def test_a_lone_tensor_is_one_input():
    assert torch.equal(export(nn.ReLU(), A).module()(A), A.relu())


def test_a_graph_for_one_batch_size_has_that_of_the_example():
    program = export(Forward(lambda a, b: a + b), (A, B), fixed_batch=True)
    assert [node.meta["val"].shape[0] for node in program.graph.nodes if node.op == "placeholder"] == [3, 3]


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda a, b: a + b if a.shape[0] < 100 else a, "one way where .*n <= 99 for n examples"),
        (lambda a, b: a + b if b.shape[0] % 2 else a, r"one way where .*\(n % 2\).* for n examples"),
        (lambda a, b: torch.stack(list(a)) + b, "takes the batch size for a fixed number"),
        (lambda a, b: a + b.sum().item() if a.sum() > 0 else b, r"can't be exported: .*test_export\.py, line"),
    ],
)
def test_a_forward_that_no_graph_holds_for_every_batch_is_refused_in_one_line(compute, says, capfd):
    with pytest.raises(EngineError, match=says) as caught:
        export(Forward(compute), (A, B))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", ""), "and torch prints no graph beside it"

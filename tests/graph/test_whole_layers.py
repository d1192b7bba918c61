"""GRU and LSTM layers are exported as one call, by one step, and what follows them sees the shapes of all."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch._decomp import decompositions

from workbench.graph import export

STEPS = 6


class Within(nn.Module):
    """A recurrent layer in a module that goes on with its outputs, and with what it ends with."""

    def __init__(self, kind: type[nn.RNNBase], **settings) -> None:
        super().__init__()
        self.layer = kind(3, 4, **settings)

    def forward(self, x):
        outputs, last = self.layer(x.transpose(0, 1) if not self.layer.batch_first else x)
        states = last if isinstance(last, tuple) else (last,)
        return outputs.relu(), *states


CASES = list(itertools.product((nn.GRU, nn.LSTM), [(1, False, True), (2, True, False), (2, True, True)]))


def calls(program: torch.export.ExportedProgram) -> list[str]:
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize(("kind", "form"), CASES)
def test_the_graph_is_the_one_that_all_steps_give(kind, form):
    levels, bidirectional, batch_first = form
    torch.manual_seed(0)
    model = Within(kind, num_layers=levels, bidirectional=bidirectional, batch_first=batch_first).eval()
    x = torch.randn(2, STEPS, 3)
    ours, theirs = export(model, x, fixed_batch=True), torch.export.export(model, (x,))
    assert calls(ours) == calls(theirs)
    for node, like in zip(ours.graph.nodes, theirs.graph.nodes, strict=True):
        made, expected = (torch.utils._pytree.tree_leaves(each.meta.get("val")) for each in (node, like))
        assert [_form(each) for each in made] == [_form(each) for each in expected]
    free = export(model, x).module()
    for batch in (1, 5):
        x = torch.randn(batch, STEPS, 3)
        torch.testing.assert_close(free(x), model(x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_an_export_takes_no_longer_for_more_steps(kind, monkeypatch):
    taken, layer = [], decompositions._rnn_helper

    def counted(x, *others):
        taken.append(tuple(x.shape))
        return layer(x, *others)

    monkeypatch.setattr(decompositions, "_rnn_helper", counted)
    model = nn.Sequential(kind(3, 4, batch_first=True)).eval()
    export(model, torch.randn(2, 400, 3))
    assert taken
    assert {steps for _, steps, _ in taken} == {1}


def test_whoever_wants_the_operations_of_each_step_gets_them():
    model = nn.Sequential(nn.GRU(3, 4, batch_first=True)).eval()
    program = export(model, torch.randn(2, STEPS, 3))
    decomposed = program.run_decompositions()
    assert sum(each.startswith("aten.tanh") for each in calls(decomposed)) == STEPS
    x = torch.randn(3, STEPS, 3)
    torch.testing.assert_close(decomposed.module()(x), program.module()(x))


def _form(value: object) -> tuple:
    if not isinstance(value, torch.Tensor):
        return (value,)
    return value.dtype, tuple(value.shape), value.stride(), value.requires_grad

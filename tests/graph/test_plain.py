"""A quantized graph in PyTorch's own operations: the same numbers, and nothing but what it uses."""

from __future__ import annotations

import pytest
import torch

from tests.engines.models import MODELS, images, variant
from workbench.graph import export
from workbench.graph.plain import in_plain_operations

QUANTIZED = [(name, precision) for name in MODELS for precision in ("int8-static", "int8-dynamic")]


@pytest.mark.parametrize("saturates", [False, True], ids=["8 bits", "7 bits"])
@pytest.mark.parametrize(("name", "precision"), QUANTIZED)
def test_it_computes_the_same_to_the_last_bit(name, precision, saturates):
    graph = variant(name, precision, saturates).graph
    plain = in_plain_operations(graph)
    for batch in (1, 5):
        inputs = images(name, batch, seed=batch)
        assert torch.equal(plain(inputs), graph(inputs))


def test_inputs_of_zeros_alone_have_a_range_too():
    graph, zeros = variant("mlp", "int8-dynamic").graph, torch.zeros(2, 64)
    assert torch.equal(in_plain_operations(graph)(zeros), graph(zeros))


@pytest.mark.parametrize(("name", "precision"), QUANTIZED)
def test_it_calls_pytorch_alone_and_keeps_weights_in_eight_bits_alone(name, precision):
    graph = variant(name, precision).graph
    program = export(in_plain_operations(graph), images(name, 2))
    targets = {node.target for node in program.graph.nodes if node.op == "call_function"}
    assert {getattr(target, "namespace", "aten") for target in targets} == {"aten"}
    weights = [each for each in program.state_dict.values() if each.dim() >= 2]
    assert {each.dtype for each in weights} == {torch.int8}


def test_the_graph_given_stays_as_it_is():
    graph = variant("cnn", "int8-static").graph
    before = graph.code
    in_plain_operations(graph)
    assert graph.code == before

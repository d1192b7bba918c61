"""Seven bits for one of two factors, for engines that add pairs of 8-bit products in 16 bits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.engines.models import tolerance
from workbench import engines
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.reduced import Bits
from workbench.variant import Variant
from workbench.workload import Data

CANDIDATES = [Bits(weights=7), Bits(activations=7)]
LARGEST_IN_16_BITS = 32_767
CALLS = (torch.ops.aten.linear.default, torch.ops.aten.conv2d.default)


class Mixed(nn.Module):
    """A pooling between two convolutions, a residual sum, a product of activations and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(128, 5)

    def forward(self, images):
        features = torch.max_pool2d(torch.relu(self.first(images)), 2)
        features = torch.relu(self.second(features) + features)
        return self.head(features.flatten(1))


def attention() -> nn.Module:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project, self.head = nn.Linear(24, 24), nn.Linear(24, 5)

        def forward(self, images):
            rows = self.project(images.flatten(2).reshape(-1, 8, 24))
            return self.head((torch.softmax(rows @ rows.transpose(1, 2), -1) @ rows).mean(1))

    return Attention()


MODELS = {"mixed": Mixed, "attention": attention}


def model(name: str = "mixed") -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS[name]().eval().requires_grad_(False)


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def context(saturates: bool) -> Context:
    return Context(train=Data(images(64), torch.zeros(64, dtype=torch.long)), saturates=saturates)


def candidate(bits: Bits, name: str = "mixed") -> torch.fx.GraphModule:
    return Quantize().working(model(name), context(True)).in_fewer_bits(bits)


def largest_activation(node: torch.fx.Node) -> int:
    """The largest byte that a dequantize node may be given."""
    scale, zero_point = node.args[1:3]
    quantize = node.args[0]
    assert quantize.args[3:5] == node.args[3:5] == (0, 255)
    values = quantize.args[0]
    while values.target in (torch.ops.aten.max_pool2d.default, torch.ops.aten.flatten.using_ints):
        values = values.args[0]
    if values.target is torch.ops.aten.clamp.default:
        return round(values.args[2] / scale) + zero_point
    same = "dequantize" in str(values.target) and values.args[1:3] == (scale, zero_point)
    return largest_activation(values) if same else 255


def largest_pair_sum(graph: torch.fx.GraphModule, call: torch.fx.Node) -> int:
    """Of any two products that a kernel may add, whatever order it takes them in."""
    assert call.args[1].args[4:6] == (-128, 127)
    magnitudes = graph.get_buffer(call.args[1].args[0].target).int().abs().flatten(1)
    return int(magnitudes.topk(2).values.sum(1).max()) * largest_activation(call.args[0])


@pytest.mark.parametrize("bits", CANDIDATES)
@pytest.mark.parametrize("name", MODELS)
def test_no_sum_of_two_products_leaves_16_bits(name, bits):
    graph = candidate(bits, name)
    calls = [node for node in graph.graph.nodes if node.target in CALLS]
    assert calls
    assert all(largest_pair_sum(graph, call) <= LARGEST_IN_16_BITS for call in calls)
    for product in [node for node in graph.graph.nodes if node.target is torch.ops.aten.matmul.default]:
        factors = [largest_activation(arg) for arg in product.args if "dequantize" in str(arg.target)]
        assert len(factors) < 2 or 2 * factors[0] * factors[1] <= LARGEST_IN_16_BITS


def test_all_eight_bits_would_leave_16():
    graph = candidate(Bits())
    call = next(node for node in graph.graph.nodes if node.target in CALLS)
    assert largest_pair_sum(graph, call) > LARGEST_IN_16_BITS


def test_dynamic_int8_reduces_the_weights():
    variant = Quantize(scheme="int8-dynamic").apply(Variant(model()), context(True))
    head = next(node for node in variant.graph.graph.nodes if node.target is torch.ops.aten.linear.default)
    values = variant.graph.get_buffer(head.args[1].args[0].target)
    assert (int(values.min()), int(values.max())) >= (-64, 0)
    assert int(values.abs().max()) in (63, 64)
    assert variant.remarks["head"].startswith("weights in 7 bits")


@pytest.mark.parametrize("engine", ["native", "onnxruntime", "openvino"])
@pytest.mark.parametrize("bits", CANDIDATES)
def test_engines_compute_in_a_reduced_range_what_the_graph_says(bits, engine):
    found = engines.find(engine)
    if reason := found.unavailable():
        pytest.skip(reason)
    graph = candidate(bits)
    beyond = 2 * images(8)  # calibration saw half of this
    wanted = graph(beyond)
    runner = found.prepare(Variant(model(), "int8-static", graph), beyond, threads=1)
    assert (runner(beyond) - wanted).abs().max() <= tolerance("int8-static", wanted)


def test_the_range_that_loses_less_is_taken_and_each_layer_says_which():
    variant = Quantize(correct_biases=False).apply(Variant(model()), context(True))
    exact = model()(images(64))
    errors = [float((graph(images(64)) - exact).norm()) for graph in (candidate(bits) for bits in CANDIDATES)]
    assert float((variant.graph(images(64)) - exact).norm()) == min(errors)
    assert set(variant.remarks) == {"first", "second", "head"}
    reduced = ("weights", "activations")[errors.index(min(errors))]
    assert set(variant.remarks.values()) == {
        f"{reduced} in 7 bits: this engine adds pairs of products in 16 bits on this processor, which 8 would overflow"
    }


@pytest.mark.parametrize("scheme", ["int8-static", "int8-dynamic", "int8-weights", "int4-weights", "bf16"])
def test_where_nothing_saturates_or_nothing_is_multiplied_in_8_bits_nothing_is_reduced(scheme):
    plain = Quantize(scheme=scheme).apply(Variant(model()), context(False))
    assert plain.remarks == {}
    if scheme not in ("int8-static", "int8-dynamic"):
        reduced = Quantize(scheme=scheme).apply(Variant(model()), context(True))
        assert reduced.remarks == {}
        if plain.graph is not None:
            assert torch.equal(reduced.graph(images(8)), plain.graph(images(8)))

"""GRU and LSTM layers in int8: weights, inputs and states, where the states' range is known."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench import engines
from workbench.graph import export
from workbench.graph.plain import in_plain_operations
from workbench.measure.weights import layer_states
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = ("int8-static", "int8-dynamic")
LAYERS = {
    "a GRU": lambda: nn.GRU(12, 16, batch_first=True),
    "an LSTM of two levels in both directions": lambda: nn.LSTM(12, 16, 2, batch_first=True, bidirectional=True),
    "a GRU without biases": lambda: nn.GRU(12, 16, batch_first=True, bias=False),
}
LEFT = "{} has no int8 form here and is computed in fp32; int8-weights takes it"


class Last(nn.Module):
    """A recurrent layer's last step and a linear layer."""

    def __init__(self, layer: nn.RNNBase, start=None) -> None:
        super().__init__()
        self.layer, self.head, self.start = layer, nn.LazyLinear(4), start

    def forward(self, x):
        start = self.start and self.start(1, x.shape[0], self.layer.hidden_size)
        return self.head(self.layer(x, start)[0][:, -1])


def examples(count: int = 32) -> torch.Tensor:
    return torch.randn(count, 7, 12, generator=torch.Generator().manual_seed(0))


def model(layer: nn.RNNBase, **options) -> nn.Module:
    made = Last(layer, **options).eval()
    made(examples(2))
    return made


def quantized(module: nn.Module, inputs: torch.Tensor | None = None, **options) -> Variant:
    inputs = examples() if inputs is None else inputs
    saturates = options.pop("saturates", False)
    context = Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.long)), saturates=saturates)
    return Quantize(**options).apply(Variant(module), context)


@pytest.mark.parametrize("saturates", [False, True], ids=["8 bits", "7 bits"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", LAYERS)
def test_recurrent_layers_are_taken_and_lose_little(name, scheme, saturates):
    torch.manual_seed(0)
    module = model(LAYERS[name]())
    variant = quantized(module, scheme=scheme, saturates=saturates)
    assert variant.unchanged == {}
    assert {state.dtype for state in layer_states(variant).values()} == {"int8"}
    weights = [each for name, each in variant.graph.state_dict().items() if name.endswith("_values")]
    assert all(int(each.abs().max()) == (63 if saturates else 127) for each in weights)
    wanted = module(examples())
    # Each factor moves by half a step of some 255, half of that where one has seven bits: far less than a twentieth.
    assert 0 < (variant.graph(examples()) - wanted).norm() <= 0.05 * wanted.norm()


@pytest.mark.parametrize(
    ("name", "scheme"), [("a GRU", "int8-dynamic"), ("an LSTM of two levels in both directions", "int8-static")]
)
def test_what_is_exported_again_is_plain_operations(name, scheme):
    graph = quantized(model(LAYERS[name]()), scheme=scheme).graph
    called = {
        (asked, getattr(node.target, "namespace", node.target.__module__))
        for asked, module in (("as it is", graph), ("plain", in_plain_operations(graph)))
        for node in export(module, examples(2)).graph.nodes
        if node.op == "call_function"
    }
    assert called <= {
        ("as it is", "aten"), ("as it is", "quantized_decomposed"), ("as it is", "_operator"),
        ("plain", "aten"), ("plain", "_operator"),
    }  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "layer", [lambda: nn.LSTM(12, 16, batch_first=True, proj_size=8), lambda: nn.GRU(12, 16, batch_first=True)]
)
def test_states_that_may_be_of_any_range_stay_floats_and_the_layer_says_so(layer, scheme):
    layer = layer()
    variant = quantized(model(layer, start=torch.ones if isinstance(layer, nn.GRU) else None), scheme=scheme)
    assert variant.unchanged == {"layer": LEFT.format(type(layer).__name__)}


def test_a_state_of_zeros_that_is_handed_over_is_known():
    assert quantized(model(nn.GRU(12, 16, batch_first=True), start=torch.zeros), scheme="int8-static").unchanged == {}


def test_few_bits_leave_recurrent_layers_in_fp32_and_say_so():
    variant = quantized(model(nn.GRU(12, 16, batch_first=True)), scheme="int4-static")
    assert variant.unchanged == {"layer": LEFT.format("GRU").replace("int8 form", "int4 form")}


def test_layers_may_have_different_schemes():
    module = model(nn.GRU(12, 16, batch_first=True))
    for general, apart in (SCHEMES, ("int4-weights", "int8-dynamic")):
        variant = quantized(module, scheme=general, overrides={"layer": apart})
        assert variant.unchanged == {}
        wanted = module(examples())
        assert (variant.graph(examples()) - wanted).norm() <= 0.15 * wanted.norm()  # as four bits lose
    kept = quantized(module, scheme="int8-static", overrides={"layer": "fp32"})
    assert kept.unchanged == {"layer": "kept in fp32 as the recipe asks"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_columns_of_very_different_ranges_keep_a_first_layer_in_fp32(scheme):
    torch.manual_seed(0)
    ranges = torch.logspace(-4, 4, 12)
    layer = nn.GRU(12, 16, batch_first=True)
    with torch.no_grad():
        layer.weight_ih_l0.div_(ranges)
    variant = quantized(model(layer), examples() * ranges, scheme=scheme)
    assert variant.unchanged["layer"].startswith("kept in fp32: the ranges of its inputs differ")


def test_onnx_runtime_gives_what_the_graph_gives():
    engine = engines.find("onnxruntime")
    if reason := engine.unavailable():
        pytest.skip(reason)
    torch.manual_seed(0)
    variant = quantized(model(LAYERS["a GRU"]()), scheme="int8-static")
    runner = engine.prepare(variant, examples(), threads=1)
    assert runner.kernels["layer"].reality == "real"
    wanted = variant.graph(examples())
    # A value at the edge of two steps may fall to the other side, which moves one state by 1/127 of its range.
    assert (runner(examples()) - wanted).norm() <= wanted.norm() / 255

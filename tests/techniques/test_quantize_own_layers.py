"""Layers that people write themselves: products by a matrix are linear layers whatever they are called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench import engines
from workbench.engines.native.pick.keep import KEPT
from workbench.errors import WorkbenchError
from workbench.measure.weights import layer_states
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = ("int8-static", "int8-dynamic", "int8-weights", "int4-weights")
LOSES = {"int4-weights": 0.25}
"""A step of 1/7 of the largest of 32 weights, about a third of their standard deviation, rounds each by a tenth of it;
three such layers, and as much again in hand. The other schemes: 1 % a layer."""


class Conv1D(nn.Module):
    """As GPT-2 has it: the weight is [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x):
        rows = torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight)
        return rows.view(*x.size()[:-1], self.weight.shape[1])


class Dense(nn.Module):
    """As Keras has it: its parameters in a container, a product, and a sum."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.variables = nn.ParameterDict({"kernel": torch.randn(inputs, outputs) / inputs**0.5})
        self.others = nn.ParameterList([torch.randn(outputs)])

    def forward(self, x):
        return torch.add(torch.matmul(x, self.variables["kernel"]), self.others[0])


class Tied(nn.Module):
    """One matrix, used as it is and transposed, and once more elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(16, 16) / 4)

    def forward(self, x):
        return (torch.tanh(x @ self.matrix) @ self.matrix.t()) * self.matrix.sum()


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(16))

    def forward(self, x):
        return x * self.gain


def built(make) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()


def transformer_block() -> nn.Module:
    return nn.Sequential(Conv1D(16, 32), nn.GELU(), Conv1D(32, 8), nn.Flatten(), nn.Linear(32, 5))


MODELS = {
    "addmm": (transformer_block, (4, 16), {"0", "2", "4"}),
    "matmul": (lambda: nn.Sequential(Dense(16, 32), nn.ReLU(), Dense(32, 5)), (16,), {"0", "2"}),
    "matmul of sequences": (lambda: nn.Sequential(Dense(16, 32), nn.Tanh(), Dense(32, 5)), (4, 16), {"0", "2"}),
}


def inputs(name: str, count: int = 32) -> torch.Tensor:
    return torch.randn(count, *MODELS[name][1], generator=torch.Generator().manual_seed(0))


def quantized(module: nn.Module, examples: torch.Tensor, **options) -> Variant:
    train = Data(examples, torch.zeros(len(examples), dtype=torch.long))
    return Quantize(**options).apply(Variant(module), Context(train=train))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_products_by_a_matrix_are_quantized_under_their_layer_s_name(name, scheme):
    make, _, layers = MODELS[name]
    module = built(make)
    assert Quantize(scheme=scheme).blocked(module) is None
    variant = quantized(module, inputs(name), scheme=scheme)
    assert variant.unchanged == {}
    calls = [node for node in variant.graph.graph.nodes if node.target is torch.ops.aten.linear.default]
    assert len(calls) == len(layers)
    assert all("dequantize" in str(node.args[1].target) for node in calls)
    for batch in (1, 5, 32):
        wanted, found = module(inputs(name, batch)), variant.graph(inputs(name, batch))
        assert (found - wanted).norm() <= LOSES.get(scheme, 0.05) * wanted.norm()


def test_the_receipt_counts_the_matrix_to_its_layer():
    states = layer_states(quantized(built(transformer_block), inputs("addmm"), scheme="int8-weights"))
    assert [states[name].dtype.split()[0] for name in ("0", "2", "4")] == ["int8"] * 3


def test_a_layer_of_one_s_own_is_kept_in_fp32_by_its_name():
    variant = quantized(built(transformer_block), inputs("addmm"), overrides={"2": "fp32"})
    assert variant.unchanged == {"2": "kept in fp32 as the recipe asks"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_matrix_that_is_used_otherwise_too_keeps_its_values_there(scheme):
    module = built(Tied)
    examples = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    variant = quantized(module, examples, scheme=scheme)
    wanted = module(examples)
    assert (variant.graph(examples) - wanted).norm() <= LOSES.get(scheme, 0.05) * wanted.norm()


@pytest.mark.parametrize("scheme", ["int8-static", "int8-weights"])
def test_native_runs_a_product_in_its_int8_kernels(scheme):
    native = engines.find("native")
    if reason := native.unavailable():
        pytest.skip(reason)
    variant = quantized(built(transformer_block), inputs("addmm"), scheme=scheme)
    runner = native.prepare(variant, inputs("addmm", 4), threads=1)
    kernels = [runner.kernels[name] for name in ("0", "2", "4")]
    assert all(kernel.dtype == "int8" or kernel.reason == KEPT for kernel in kernels)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_model_of_other_layers_of_one_s_own_is_told_what_its_graph_lacks(scheme):
    with pytest.raises(WorkbenchError, match="its graph holds no linear or convolution call"):
        quantized(nn.Sequential(Scale()).eval(), torch.rand(32, 16), scheme=scheme)


@pytest.mark.parametrize(
    "spelling",
    [lambda w: w.t(), lambda w: w.T, lambda w: w.mT, lambda w: w.transpose(0, -1), lambda w: w.permute(1, 0)],
    ids=["t", "T", "mT", "transpose", "permute"],
)
def test_a_transposed_weight_is_a_linear_layer_s_in_any_spelling(spelling):
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.randn(16, 16) / 4)

        def forward(self, x):
            return x @ spelling(self.matrix)

    module = built(Functional)
    examples = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    wanted = module(examples)
    assert (quantized(module, examples).graph(examples) - wanted).norm() <= 0.05 * wanted.norm()

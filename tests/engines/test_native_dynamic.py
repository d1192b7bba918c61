"""The native engine in int8-dynamic: each row quantized in the range it has itself when it comes."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines import test_native_transformers as transformers
from tests.engines.test_native import ISAS, prepare, variants
from tests.workloads import always_there
from workbench import engines, kernels, models
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data, Workload

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))


def dynamic(model: nn.Module, inputs: torch.Tensor) -> Variant:
    context = Context(train=Data(inputs[:8], torch.zeros(8, dtype=torch.long)))
    return Quantize(scheme="int8-dynamic").apply(Variant(model), context)


@cache
def small(name: str) -> tuple[Variant, torch.Tensor]:
    plain, _, inputs = variants(name)
    return dynamic(plain.module, inputs), inputs


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["perceptron", "convnet", "mixed"])
def test_one_input_gives_what_the_graph_gives_for_it(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    variant, inputs = small(name)
    with torch.no_grad():
        wanted = torch.cat([variant.graph(row) for row in inputs.split(1)])
        exact = variant.module(inputs)
    got = prepare(variant, inputs[:4])(inputs)
    # A value on the edge between two steps may fall to either side; that is small against what rounding costs.
    assert (got - wanted).norm() <= 0.1 * (wanted - exact).norm()


@pytest.mark.parametrize("name", ["encoder", "sentences", "convnext"])
def test_tokens_in_ranges_of_their_own_lose_less_than_in_one_for_all(name):
    plain, _, inputs = transformers.variants(name)
    variant = dynamic(plain.module, inputs)
    with torch.no_grad():
        exact, graph = plain.module(inputs), variant.graph(inputs)
    runner = prepare(variant, inputs[:4])
    assert 0 < (runner(inputs) - exact).norm() <= (graph - exact).norm()
    linear = [layer for layer, part in plain.module.named_modules() if type(part) is nn.Linear]
    assert {(runner.kernels[layer].dtype, runner.kernels[layer].reality) for layer in linear} == {("int8", "real")}


@pytest.mark.parametrize("batch", [1, 2, 5, 24])
def test_what_else_is_in_the_batch_changes_nothing(batch):
    variant, inputs = small("convnet")
    runner = prepare(variant, inputs[:3])
    torch.testing.assert_close(runner(inputs[:batch]), runner(inputs)[:batch], rtol=0, atol=0)


def test_the_receipt_names_the_kernel_that_multiplies_and_what_stays_float32():
    variant, inputs = small("convnet")
    ran = prepare(variant, inputs).kernels
    assert {(ran[layer].dtype, ran[layer].reality) for layer in ("7", "9")} == {("int8", "real")}
    assert all(ran[layer].name.startswith("conv_u8s8") for layer in ("7", "9"))
    assert {(ran[layer].dtype, ran[layer].reality) for layer in ("0", "3")} == {("float32", "unchanged")}
    assert "convolution needs int8-static" in ran["0"].reason


def test_layers_are_timed_with_all_they_need():
    variant, inputs = small("perceptron")
    times = prepare(variant, inputs).layer_times_ms(inputs, repeats=3)
    assert {"0", "2", "4"} <= set(times)


def test_auto_takes_it_first():
    assert engines.preferred("int8-dynamic")[0] == "native"


@pytest.mark.parametrize("name", sorted({*always_there()} - {"fashion-scenes"}))  # which has no linear layer
def test_embedded_models_lose_no_more_than_their_graph(name):
    loaded = models.load(Workload(name))
    inputs = loaded.test.inputs[0][:256]
    variant = dynamic(loaded.module, loaded.train.inputs[0])
    with torch.no_grad():
        exact, graph = loaded.module(inputs), variant.graph(inputs)
    got = prepare(variant, inputs[:8])(inputs)
    # Rows' own ranges are finer than one for the batch; a tenth more allows for chance where there is one layer only.
    assert (got - exact).norm() <= 1.1 * (graph - exact).norm()

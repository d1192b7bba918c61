"""The native engine with weights alone in eight bits to one: exactly what the graph says, in every order of memory."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from tests.engines import test_native_transformers as transformers
from tests.engines.test_native import ISAS, prepare, variants
from workbench import engines, kernels, models
from workbench.errors import EngineError
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data, Workload

WEIGHT_ONLY = [name for name, precision in registered().items() if precision.weights_only and not precision.is_imitated]

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
DTYPES = {name: registered()[name].dtype for name in WEIGHT_ONLY}
IN_MEMORY = {8: 8, 7: 8, 6: 8, 5: 8, 4: 4, 3: 4, 2: 2, 1: 1}
"""The bits of which a kernel reads weights of so many."""
SUMS = 100 * torch.finfo(torch.float32).eps
"""Order of summation alone: each layer moves by about ε · √n; a hundred ε bounds the ten layers here."""


@cache
def small(name: str, scheme: str, group_size: int = 32) -> tuple[Variant, torch.Tensor]:
    of = transformers if name in transformers.MODELS else None
    plain, _, inputs = of.variants(name) if of else variants(name)
    context = Context(train=Data(inputs[:8], torch.zeros(8, dtype=torch.long)))
    return Quantize(scheme=scheme, group_size=group_size).apply(plain, context), inputs


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
@pytest.mark.parametrize("name", ["perceptron", "convnet", "mixed"])
def test_models_give_what_their_graph_gives(name, scheme, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    variant, inputs = small(name, scheme)
    with torch.no_grad():
        wanted = variant.graph(inputs)
    assert (prepare(variant, inputs[:4])(inputs) - wanted).norm() <= SUMS * wanted.norm()


@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
@pytest.mark.parametrize("name", ["encoder", "convnext"])
def test_tokens_and_pixels_give_what_their_graph_gives(name, scheme):
    variant, inputs = small(name, scheme)
    with torch.no_grad():
        wanted = variant.graph(inputs)
    runner = prepare(variant, inputs[:4])
    assert (runner(inputs) - wanted).norm() <= SUMS * wanted.norm()
    linear = [layer for layer, part in variant.module.named_modules() if type(part) is nn.Linear]
    ran = {(runner.kernels[layer].dtype, runner.kernels[layer].reality) for layer in linear}
    assert ran == {(DTYPES[scheme], "real")}


class Pixels(nn.Module):
    """A linear layer over pixels, added to them, whose output and input have borders that convolutions read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 10, 3, padding=1), nn.Conv2d(10, 4, 3, padding=1)
        self.around, self.mix = nn.Conv2d(10, 10, 5, padding=2, groups=10), nn.Linear(10, 10)

    def forward(self, x):
        x = self.first(x)
        x = self.mix(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) + self.around(x)
        return self.last(x).mean((2, 3))


@pytest.mark.parametrize("scheme", [*WEIGHT_ONLY, "int8-dynamic"])
def test_images_with_borders_are_read_and_written(scheme):
    torch.manual_seed(0)
    model, inputs = Pixels().eval(), torch.randn(5, 3, 9, 7)
    context = Context(train=Data(inputs, torch.zeros(5, dtype=torch.long)))
    variant = Quantize(scheme=scheme).apply(Variant(model), context)
    runner = prepare(variant, inputs)
    with torch.no_grad():
        wanted, exact = variant.graph(inputs), model(inputs)
    # Pixels' own ranges are finer than one for the batch, so int8-dynamic is compared with what that loses.
    bound = SUMS * wanted.norm() if scheme in WEIGHT_ONLY else 2 * (wanted - exact).norm()
    assert (runner(inputs) - wanted).norm() <= bound
    assert runner.kernels["mix"].reality == "real"


@pytest.mark.parametrize("group_size", [9, 100, 256])
def test_any_group_size_is_taken(group_size):
    variant, inputs = small("convnet", "int4-weights", group_size)
    with torch.no_grad():
        wanted = variant.graph(inputs)
    assert (prepare(variant, inputs[:4])(inputs) - wanted).norm() <= SUMS * wanted.norm()


@pytest.mark.parametrize("batch", [1, 2, 5, 24])
def test_a_runner_serves_every_batch_size(batch):
    variant, inputs = small("convnet", "int4-weights")
    runner = prepare(variant, inputs[:3])
    torch.testing.assert_close(runner(inputs[:batch]), runner(inputs)[:batch], rtol=0, atol=0)


@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
def test_the_receipt_names_the_kernel_and_what_stays_float32(scheme):
    variant, inputs = small("convnet", scheme)
    ran = prepare(variant, inputs).kernels
    assert {(ran[layer].dtype, ran[layer].reality) for layer in ("7", "9")} == {(DTYPES[scheme], "real")}
    bits = IN_MEMORY[registered()[scheme].weights.bits]
    assert all(ran[layer].name.startswith(f"linear_f32s{bits}_") for layer in ("7", "9"))
    assert {(ran[layer].dtype, ran[layer].reality) for layer in ("0", "3")} == {("float32", "unchanged")}
    assert "a convolution needs int8-static" in ran["0"].reason


@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
def test_others_refuse_by_name_and_eager_says_that_it_imitates(scheme):
    variant, inputs = small("perceptron", scheme)
    assert engines.preferred(scheme) == ("native", "eager")
    for name in ("compiled", "onnxruntime", "openvino"):
        with pytest.raises(EngineError, match=r"choose native, or eager|is not installed|no C\+\+ compiler"):
            engines.find(name).prepare(variant, inputs[:2], threads=1)
    imitated = engines.find("eager").prepare(variant, inputs[:2], threads=1)
    assert {kernel.reality for kernel in imitated.kernels.values()} == {"simulated"}
    assert torch.equal(imitated(inputs), variant.graph(inputs))


@pytest.mark.parametrize("scheme", WEIGHT_ONLY)
@pytest.mark.parametrize("name", ["fashion-anomaly", "fashion-gru", "fashion-mlp", "tinytext-lm"])
def test_embedded_models_give_what_their_graph_gives(name, scheme):
    loaded = models.load(Workload(name))
    inputs = loaded.test.inputs[0][:64]
    variant = Quantize(scheme=scheme).apply(Variant(loaded.module), Context(train=loaded.train))
    with torch.no_grad():
        wanted = variant.graph(inputs)
    assert (prepare(variant, inputs[:8])(inputs) - wanted).norm() <= SUMS * wanted.norm()

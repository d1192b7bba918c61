"""The native engine in bf16: what is rounded, what isn't, and who refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.engines import test_native_transformers as transformers
from tests.engines.test_native import ISAS, prepare, variants
from workbench import engines, kernels, models
from workbench.engines.native import Native
from workbench.engines.native.emit.emitter import emit
from workbench.errors import EngineError
from workbench.graph import export
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.ops import Attention
from workbench.graph.fused.read.reader import read
from workbench.models import students
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data, Workload

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
HALF_ISAS = [isa for isa in ISAS if kernels.multiplies_bf16(isa)]
IMITATED = [isa for isa in (kernels.core().stand_ins() if ISAS else []) if kernels.multiplies_bf16(isa)]
OTHER_ISAS = [isa for isa in ISAS if isa not in HALF_ISAS]
UNIT_ROUNDOFF = torch.finfo(torch.bfloat16).eps / 2


def in_half(name: str) -> tuple[Variant, torch.Tensor]:
    plain, _, inputs = variants(name)
    return Variant(plain.module, "bf16"), inputs


def rounded(model: nn.Sequential) -> nn.Module:
    """What bf16 means: weights, and the inputs of layers with weights, rounded; all else exact, here in float64."""
    model = copy.deepcopy(model).double()
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.weight.data = layer.weight.data.bfloat16().double()
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].float().bfloat16().double(),))
    return model


@pytest.mark.parametrize("isa", HALF_ISAS)
@pytest.mark.parametrize("name", ["convnet", "perceptron"])
def test_inputs_and_weights_of_layers_are_rounded_and_nothing_else(name, isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    variant, inputs = in_half(name)
    with torch.no_grad():
        wanted = rounded(variant.module)(inputs.double())
        exact = copy.deepcopy(variant.module).double()(inputs.double())
    got = prepare(variant, inputs[:4])(inputs)
    # A value on the edge between two bf16 numbers may fall to either side; that is small against what rounding
    # costs in the first place.
    assert (got - wanted).norm() <= 0.1 * (wanted - exact).norm()


@pytest.mark.parametrize("isa", HALF_ISAS)
def test_residuals_gates_and_depthwise_layers_keep_what_bf16_can_hold(isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    variant, inputs = in_half("mixed")
    with torch.no_grad():
        exact = variant.module(inputs)
    runner = prepare(variant, inputs[:4])
    # At most ten values in a row are rounded, and the weights between them: each by 2⁻⁸ of its size at most.
    assert (runner(inputs) - exact).norm() <= 20 * UNIT_ROUNDOFF * exact.norm()
    ran = {layer: (kernel.dtype, kernel.reality) for layer, kernel in runner.kernels.items()}
    assert ran.pop("depthwise.0") == ("float32", "simulated")
    assert set(ran.values()) == {("bfloat16", "real")}
    assert "depthwise convolution has no bf16 kernel" in runner.kernels["depthwise.0"].reason
    assert all("bf16" in kernel.name for layer, kernel in runner.kernels.items() if layer in ran)


@pytest.mark.parametrize("isa", OTHER_ISAS)
def test_an_instruction_set_without_bf16_refuses_by_name_and_auto_goes_on(isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    variant, inputs = in_half("perceptron")
    with pytest.raises(EngineError, match=f"{isa} has no bf16 kernels; choose int8-static"):
        prepare(variant, inputs)
    assert "native" not in engines.preferred("bf16")


@pytest.mark.parametrize("isa", HALF_ISAS[:1])
def test_auto_takes_it_first_where_the_processor_multiplies_bf16(isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    assert engines.preferred("bf16")[0] == "native"


@pytest.mark.parametrize("name", [*students(), "co2-forecast", "fashion-anomaly"])
def test_embedded_models_keep_their_predictions(name, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", HALF_ISAS[0])
    loaded = models.load(Workload(name))
    inputs = loaded.test.inputs[0][:256]
    with torch.no_grad():
        exact = loaded.module(inputs)
    runner = prepare(Variant(loaded.module, "bf16"), inputs[:8])
    got = runner(inputs)
    # At most ten layers in a row (fashion-resnet8), and see above.
    assert (got - exact).norm() <= 20 * UNIT_ROUNDOFF * exact.norm()
    simulated = {layer for layer, kernel in runner.kernels.items() if kernel.reality != "real"}
    layers = dict(loaded.module.named_modules())
    assert simulated == {name for name in runner.kernels if getattr(layers[name], "groups", 1) > 1}  # said to have none
    for batch in (1, 3):  # tiles of another height may add in another order, and one value be rounded to its neighbour
        assert (runner(inputs[:batch]) - got[:batch]).norm() <= UNIT_ROUNDOFF * got[:batch].norm()


class Odd(nn.Module):
    """Odd numbers of channels: kernels read two bf16 at once, and so one too many at the end of a row of them."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Conv2d(7, 7, 1, groups=7, bias=False)
        self.first, self.second = nn.Conv2d(7, 5, 1), nn.Conv2d(5, 3, 1)
        self.head = nn.Linear(3 * 25, 2)

    def forward(self, x):
        return self.head(self.second(torch.relu(self.first(self.same(x)))).flatten(1))


@pytest.mark.parametrize("isa", [*HALF_ISAS, *IMITATED])
def test_what_lies_behind_a_value_never_matters(isa):
    torch.manual_seed(0)
    model = Odd().eval()
    nn.init.ones_(model.same.weight)
    # The lower halves of these floats, which the depthwise layer leaves in memory, read as NaN in bf16.
    bits = torch.rand(1, 7, 5, 5).numpy().view(np.uint32) & 0xFFFF0000 | 0x7FC1
    inputs = torch.from_numpy(bits.view(np.float32))
    program = emit(lowered(read(export(model, inputs).module()), "bf16"), isa).program
    outputs = torch.empty(1, 2)
    for _ in range(2):
        program.run(inputs.data_ptr(), outputs.data_ptr(), 1, 0, 1)
        assert outputs.isfinite().all()


def test_a_model_without_layers_that_bf16_takes_says_so_layer_by_layer(monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", HALF_ISAS[0])
    model = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.Flatten()).eval()
    runner = Native().prepare(Variant(model, "bf16"), torch.rand(2, 3, 6, 6), threads=1)
    assert [(kernel.dtype, kernel.reality) for kernel in runner.kernels.values()] == [("float32", "simulated")]


def test_attention_is_rounded_where_all_it_reads_comes_from_rounded_layers_and_nowhere_else():
    plain, int8, inputs = transformers.variants("encoder")
    first = "encoder.layers.0.self_attn"
    context = Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.long)))
    mixed = Quantize(overrides={first: "fp32"}).apply(plain, context)
    weights = Quantize(scheme="int8-weights").apply(plain, context)
    exported = export(plain.module, inputs[:2]).module()

    def rounded_attention(module: torch.fx.GraphModule, precision: str) -> list[bool]:
        return [op.halves for op in lowered(read(module), precision).ops if isinstance(op, Attention)]

    assert rounded_attention(exported, "fp32") == [False, False]
    assert rounded_attention(exported, "bf16") == [True, True]
    assert rounded_attention(int8.graph, int8.precision) == [True, True]
    assert rounded_attention(mixed.graph, mixed.precision) == [False, True]
    assert rounded_attention(weights.graph, weights.precision) == [False, False]


@pytest.mark.parametrize("isa", HALF_ISAS)
def test_attention_counts_as_work_in_the_type_it_is_multiplied_in(isa, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    plain, _, inputs = transformers.variants("encoder")
    runner = prepare(Variant(plain.module, "bf16"), inputs[:4])
    scores = 2 * 3 * 13 * 13 * 16  # products and sums of three heads of 13 tokens, for scores and as many for values
    attention = [w for works in runner.layer_work(inputs[:1]).values() for w in works if w.multiply_adds == scores]
    in_bf16 = isa in transformers.HAVE_BF16_ATTENTION
    assert [work.dtype for work in attention] == ["bfloat16" if in_bf16 else "float32"] * 2


@pytest.mark.parametrize("name", ["encoder", "sentences", "convnext"])
def test_transformers_round_what_goes_into_linear_layers(name, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", HALF_ISAS[0])
    plain, _, inputs = transformers.variants(name)
    with torch.no_grad():
        exact = plain.module(inputs)
    runner = prepare(Variant(plain.module, "bf16"), inputs[:4])
    # Two blocks of four linear layers and what is around them: fewer than 24 roundings in a row, as above.
    assert (runner(inputs) - exact).norm() <= 24 * UNIT_ROUNDOFF * exact.norm()
    linear = [layer for layer, part in plain.module.named_modules() if type(part) is nn.Linear]
    assert {(runner.kernels[layer].dtype, runner.kernels[layer].reality) for layer in linear} == {("bfloat16", "real")}

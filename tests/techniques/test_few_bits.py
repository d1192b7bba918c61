"""Weights in seven bits to one with activations in eight: what they are, weigh and lose, and what runs them."""

from __future__ import annotations

import pytest
import torch
import torch.ao.quantization.fx._decomposed  # makes the operations that graphs name
from torch import nn

from tests.techniques import parts
from workbench import engines
from workbench.measure.fidelity import require_faithful
from workbench.measure.memory import stored_bytes
from workbench.measure.weights import layer_states
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.rounding import rounded
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = [name for name, each in registered().items() if each.few_bits]
SOME = ["int7-static", "int3-static", "ternary-static", "binary-static"]
LEVELS = {"ternary-static": {-1, 0, 1}, "binary-static": {-1, 1}}
DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_channel.default
CONVOLUTIONS = {
    "in one dimension": (nn.Conv1d(8, 12, 3, padding=1, stride=2), (8, 15)),
    "strided, padded and dilated": (
        nn.Conv2d(8, 12, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1)),
        (8, 9, 9),
    ),
    "in groups": (nn.Conv2d(8, 12, 3, groups=4), (8, 9, 9)),
    "depthwise": (nn.Conv2d(8, 16, 3, groups=8, bias=False), (8, 9, 9)),
    "transposed": (nn.ConvTranspose2d(8, 12, 3, stride=2), (8, 5, 5)),
    "in three dimensions": (nn.Conv3d(8, 12, 3), (8, 4, 4, 4)),
}


def quantized(module, context: Context, **options) -> Variant:
    return Quantize(**{"rounding": "nearest", "correct_biases": False} | options).apply(Variant(module), context)


def context_of(inputs: torch.Tensor, **others) -> Context:
    return Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.long)), **others)


def numbers_of(variant: Variant) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The whole numbers that each call is given for weights, in execution order, and what they stand for."""
    found = []
    for call in variant.graph.graph.nodes:
        weight = call.args[1] if len(call.args) > 1 else None
        if isinstance(weight, torch.fx.Node) and weight.target is DEQUANTIZE:
            arguments = torch.fx.node.map_arg(weight.args, lambda each: variant.graph.get_buffer(each.target))
            found.append((arguments[0], DEQUANTIZE(*arguments)))
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_channel_of_every_layer_has_the_nearest_of_its_numbers(scheme):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()
    with torch.no_grad():
        module[0].weight[1, 2, 0, 0] *= 1000  # one that no other comes near
        module[0].weight[2] = 0
    formats = registered()[scheme].weights
    allowed = LEVELS.get(scheme) or set(range(-(2 ** (formats.bits - 1)), 2 ** (formats.bits - 1)))
    layers = [module[0], module[3]]
    for layer, (numbers, values) in zip(
        layers, numbers_of(quantized(module, context_of(torch.rand(64, 3, 8, 8)), scheme=scheme)), strict=True
    ):
        wanted, scales = rounded(layer.weight.detach().flatten(1).unsqueeze(1), formats)
        assert set(numbers.unique().tolist()) <= allowed
        assert torch.equal(numbers.flatten(1), wanted[:, 0].to(torch.int8))
        assert torch.allclose(values.flatten(1), wanted[:, 0] * scales)
        assert not values[2].any() or layer is module[3]


def test_fewer_bits_lose_more_and_learning_how_to_round_loses_less(workload, few):
    images = workload.test.inputs[0][:500]
    exact, errors = parts.logits(workload.module, images), {}
    for rounding in ("nearest", "learned"):
        for bits in (7, 4, 3, 2):
            variant = quantized(workload.module, few, scheme=f"int{bits}-static", rounding=rounding)
            errors[rounding, bits] = float((parts.logits(variant.graph, images) - exact).norm() / exact.norm())
    for rounding in ("nearest", "learned"):
        assert sorted(errors[rounding, bits] for bits in (7, 4, 3, 2)) == [errors[rounding, b] for b in (7, 4, 3, 2)]
    assert all(errors["learned", bits] < 0.9 * errors["nearest", bits] for bits in (4, 3, 2))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_every_convolution_has_a_form_in_few_bits(name):
    torch.manual_seed(0)
    layer, shape = CONVOLUTIONS[name]
    inputs = torch.rand(64, *shape)
    wanted, off = layer(inputs).detach(), {}
    for rounding in ("nearest", "learned"):
        variant = quantized(nn.Sequential(layer).eval(), context_of(inputs), scheme="int3-static", rounding=rounding)
        off[rounding] = float((variant.graph(inputs) - wanted).norm() / wanted.norm())
        (numbers, _), *others = numbers_of(variant)
        assert not others
        assert numbers.shape == layer.weight.shape
        assert numbers.abs().max() <= 4
    assert off["learned"] <= off["nearest"] < 0.35


def test_a_convolution_in_one_dimension_learns_what_it_would_as_an_image_of_one_row():
    torch.manual_seed(0)
    flat, shape = CONVOLUTIONS["in one dimension"]
    image = nn.Conv2d(8, 12, (1, 3), stride=(1, 2), padding=(0, 1))
    image.load_state_dict(
        {name: each.unsqueeze(-2) if each.dim() > 1 else each for name, each in flat.state_dict().items()}
    )
    inputs = torch.rand(64, *shape)
    options = {"scheme": "int3-static", "rounding": "learned"}
    ((one, _),) = numbers_of(quantized(nn.Sequential(flat).eval(), context_of(inputs), **options))
    ((other, _),) = numbers_of(quantized(nn.Sequential(image).eval(), context_of(inputs.unsqueeze(-2)), **options))
    assert torch.equal(one, other.squeeze(-2))


@pytest.mark.parametrize("scheme", SOME)
def test_receipts_and_sizes_count_bits(few, workload, scheme):
    bits = registered()[scheme].weights.bits
    eight, fewer = (quantized(workload.module, few, scheme=each) for each in ("int8-static", scheme))
    weights = {name: layer.weight for name, layer in workload.module.named_modules() if hasattr(layer, "weight")}
    saved = sum(each.numel() - len(each) * -(-each[0].numel() * bits // 8) for each in weights.values())
    assert stored_bytes(eight) - stored_bytes(fewer) == saved
    for name, state in layer_states(fewer).items():
        assert (state.dtype, state.weight_shape) == (f"int{bits}", tuple(weights[name].shape))


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        (name, scheme)
        for name, each in engines.registered().items()
        for scheme in ("int3-static", "binary-static")
        if "int8-static" in each.precisions and not (each.slow_to_prepare and scheme == "binary-static")
    ],
)
def test_kernels_for_eight_bits_run_them_for_real_also_channels_of_zeros(name, scheme):
    engine = engines.find(name)
    if reason := engine.why_not(scheme, "cpu"):
        pytest.skip(reason)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(256, 5)).eval()
    with torch.no_grad():
        module[2].weight[3], module[2].bias[3], module[4].weight[1] = 0, 0.5, 0
    inputs = torch.rand(64, 3, 8, 8)
    variant = Quantize(scheme=scheme).apply(Variant(module), context_of(inputs, saturates=engine.saturates()))
    assert not variant.remarks  # so few bits of a weight never overflow
    runner = engine.prepare(variant, inputs[:4], threads=1)
    try:
        require_faithful(engine, runner, variant, inputs, batch=4)
        realities = {kernel.reality for kernel in runner.kernels.values()}
        assert realities == ({"simulated"} if engine.is_reference else {"real"})
    finally:
        runner.close()


@pytest.mark.parametrize("scheme", ["int8-static", *SOME])
def test_what_is_saved_is_packed_and_computes_the_same_without_this_package(workload, few, scheme, tmp_path):
    variant = quantized(workload.module, few, scheme=scheme)
    images = workload.test.inputs[0][:8]
    runner = engines.reference().prepare(variant, images, threads=1)
    (path,) = runner.save(tmp_path)
    program = torch.export.load(str(path))
    packed = sum(each.nbytes for each in program.state_dict.values() if each.dtype in (torch.uint8, torch.int8))
    bits = registered()[scheme].weights.bits
    weights = sum(layer.weight.numel() for layer in workload.module.modules() if hasattr(layer, "weight"))
    assert weights * bits / 8 <= packed < 1.05 * weights * bits / 8 + 100
    assert torch.equal(program.module()(images), variant.graph(images))


def test_layers_have_bits_of_their_own_and_a_weight_that_two_share_is_rounded_where_it_is_asked():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    module[2].weight = module[0].weight
    inputs = torch.rand(64, 16)
    overrides = {"0": "int2-static", "4": "int4-weights"}
    variant = quantized(module, context_of(inputs), scheme="int8-static", overrides=overrides)
    (two, _), (eight, _) = numbers_of(variant)
    assert two.abs().max() <= 2
    assert eight.abs().max() == 127
    assert (variant.formats_of("0").name, variant.formats_of("2").name) == ("int2-static", "int8-static")


def test_seven_bits_are_kept_to_where_the_engine_saturates_and_fewer_are_as_they_were():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    inputs = torch.rand(64, 16)
    options = {"scheme": "int8-static", "overrides": {"2": "int4-static"}}
    variant = quantized(module, context_of(inputs, saturates=True), **options)
    (eight, _), (four, _) = numbers_of(variant)
    assert four.abs().max() <= 8
    assert "0" in variant.remarks
    assert eight.abs().max() <= 64 or "activations" in variant.remarks["0"]


def test_the_same_recipe_gives_the_same_weights(workload, few):
    one, other = (
        numbers_of(quantized(workload.module, few, scheme="int4-static", rounding="learned")) for _ in range(2)
    )
    assert all(torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(one, other, strict=True))

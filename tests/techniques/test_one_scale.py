"""One scale for all weights of a layer: what it is, and that engines of bytes run it as they run a scale a channel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.techniques import parts
from tests.techniques.test_few_bits import context_of, numbers_of
from workbench import engines
from workbench.measure.fidelity import require_faithful
from workbench.precisions import registered
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.groups import Groups
from workbench.techniques.quantize.rounding import rounded
from workbench.techniques.quantize.schemes import in_bytes, with_one_scale
from workbench.variant import Variant

SCHEMES = [name for name, each in registered().items() if in_bytes(each)]
OF_BYTES = ("int8-static", "int8-dynamic", "int8-weights")


class Mixed(nn.Module):
    """Convolutions plain, depthwise and transposed, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.up = nn.ConvTranspose2d(8, 4, 2, groups=2)
        self.head = nn.Linear(4 * 25, 5)

    def forward(self, images):
        features = torch.relu(self.depthwise(torch.relu(self.conv(images))))
        return self.head(torch.relu(self.up(features)).flatten(1))


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    found = Mixed().eval()
    with torch.no_grad():
        found.conv.weight[3] *= 20  # a channel that no other comes near
        found.head.weight[1] = 0
    return found


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def quantized(module: nn.Module, inputs: torch.Tensor, saturates: bool = False, **options) -> Variant:
    step = Quantize(**{"granularity": "tensor", "correct_biases": False} | options)
    return step.apply(Variant(module), context_of(inputs, saturates=saturates))


def scales_of(variant: Variant) -> list[torch.Tensor]:
    """Those of each weight, [outputs], in execution order."""
    calls = [node for node in variant.graph.graph.nodes if "dequantize" in str(node.target)]
    scales = [node.args[1] for node in calls if isinstance(node.args[1], torch.fx.Node)]
    return [variant.graph.get_buffer(node.target) for node in scales if node.op == "get_attr"]


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    axis=st.integers(0, 1),
    seed=st.integers(0, 100),
    spread=st.sampled_from([0.0, 1.0, 1000.0]),
)
@settings(max_examples=60, deadline=None)
def test_weights_are_within_half_of_the_one_step_that_their_largest_asks_for(shape, axis, seed, spread):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * spread
    formats = with_one_scale(registered()["int8-weights"]).weights
    groups = Groups.sharing(formats, axis, 32)
    numbers, scales = rounded(groups.of(weight), formats)
    step = float(weight.abs().max()) / 127
    assert groups.by_channel(scales, weight).tolist() == pytest.approx([step or 1.0] * shape[axis])
    # Half a step, and ε of the largest magnitude, 127 steps, for the division and product on the way.
    allowed = (0.5 + 127 * torch.finfo(torch.float32).eps) * step
    assert ((groups.back(numbers, weight) * scales - weight).abs() <= allowed).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_channels_of_a_layer_have_the_scale_of_its_largest_weight(module, images, scheme):
    variant = quantized(module, images, scheme=scheme)
    assert all(len(set(scales.tolist())) == 1 for scales in scales_of(variant))
    assert any(len(scales) == 5 for scales in scales_of(variant))
    each = scales_of(quantized(module, images, scheme=scheme, granularity="channel"))
    assert len(each) == len(scales_of(variant))
    for own, whole in zip(each, scales_of(variant), strict=True):
        assert float(whole[0]) == pytest.approx(float(own[own != 1].max()))  # zeros have any


def test_a_scale_for_each_channel_stays_what_is_meant_unless_asked_otherwise(module, images):
    assert Quantize().granularity == "channel"
    assert any(len(set(scales.tolist())) > 1 for scales in scales_of(quantized(module, images, granularity="channel")))


def test_few_bits_keep_a_scale_for_each_channel_beside_it(module, images):
    variant = quantized(module, images, scheme="int8-static", overrides={"head": "int4-static"})
    *of_bytes, of_head = scales_of(variant)
    assert all(len(set(scales.tolist())) == 1 for scales in of_bytes)
    assert len(set(of_head.tolist())) > 1


@pytest.mark.parametrize("scheme", OF_BYTES)
@pytest.mark.parametrize("name", [*parts.ENGINES_OF_BYTES])
def test_engines_run_it_for_real_and_agree_with_the_graph(module, images, scheme, name):
    engine = engines.find(name)
    if reason := engine.why_not(scheme, "cpu"):
        pytest.skip(reason)
    variant = quantized(module, images, saturates=engine.saturates(), scheme=scheme)
    runner = engine.prepare(variant, images[:4], threads=1)
    try:
        require_faithful(engine, runner, variant, images, batch=4)
        head = runner.kernels["head"]
        assert head.reality == ("simulated" if name == "eager" else "real"), head.reason
    finally:
        runner.close()


@pytest.mark.parametrize("scheme", ["int8-static", "int8-weights"])
def test_what_was_trained_with_one_scale_runs_with_one(module, images, scheme):
    variant = quantized(module, images, scheme=scheme, epochs=1)
    assert all(len(set(scales.tolist())) == 1 for scales in scales_of(variant))
    if scheme == "int8-static":
        weights = [module.get_submodule(name).weight for name in ("conv", "depthwise", "up", "head")]
        assert [values.shape for _, values in numbers_of(variant)] == [weight.shape for weight in weights]
        trained = dict(variant.module.named_parameters())["head.weight"]
        assert torch.allclose(numbers_of(variant)[-1][1], trained, rtol=1e-5, atol=1e-7)


def test_recurrent_layers_have_one_scale_for_each_matrix():
    torch.manual_seed(0)
    layer = nn.GRU(12, 16, batch_first=True)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, steps):
            return self.layer(steps)[0][:, -1]

    inputs = torch.randn(8, 7, 12)
    for scheme in OF_BYTES:
        found = scales_of(quantized(Last().eval(), inputs, scheme=scheme))
        assert [len(set(scales.tolist())) for scales in found] == [1, 1], scheme


def test_the_receipt_says_so(module, images):
    remarks = quantized(module, images, saturates=True).remarks
    assert remarks.keys() == {"conv", "depthwise", "up", "head"}
    assert all(remark.endswith("; one scale for all its weights") for remark in remarks.values())
    assert quantized(module, images).remarks["conv"] == "one scale for all its weights"
    assert not quantized(module, images, granularity="channel").remarks

"""Inputs of layers in four and two bits: the numbers they become, what stays whole around them, and what runs them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.techniques import parts
from tests.techniques.test_few_bits import context_of, quantized
from workbench import engines
from workbench.graph import layer_of
from workbench.measure.fidelity import require_faithful
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques._training import Plan
from workbench.techniques.quantize import Quantize, training
from workbench.techniques.quantize.observers import OBSERVERS
from workbench.techniques.quantize.reduced import DEQUANTIZE
from workbench.techniques.quantize.working import Working
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = [name for name, each in registered().items() if each.activations and each.activations.bits < 8]
PRODUCTS = (torch.ops.aten.conv2d.default, torch.ops.aten.linear.default)


class Values(torch.fx.Interpreter):
    """Keeps what each node gives."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self.of: dict[torch.fx.Node, torch.Tensor] = {}

    def run_node(self, node: torch.fx.Node):
        self.of[node] = super().run_node(node)
        return self.of[node]


def products(graph: torch.fx.GraphModule) -> list[torch.fx.Node]:
    return [node for node in graph.graph.nodes if node.target in PRODUCTS]


def input_ranges(working: Working) -> dict[str, tuple[float, int]]:
    """By layer the scale of its inputs' numbers and which of them is zero, in the graph."""
    graph, _ = working.quantized
    return {layer_of(node): node.args[0].args[0].args[1:3] for node in products(graph)}


def residual_and_data() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return parts.Residual().eval(), torch.randn(64, 1, 28, 28)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_multiply_no_more_numbers_than_there_are_each_within_half_a_step(scheme):
    module, images = residual_and_data()
    graph = quantized(module, context_of(images), scheme=scheme, calibration="range").graph
    values = Values(graph)
    values.run(images)
    most = 2 ** registered()[scheme].activations.bits - 1
    assert len(products(graph)) == 4
    for node in products(graph):
        assert node.args[0].target is DEQUANTIZE
        rounding = node.args[0].args[0]
        limited, scale, zero_point, *_ = rounding.args
        exact = values.of[limited.args[0] if limited.target is torch.ops.aten.clamp.default else limited]
        assert len(values.of[node.args[0]].unique()) <= most + 1
        within = (exact >= -zero_point * scale) & (exact <= (most - zero_point) * scale)
        error = (values.of[node.args[0]] - exact)[within].abs()
        assert within.float().mean() > 0.9
        assert error.max() <= scale / 2 * 1.001


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_is_added_on_the_way_is_not_rounded(scheme):
    module, images = residual_and_data()
    graph = quantized(module, context_of(images), scheme=scheme).graph
    (added,) = (node for node in graph.graph.nodes if node.target is torch.ops.aten.add.Tensor)
    assert all(each.target is not DEQUANTIZE for each in added.args)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", parts.ENGINES_OF_BYTES)
def test_every_engine_with_kernels_for_bytes_runs_it(name, scheme):
    engine = engines.find(name)
    if reason := engine.why_not(scheme, "cpu"):
        pytest.skip(reason)
    module, images = residual_and_data()
    variant = quantized(module, context_of(images, saturates=engine.saturates()), scheme=scheme)
    runner = engine.prepare(variant, images[:4], threads=1)
    try:
        require_faithful(engine, runner, variant, (images,), batch=4)
    finally:
        runner.close()


def test_the_least_squared_error_is_that_of_the_numbers_there_are():
    torch.manual_seed(0)
    values = torch.randn(20_000)

    def error(calibration: str, most: int) -> float:
        observer = OBSERVERS[calibration](dtype=torch.uint8, quant_min=0, quant_max=most)
        observer(values)
        scale, zero_point = observer.calculate_qparams()
        rounded = torch.fake_quantize_per_tensor_affine(values, scale, zero_point.int(), 0, most)
        return float((rounded - values).square().mean())

    assert error("mse", 15) < 0.8 * error("percentile", 15)
    assert error("mse", 3) < 0.8 * error("percentile", 3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_ranges_that_were_learned_are_those_that_run(scheme):
    module, images = residual_and_data()
    exact = parts.logits(module, images)
    context = Context(train=Data(images.repeat(4, 1, 1, 1), exact.argmax(1).repeat(4)))
    step = Quantize(scheme=scheme, epochs=2, learning_rate=0.02)
    before = step.working(module, context)
    after, worse = training.trained(before, Plan("quantize", step.epochs, step.learning_rate))
    assert worse is None
    assert after.ranges.keys() == {"stem", "conv", "down", "head"}
    assert input_ranges(after) == after.ranges
    assert all(range != after.ranges[layer] for layer, range in input_ranges(before).items())


def test_training_wins_back_what_rounding_inputs_lost(workload):
    context = Context(train=workload.train.at(slice(4096)))
    images, classes = workload.test.inputs[0][:1000], workload.test.targets[:1000]

    def accuracy(epochs: int) -> float:
        step = Quantize(scheme="int2-int2-static", rounding="nearest", epochs=epochs, learning_rate=0.002)
        graph = step.apply(Variant(workload.module), context).graph
        return float((parts.logits(graph, images).argmax(1) == classes).float().mean())

    assert accuracy(epochs=1) > accuracy(epochs=0) + 0.015

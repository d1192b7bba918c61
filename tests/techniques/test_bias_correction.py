"""What rounding shifts outputs by on average is taken back, and nothing else is changed."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench import engines
from workbench.measure.memory import stored_tensors
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SCHEMES = [name for name, each in registered().items() if each.weights]


def both(module, context, **options) -> list[Variant]:
    """Quantized without and with corrected biases."""
    return [Quantize(correct_biases=wanted, **options).apply(Variant(module), context) for wanted in (False, True)]


def changed(before: Variant, after: Variant) -> set[str]:
    """The constants that are others, or that weren't there."""
    old, new = before.graph.state_dict(), after.graph.state_dict()
    return {name for name in new if name not in old or not torch.equal(old[name], new[name])}


def shift(variant: Variant, module: nn.Module, inputs: torch.Tensor) -> float:
    """‖mean(what the graph gives − what the module gives)‖ over the inputs."""
    return float((parts.logits(variant.graph, inputs) - parts.logits(module, inputs)).mean(0).norm())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_are_right_on_average_for_the_examples_that_it_was_learned_from(few, scheme):
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10, bias=False)]
    module = nn.Sequential(*layers).eval()
    context = Context(train=Data(few.train.inputs[0][:256], few.train.targets[:256]))
    without, corrected = both(module, context, scheme=scheme)
    inputs = context.train.inputs[0]
    assert shift(without, module, inputs) > 0
    # Rounded activations move once more when a bias does, by half a step at most, each its own way.
    assert shift(corrected, module, inputs) < 0.2 * shift(without, module, inputs) + 1e-3


@pytest.mark.parametrize("architecture", parts.ARCHITECTURES)
def test_convolutions_are_corrected_channel_by_channel_and_weights_stay_as_they_were(few, architecture):
    module = parts.build(architecture)
    without, corrected = both(module, few)
    assert all(re.search(r"bias(_\d+)?$", name) for name in changed(without, corrected))
    images = few.train.inputs[0][:256]
    assert shift(corrected, module, images) < shift(without, module, images)


def test_real_images_that_were_not_seen_are_shifted_less_too(workload, few):
    without, corrected = both(workload.module, few, scheme="binary-weights")
    images = workload.test.inputs[0][:2000]
    assert shift(corrected, workload.module, images) < 0.5 * shift(without, workload.module, images)


def test_a_layer_that_is_kept_in_fp32_keeps_its_bias(workload, few):
    assert changed(*both(workload.module, few, overrides={"conv1": "fp32"})) == {"conv2.bias", "fc1.bias", "fc2.bias"}


def test_layers_that_share_a_bias_or_have_none_each_get_their_own(few):
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(784, 784), nn.Linear(784, 784)
            self.second.bias = self.first.bias
            self.last = nn.Linear(784, 10, bias=False)

        def forward(self, x):
            return self.last(self.second(self.first(x.flatten(1)).relu()).relu())

    torch.manual_seed(0)
    module = Shares().eval()
    without, corrected = both(module, few)
    assert changed(without, corrected) == {"second.bias_2", "second.bias_3", "last.weight_bias"}
    inputs = few.train.inputs[0][:256]
    assert shift(corrected, module, inputs) < 0.5 * shift(without, module, inputs)
    assert {"second.bias_2", "second.bias_3", "last.weight_bias"} <= stored_tensors(corrected).keys()


def test_a_bias_is_corrected_once_however_often_a_recipe_is_applied(workload, few):
    one, other = (Quantize().apply(Variant(workload.module), few).graph.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("engine", ["native", "onnxruntime", "openvino"])
def test_engines_use_the_corrected_biases(workload, few, engine):
    engine = engines.find(engine)
    variant = Quantize().apply(Variant(workload.module), few)
    images = workload.test.inputs[0][:32]
    simulated = parts.logits(variant.graph, images)
    if engine.saturates():
        pytest.skip("8 bits overflow in this engine on this processor; the shelf gives it 7")
    assert (engine.prepare(variant, images, threads=1)(images) - simulated).norm() <= 0.01 * simulated.norm()


def test_outputs_that_are_no_numbers_correct_nothing():
    class Divides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            return self.fc(x / x[:, :1])

    torch.manual_seed(0)
    inputs = torch.rand(64, 8)
    inputs[3, 0] = 0
    assert changed(*both(Divides().eval(), Context(train=Data(inputs)), scheme="int8-weights")) == set()


@pytest.mark.parametrize("scheme", ["int8-weights", "int4-weights"])
def test_from_a_few_examples_nothing_is_learned(scheme):
    torch.manual_seed(0)
    module = nn.Linear(32, 4).eval()
    context = Context(train=Data(torch.rand(31, 32)))
    as_it_comes = Quantize(scheme=scheme).apply(Variant(module), context).graph.state_dict()
    plain = Quantize(scheme=scheme, rounding="nearest", correct_biases=False).apply(Variant(module), context)
    assert as_it_comes.keys() == plain.graph.state_dict().keys()
    assert all(torch.equal(as_it_comes[name], tensor) for name, tensor in plain.graph.state_dict().items())

"""Graphs that torchao's flow alone gets wrong, fails at or is slow with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.engines.models import tolerance
from workbench import engines
from workbench.errors import WorkbenchError
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize, batch_norms
from workbench.variant import Variant
from workbench.workload import Data

SHAPE = (3, 8, 8)
INT8 = ("int8-static", "int8-dynamic")


class Recurrent(nn.Module):
    """One convolution, each time before another normalisation, and once before none."""

    def __init__(self, norms: int = 2, plain: bool = True, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=bias)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(norms))
        self.plain = plain
        self.head = nn.Linear(192, 5)

    def forward(self, images):
        features = images
        for norm in [*self.norms, *list(self.norms)[:1]]:
            features = torch.relu(norm(self.conv(features)))
        if self.plain:
            features = self.conv(features)
        return self.head(features.flatten(1))


class PreActivation(nn.Module):
    """Batch normalisations that follow a sum, come first or end a block."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(3)
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.hidden = nn.Linear(8, 16)
        self.last = nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 5)

    def forward(self, images):
        features = self.stem(self.first(images))
        features = features + self.conv(torch.relu(self.norm(features)))
        return self.head(self.last(torch.relu(self.hidden(features.mean((2, 3))))))


class Calls(nn.Module):
    """A forward of a few lines over layers of three numbers each."""

    def __init__(self, forward, *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.calls = nn.ModuleList(layers), forward

    def forward(self, inputs):
        return self.calls(inputs, *self.layers)


def in_place(rows, first, last):
    rows = first(rows)
    rows += 1
    return last(rows)


def unused(rows, first, pooler, last):
    rows = first(rows)
    pooler(rows)
    return last(torch.relu(rows))


HARD_FOR_TORCHAO = {
    "convolution + 1.0": lambda: Calls(
        lambda images, conv, head: head(torch.relu(conv(images) + 1.0).flatten(1)),
        nn.Conv2d(3, 4, 3),
        nn.Linear(144, 5),
    ),
    "linear + 1": lambda: Calls(
        lambda images, first, last: last(torch.relu(first(images.flatten(1)) + 1)), nn.Linear(192, 16), nn.Linear(16, 5)
    ),
    "+= 1": lambda: Calls(
        lambda images, *layers: in_place(images.flatten(1), *layers), nn.Linear(192, 16), nn.Linear(16, 5)
    ),
    "unused": lambda: Calls(
        lambda images, *layers: unused(images.flatten(1), *layers),
        nn.Linear(192, 16),
        nn.Sequential(nn.Linear(16, 16), nn.Tanh()),
        nn.Linear(16, 5),
    ),
}


def trained(make) -> nn.Module:
    """A model with statistics as if it had been trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make()
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.3, 2)
                if layer.affine:
                    nn.init.uniform_(layer.weight, 0.5, 2)
                    nn.init.normal_(layer.bias, 0, 0.3)
    return module.eval().requires_grad_(False)


def images(count: int) -> torch.Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))


def quantized(module: nn.Module, *, saturates: bool = False, **options) -> Variant:
    train = Data(images(64), torch.zeros(64, dtype=torch.long))
    return Quantize(**options).apply(Variant(module), Context(train=train, saturates=saturates))


def weights(variant: Variant) -> list[torch.Tensor]:
    """The int8 weights that the graph uses."""
    graph = variant.graph
    dequantized = [node.args[0] for node in graph.graph.nodes if "dequantize_per_channel" in str(node.target)]
    return [graph.get_buffer(name) for name in dict.fromkeys(node.target for node in dequantized)]


def assert_same_answers(variant: Variant) -> None:
    # Each of at most six layers adds an error of about 1 % of its output: sqrt(6) of that, and as much again in hand.
    wanted = variant.module(images(64))
    assert (variant.graph(images(64)) - wanted).norm() <= 0.05 * wanted.norm()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scheme", INT8)
def test_a_convolution_before_several_batch_normalisations_keeps_its_answers(scheme, bias):
    assert_same_answers(quantized(trained(lambda: Recurrent(bias=bias)), scheme=scheme))


def test_a_weight_is_kept_once_for_each_normalisation_folded_into_it_and_once_for_calls_without():
    convolutions = [weight for weight in weights(quantized(trained(Recurrent))) if weight.dim() == 4]
    assert len(convolutions) == 3


@pytest.mark.parametrize(("norms", "plain"), [(1, False), (0, True)])
def test_calls_that_have_the_same_folded_into_them_or_nothing_share_one_weight(norms, plain):
    variant = quantized(trained(lambda: Recurrent(norms=norms, plain=plain)))
    assert len([weight for weight in weights(variant) if weight.dim() == 4]) == 1
    assert_same_answers(variant)


@pytest.mark.parametrize(("groups", "left"), [(1, 0), (3, 1)])
def test_a_batch_normalisation_is_folded_into_a_transposed_convolution_of_one_group(groups, left):
    layers = nn.ConvTranspose2d(3, 6, 3, groups=groups), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(600, 5)
    variant = quantized(trained(lambda: nn.Sequential(*layers)))
    assert_same_answers(variant)
    norms = [node for node in variant.graph.graph.nodes if node.target is torch.ops.aten.batch_norm.default]
    assert len(norms) == left


def test_a_batch_normalisation_without_gain_and_shift_is_folded_too():
    layers = nn.Flatten(), nn.Linear(192, 16), nn.BatchNorm1d(16, affine=False), nn.ReLU(), nn.Linear(16, 5)
    assert_same_answers(quantized(trained(lambda: nn.Sequential(*layers))))


def test_a_graph_that_computes_something_else_than_the_model_is_refused_in_one_line(monkeypatch):
    fused = batch_norms._fused
    monkeypatch.setattr(batch_norms, "_fused", lambda *nodes: tuple(1.1 * each for each in fused(*nodes)))
    with pytest.raises(
        WorkbenchError, match=r"off by \d+ % of their norm before anything is rounded; use bf16"
    ) as found:
        quantized(trained(Recurrent))
    assert "\n" not in str(found.value)


def test_a_model_that_draws_random_numbers_is_not_refused_for_that():
    noisy = Calls(
        lambda images, first, last: last(nn.functional.dropout(first(images.flatten(1)), 0.5, training=True)),
        nn.Linear(192, 64),
        nn.Linear(64, 5),
    )
    assert quantized(noisy.eval()).precision == "int8-static"


@pytest.mark.parametrize("scheme", [*INT8, "int8-weights", "int4-weights", "int4-static"])
def test_random_numbers_that_are_not_torch_s_are_not_held_for_ever(scheme):
    noisy = Calls(
        lambda images, first, last: last(
            first(images.flatten(1)) + torch.from_numpy(np.random.default_rng().random(64)).float()
        ),
        nn.Linear(192, 64),
        nn.Linear(64, 5),
    )
    with pytest.raises(WorkbenchError, match="draws random numbers that aren't torch's"):
        quantized(noisy.eval(), scheme=scheme)


@pytest.mark.parametrize("scheme", INT8)
@pytest.mark.parametrize("name", HARD_FOR_TORCHAO)
def test_sums_with_numbers_and_unused_layers_are_no_obstacle(name, scheme):
    variant = quantized(trained(HARD_FOR_TORCHAO[name]), scheme=scheme)
    assert_same_answers(variant)
    assert all("Conv" in type(variant.module.get_submodule(name)).__name__ for name in variant.unchanged)


def test_whatever_torchao_fails_with_each_call_is_quantized_by_itself(monkeypatch):
    from workbench.techniques.quantize.pt2e import X86InductorQuantizer

    def fail(self, model, *_) -> None:
        raise IndexError("list index out of range")  # after convolutions were annotated

    monkeypatch.setattr(X86InductorQuantizer, "_annotate_linear_fusion_pattern", fail)
    variant = quantized(trained(HARD_FOR_TORCHAO["convolution + 1.0"]))
    assert len(weights(variant)) == 2
    assert_same_answers(variant)


@pytest.mark.parametrize("scheme", INT8)
def test_a_batch_normalisation_that_follows_no_layer_is_kept_without_a_search_for_what_training_leaves(
    monkeypatch, scheme
):
    def search(*_, **__) -> None:
        raise AssertionError("96 patterns are exported here, which takes half a minute")

    monkeypatch.setattr("torchao.quantization.pt2e.qat_utils._get_aten_graph_module_for_pattern", search)
    variant = quantized(trained(PreActivation), scheme=scheme)
    assert_same_answers(variant)
    norms = [node for node in variant.graph.graph.nodes if node.target is torch.ops.aten.batch_norm.default]
    assert len(norms) == 3


@pytest.mark.parametrize("make", [PreActivation, Recurrent])
@pytest.mark.parametrize("engine", ["native", "onnxruntime", "openvino"])
def test_engines_compute_what_such_a_graph_says(engine, make):
    found = engines.find(engine)
    if reason := found.unavailable():
        pytest.skip(reason)
    variant = quantized(trained(make), saturates=found.saturates())
    wanted = variant.graph(images(8))
    runner = found.prepare(variant, images(8), threads=1)
    assert (runner(images(8)) - wanted).abs().max() <= tolerance("int8-static", wanted)


def test_a_one_dimensional_convolution_before_a_relu_stays_fp32_where_the_recipe_asks():
    model = trained(
        lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(248, 5))
    )
    assert quantized(model, overrides={"1": "fp32"}).unchanged == {"1": "kept in fp32 as the recipe asks"}

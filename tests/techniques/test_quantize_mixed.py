"""Single layers with a scheme of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench import engines
from workbench.engines.native.pick.keep import KEPT as MEASURED_SLOWER
from workbench.errors import EngineError, RecipeError
from workbench.graph.layers import in_graph
from workbench.measure.weights import layer_states
from workbench.recipe import Recipe
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant

MIXES = {
    "weights alone beside int8": {"fc1": "int4-weights", "conv1": "fp32"},
    "static beside dynamic": {"fc*": "int8-dynamic"},
    "three in one": {"fc1": "int8-dynamic", "fc2": "ternary-weights"},
}


def quantized(module, context, **options) -> Variant:
    return Quantize(**options).apply(Variant(module), context)


def test_each_layer_is_stored_as_its_own_scheme_says(workload, few):
    overrides = {"conv1": "fp32", "fc1": "int4-weights", "fc2": "int8-dynamic"}
    variant = quantized(workload.module, few, overrides=overrides)
    stored = {name: state.dtype for name, state in layer_states(variant).items()}
    assert stored == {"conv1": "float32", "conv2": "int8", "fc1": "int4", "fc2": "int8"}
    assert variant.apart == {"fc1": "int4-weights", "fc2": "int8-dynamic"}
    assert variant.unchanged == {"conv1": "kept in fp32 as the recipe asks"}


def test_a_layer_in_a_mix_is_what_it_is_where_all_have_its_scheme(workload, few):
    images = workload.test.inputs[0][:64]
    alone = quantized(workload.module, few, scheme="int4-weights", overrides={"fc2": "fp32"})
    mixed = quantized(workload.module, few, overrides={"*": "fp32", "fc1": "int4-weights"})
    torch.testing.assert_close(parts.logits(mixed.graph, images), parts.logits(alone.graph, images))


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
@pytest.mark.parametrize("overrides", MIXES.values(), ids=MIXES)
def test_an_engine_computes_what_the_graph_says_and_each_layer_is_real(workload, few, overrides, engine):
    step = Quantize(overrides=overrides)
    engine = engines.find(engine)
    if reason := engine.why_not(step.precisions, "cpu"):
        with pytest.raises(EngineError, match=r"(int4|ternary)-weights on cpu"):
            engine.prepare(step.apply(Variant(workload.module), few), few.train.inputs[0][:8], threads=1)
        assert engine.name == "onnxruntime", reason
        return
    variant = step.apply(Variant(workload.module), replace(few, saturates=engine.saturates()))
    images = workload.test.inputs[0][:32]
    runner = engine.prepare(variant, images, threads=1)
    simulated = parts.logits(variant.graph, images)
    assert (runner(images) - simulated).norm() <= 0.01 * simulated.norm()
    asked = {name for name in runner.kernels if step.of_layer(name) != "fp32"}
    ran = [runner.kernels[name] for name in asked]
    assert {kernel.reality for kernel in ran if kernel.reason != MEASURED_SLOWER} == {"real"}
    assert {runner.kernels[name].reality for name in runner.kernels.keys() - asked} <= {"unchanged"}


@pytest.mark.parametrize(
    ("overrides", "layer", "scheme"),
    [
        ({"block": "fp32", "block.conv1": "int8-static"}, "block.conv1", "int8-static"),
        ({"block.conv1": "int8-static", "block": "fp32"}, "block.conv1", "int8-static"),
        ({"block": "fp32"}, "block.conv1", "fp32"),
        ({"block": "fp32"}, "blocks.conv1", "int8-dynamic"),
        ({"*": "fp32", "*.conv?": "int4"}, "block.conv1", "int4-weights"),
        ({"*": "fp32", "*.conv?": "int4"}, "head", "fp32"),
    ],
)
def test_of_several_that_name_a_layer_its_own_name_counts_else_the_longest(overrides, layer, scheme):
    assert Quantize(scheme="int8-dynamic", overrides=overrides).of_layer(layer) == scheme


def test_what_is_kept_keeps_the_sums_in_it_too(few):
    variant = quantized(parts.build(parts.Residual), few, overrides={"*": "fp32", "head": "int8-static"})
    (rounding,) = (node for node in variant.graph.graph.nodes if ".quantize_per_tensor" in str(node.target))
    assert [call.name for call in in_graph(variant.graph.graph) if call.quantized] == ["head"]
    assert rounding.args[0].target is torch.ops.aten.mean.dim


def test_a_layer_without_that_form_says_so(workload, few):
    variant = quantized(workload.module, few, overrides={"conv2": "int4-weights"})
    assert variant.unchanged == {"conv2": "int4-weights quantizes linear layers only; a convolution needs int8-static"}


def test_a_recipe_asks_its_engine_for_all_of_its_precisions():
    recipe = Recipe.parse(steps=[{"do": "quantize", "overrides": {"a": "int4", "b": "fp32"}}])
    assert recipe.precisions == ("int8-static", "int4-weights")
    assert set(engines.preferred(recipe.precisions)) <= {"native", "eager"}
    assert Recipe.plain().precisions == ("fp32",)


def test_it_is_told_in_a_few_words():
    assert Quantize(overrides={"a": "int4", "b": "int4"}).summary() == "int8, a and b in int4 weights"
    assert Quantize(overrides={"*": "fp32", "a": "int2"}).summary() == "fp32, a in int2 weights"


def test_what_a_layer_can_not_be_or_is_not_there_is_refused_in_one_line(workload, few):
    with pytest.raises(RecipeError, match="a single layer can't have the scheme 'bf16': it is one of the whole model"):
        Recipe.parse(steps=[{"do": "quantize", "overrides": {"fc1": "bf16"}}])
    with pytest.raises(RecipeError, match="scheme 'itn4' is not known; did you mean int4"):
        Recipe.parse(steps=[{"do": "quantize", "overrides": {"fc1": "itn4"}}])
    with pytest.raises(RecipeError, match=r"layer 'cnov\*' is not known; did you mean conv"):
        quantized(workload.module, few, overrides={"cnov*": "int8-static"})


def test_the_same_recipe_gives_the_same_weights(few):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    one, other = (quantized(module, few, overrides={"3": "int3-weights"}).graph.state_dict() for _ in range(2))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)

"""Every stored tensor counts in one row of the receipt, before and after."""

from __future__ import annotations

import pytest
import torch

from workbench import models
from workbench.measure.memory import stored_tensors
from workbench.measure.tensors import MODEL
from workbench.variant import Variant
from workbench.workload import Workload

from .own_models import OWN_MODELS, RECIPES, made, own_model, prepared, receipt_of, rows_of

PRUNABLE = ("an encoder layer", "convolutions, normalised and transposed")
CASES = [(name, recipe) for name in OWN_MODELS for recipe in RECIPES if recipe != "pruned" or name in PRUNABLE]
WORKLOADS = ("fashion-cnn", "fashion-mlp", "fashion-resnet8", "fashion-student")


def require_all_bytes(module, inputs, recipe):
    variant = made(module, inputs, recipe)
    runner = prepared(variant, inputs, "eager")
    rows = receipt_of(module, variant, runner, inputs)
    before, after = stored_tensors(Variant(module)), stored_tensors(variant, runner.kernels)
    assert sum(row.before.weight_bytes for row in rows if row.before) == sum(size for *_, size in before.values())
    assert sum(row.after.weight_bytes for row in rows if row.after) == sum(size for *_, size in after.values())


@pytest.mark.parametrize(("name", "recipe"), CASES)
def test_the_rows_of_any_model_add_up_to_its_bytes(name, recipe):
    require_all_bytes(*own_model(name), recipe)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("name", WORKLOADS)
def test_the_rows_of_the_embedded_workloads_add_up_to_their_bytes(name, recipe):
    workload = models.load(Workload(name))
    require_all_bytes(workload.module, workload.train.inputs[0][:64], recipe)


@pytest.mark.parametrize("name", OWN_MODELS)
def test_a_row_s_bytes_are_those_of_its_layer_s_own_parameters_and_buffers(name):
    module, inputs = own_model(name)
    rows = {layer: row.before for layer, row in rows_of(module, inputs, "fp32").items()}
    counted = set()
    for layer_name, layer in module.named_modules():
        own = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
        stored = [tensor for tensor in own if tensor is not getattr(layer, "mask", None)]
        new = {tensor.data_ptr(): tensor.nbytes for tensor in stored if tensor.data_ptr() not in counted}
        counted |= set(new)
        if stored:
            assert rows.pop(layer_name or MODEL).weight_bytes == sum(new.values())
    assert not rows


@pytest.mark.parametrize("recipe", ["int8-static", "int8-weights", "int4-weights"])
def test_an_attention_s_weights_count_to_it_and_to_its_out_proj_each(recipe):
    module, inputs = own_model("an attention with keys and values of other widths")
    rows = rows_of(module, inputs, recipe)
    inputs_of = {"body.attention": 32 + 16 + 24, "body.attention.out_proj": 32}  # of the weights' 32 outputs each
    for layer, width in inputs_of.items():
        bits = 4 if recipe == "int4-weights" else 8
        scales = {"body.attention": 3, "body.attention.out_proj": 1}[layer] * 32 * (4 if bits == 4 else 4 + 8)
        assert rows[layer].after.dtype == f"int{bits}"
        assert rows[layer].after.weight_bytes == 32 * width * bits // 8 + scales


def test_weights_used_in_one_forward_are_told_apart_by_their_values():
    module, inputs = own_model("an attention with keys and values of other widths")
    with torch.no_grad():
        module.body.attention.out_proj.weight[:24] = 0
    rows = rows_of(module, inputs, "int8-static")
    assert rows["body.attention.out_proj"].after.sparsity >= 0.75
    assert rows["body.attention"].after.sparsity < 0.1


def test_a_layer_whose_weights_are_kept_in_two_dtypes_claims_neither_alone():
    module, inputs = own_model("a layer of one's own")
    variant = made(module, inputs, "int8-weights")
    linear = [node for node in variant.graph.graph.nodes if "linear" in node.name]
    with variant.graph.graph.inserting_before(linear[1]):
        linear[1].update_arg(1, variant.graph.graph.get_attr("body.outer"))
    rows = {row.layer: row for row in receipt_of(module, variant, prepared(variant, inputs, "eager"), inputs)}
    assert rows["body"].after.dtype == "int8 and float32"
    assert rows["body"].reality == "unchanged"
    assert rows["body"].reason == "1 of its 2 products is int8, the others float32"

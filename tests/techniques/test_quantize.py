from __future__ import annotations

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import nn

from tests.techniques import parts
from workbench import engines
from workbench.errors import Cancelled, RecipeError, WorkbenchError
from workbench.graph import export
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant

aten = torch.ops.aten
DYNAMIC = Quantize(scheme="int8-dynamic")
CALIBRATIONS = ("range", "moving-average", "percentile", "mse", "entropy")


def quantized(module, context, **options):
    return Quantize(**options).apply(Variant(module), context)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_int8_predicts_as_fp32_does_on_99_of_100_real_images(workload, few, calibration):
    variant = quantized(workload.module, few, calibration=calibration)
    images = workload.test.inputs[0][:2000]
    agree = parts.logits(variant.graph, images).argmax(1) == parts.logits(workload.module, images).argmax(1)
    assert agree.float().mean() >= 0.99


def test_dynamic_int8_predicts_as_fp32_does_on_99_of_100_real_images(workload, few):
    variant = DYNAMIC.apply(Variant(workload.module), few)
    images = workload.test.inputs[0][:2000]
    agree = parts.logits(variant.graph, images).argmax(1) == parts.logits(workload.module, images).argmax(1)
    assert agree.float().mean() >= 0.99


@pytest.mark.parametrize("scheme", ["int8-static", "int8-dynamic"])
@pytest.mark.parametrize("architecture", parts.ARCHITECTURES)
def test_every_architecture_keeps_its_answers_at_any_batch(few, architecture, scheme):
    module = parts.build(architecture)
    graph = quantized(module, few, scheme=scheme, calibration="range").graph
    for batch in (1, 3, 200):
        images = few.train.inputs[0][:batch]
        ours, theirs = parts.logits(graph, images), parts.logits(module, images)
        # Each of at most six layers adds an error of about 1 % of its output (rounding to 1/255 of the
        # range, whose width is a few standard deviations): sqrt(6) of that, and as much again in hand.
        assert (ours - theirs).norm() <= 0.05 * theirs.norm()


@pytest.mark.parametrize("architecture", parts.ARCHITECTURES)
def test_every_linear_and_convolution_call_is_int8(few, architecture):
    graph = quantized(parts.build(architecture), few).graph
    calls = [node for node in graph.graph.nodes if node.target in (aten.linear.default, aten.conv2d.default)]
    assert calls
    assert all("dequantize" in str(operand.target) for node in calls for operand in node.args[:2])


def test_weights_are_int8_with_one_scale_per_output_channel(workload, few):
    graph = quantized(workload.module, few).graph
    weights = [tensor for tensor in graph.state_dict().values() if tensor.dtype == torch.int8 and tensor.ndim > 1]
    assert sorted(tuple(weight.shape) for weight in weights) == sorted(
        tuple(parameter.shape) for parameter in workload.module.parameters() if parameter.ndim > 1
    )
    scales = [node.args[1] for node in graph.graph.nodes if "dequantize_per_channel" in str(node.target)]
    assert len(scales) == len(weights)


def test_batch_normalisation_is_folded_into_the_convolution_before_it(few):
    graph = quantized(parts.build(parts.Residual), few).graph
    assert not [node for node in graph.graph.nodes if "batch_norm" in str(node.target)]


def test_no_view_is_left_that_another_memory_layout_would_break(few):
    graph = quantized(parts.build(parts.Depthwise), few).graph
    assert aten.view.default not in {node.target for node in graph.graph.nodes}


@pytest.mark.parametrize("architecture", [parts.Residual, parts.WrittenOut])
def test_onnx_runtime_agrees_with_the_simulated_graph(few, architecture):
    onnxruntime = pytest.importorskip("onnxruntime", exc_type=ImportError)
    pytest.importorskip("onnxscript", exc_type=ImportError)
    context = dataclasses.replace(few, saturates=engines.find("onnxruntime").saturates())
    graph = quantized(parts.build(architecture), context).graph
    images = few.train.inputs[0][:250]
    program = torch.onnx.export(export(graph, images[:2]), (images[:2],), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = parts.logits(graph, images)
    # Both compute on the same grid; a value at the edge of two steps may fall to the other side,
    # which moves one activation by one step, 1/255 of its range.
    assert (torch.from_numpy(theirs) - ours).norm() <= ours.norm() / 255


def test_dynamic_leaves_convolutions_in_fp32_and_says_why(workload, few):
    variant = DYNAMIC.apply(Variant(workload.module), few)
    assert set(variant.unchanged) == {"conv1", "conv2"}
    assert "linear, GRU and LSTM layers" in variant.unchanged["conv1"]


def test_dynamic_on_a_model_without_linear_layers_is_refused_in_words(few):
    module = nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()).eval()
    reason = DYNAMIC.blocked(module)
    assert "linear, GRU and LSTM layers" in reason
    with pytest.raises(WorkbenchError, match=reason):
        DYNAMIC.apply(Variant(module), few)


def test_a_model_without_layers_to_quantize_is_refused_in_words(few):
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784)).eval()
    with pytest.raises(WorkbenchError, match="needs linear or convolution layers"):
        quantized(module, few)


def test_a_linear_call_outside_any_layer_is_quantized_too(few):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.randn(10, 784) / 28)

        def forward(self, images):
            return nn.functional.linear(images.flatten(1), self.matrix)

    module = Functional().eval()
    assert Quantize().blocked(module) is None
    assert quantized(module, few).precision == "int8-static"


def test_an_overridden_layer_stays_fp32_and_the_receipt_can_say_so(workload, few):
    variant = quantized(workload.module, few, overrides={"conv1": "fp32"})
    assert variant.unchanged == {"conv1": "kept in fp32 as the recipe asks"}
    first = next(node for node in variant.graph.graph.nodes if node.target is aten.conv2d.default)
    assert "dequantize" not in str(first.args[1].target)


def test_an_override_of_a_block_keeps_all_its_layers(few):
    variant = quantized(parts.build(parts.Depthwise), few, overrides={"features": "fp32"})
    assert {"features.0", "features.2", "features.4"} <= set(variant.unchanged)
    assert "head" not in variant.unchanged


def test_an_unknown_layer_is_refused_with_the_nearest_names(workload, few):
    with pytest.raises(RecipeError, match=r"layer 'cnov1' is not known; did you mean conv1"):
        quantized(workload.module, few, overrides={"cnov1": "fp32"})


def test_overrides_that_keep_everything_are_refused(workload, few):
    everything = dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), "fp32")
    with pytest.raises(WorkbenchError, match="the overrides keep every layer in fp32"):
        quantized(workload.module, few, overrides=everything)


def test_bf16_sets_the_precision_and_needs_no_graph(workload, few):
    variant = quantized(workload.module, few, scheme="bf16")
    assert (variant.precision, variant.graph, variant.module) == ("bf16", None, workload.module)


def test_the_given_module_stays_as_it_was(workload, few):
    before = copy.deepcopy(workload.module)
    variant = quantized(workload.module, few)
    assert variant.module is workload.module
    assert parts.same_weights(workload.module, before)


def test_equal_seeds_give_equal_graphs(workload, few):
    first, second = (quantized(workload.module, few, calibration_samples=64) for _ in range(2))
    images = workload.test.inputs[0][:100]
    assert torch.equal(parts.logits(first.graph, images), parts.logits(second.graph, images))


def test_calibration_sees_only_a_sample_of_the_training_images(workload, few):
    shown = []
    context = dataclasses.replace(few, progress=lambda message, done, total: shown.append((message, total)))
    quantized(workload.module, context, calibration_samples=100)
    assert {total for message, total in shown if message == "calibrating"} == {100}


def input_scale(few, outlier: float, calibration: str) -> float:
    """Of a linear layer's input, where one number in 1,024 images is ``outlier``."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).eval()
    inputs = few.train.inputs[0].clone()
    inputs[0, 0, 0, 0] = outlier
    context = dataclasses.replace(few, train=dataclasses.replace(few.train, inputs=inputs))
    graph = quantized(module, context, calibration=calibration, calibration_samples=1024).graph
    return next(node.args[1] for node in graph.graph.nodes if "quantize_per_tensor" in str(node.target))


@pytest.mark.parametrize("calibration", ["percentile", "mse", "entropy"])
def test_such_a_calibration_is_not_stretched_by_an_outlier(few, calibration):
    assert input_scale(few, 1000.0, "range") > 5 * input_scale(few, 1000.0, calibration)


def test_a_moving_average_is_moved_by_an_outlier_in_part(few):
    percentile, average, largest = (input_scale(few, 100.0, each) for each in ("percentile", "moving-average", "range"))
    assert percentile < average <= largest


def test_cancelling_stops_at_the_next_calibration_batch(workload, few):
    checkpoint = parts.CancelAfter(2)
    with pytest.raises(Cancelled):
        quantized(workload.module, dataclasses.replace(few, checkpoint=checkpoint))
    assert checkpoint.left == 0


def test_loading_the_library_is_quiet():
    code = "from workbench.techniques.quantize import Quantize; Quantize.preload()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


def test_its_words_are_short():
    assert Quantize(scheme="int8").summary() == "int8"
    assert Quantize(scheme="dynamic").summary() == "int8 dynamic"
    assert Quantize(scheme="bf16").summary() == "bf16"

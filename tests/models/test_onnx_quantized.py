"""ONNX files that are quantized already, imported as models whose layers are int8."""

from __future__ import annotations

import pytest
import torch

from tests.models.quantized_files import FORMS, IMAGES, LAYERS, STATIC, float_file, outputs_of, quantized_file
from workbench import engines
from workbench.engines._judge import quantized_layers
from workbench.errors import WorkbenchError
from workbench.graph.quantized import is_quantized, untouched
from workbench.measure.fidelity import require_faithful
from workbench.measure.memory import stored_bytes
from workbench.models import load
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Workload

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
DATA = (IMAGES, torch.arange(60) % 5)


@pytest.fixture(scope="module", params=FORMS)
def form(request):
    return request.param


@pytest.fixture(scope="module")
def path(form, tmp_path_factory):
    return quantized_file(tmp_path_factory.mktemp("quantized"), form)


@pytest.fixture(scope="module")
def module(path):
    return load(Workload(path, DATA)).module


@pytest.fixture(scope="module")
def variant(module):
    return untouched(module, IMAGES[:2])


def test_its_outputs_are_those_of_onnx_runtime(path, module):
    with torch.no_grad():
        found, wanted = module(IMAGES), outputs_of(path, IMAGES)
    # Where a value falls on a rounding step, floats and whole numbers fall on either side of it: that moves what comes
    # after by a step, of which an output has up to 255.
    step = float(wanted.max() - wanted.min()) / 255
    assert float((found - wanted).abs().max()) <= 2 * step
    assert float((found - wanted).norm() / wanted.norm()) < 0.01


def test_each_layer_is_one_in_int8_of_its_own_name(form, module, variant):
    assert is_quantized(module)
    assert variant.precision == ("int8-static" if form in STATIC else "int8-dynamic")
    assert quantized_layers(variant) == set(LAYERS)
    assert variant.unchanged == {}
    assert "in 5 of 5 layers" in variant.notices[0]
    assert {name: str(layer.weight_int8.dtype) for name, layer in module.named_modules() if name in LAYERS} == (
        dict.fromkeys(LAYERS, "torch.int8")
    )


def test_its_graph_computes_what_the_module_does(module, variant):
    with torch.no_grad():
        assert torch.equal(variant.graph(IMAGES), module(IMAGES))


def test_its_weights_count_a_byte_each_and_once(module, variant, tmp_path):
    weights = sum(layer.weight_int8.numel() for name, layer in module.named_modules() if name in LAYERS)
    floats = stored_bytes(Variant(load(Workload(float_file(tmp_path), DATA)).module))
    assert weights < stored_bytes(variant) < floats / 2


@pytest.mark.parametrize("step", [Quantize(), Quantize(scheme="bf16"), Prune(), Prune(kind="weights")], ids=str)
def test_it_is_not_quantized_or_pruned_again(step, module):
    assert "quantized already" in step.blocked(module)


def test_quantizing_it_again_is_refused_where_nobody_asked_before(module):
    with pytest.raises(WorkbenchError, match=r"is quantized already: .*; give the float model"):
        Quantize(scheme="bf16").apply(Variant(module), Context(train=None))


@pytest.mark.parametrize(("engine", "reality"), [("eager", "simulated"), ("onnxruntime", "real"), ("openvino", "real")])
def test_engines_say_what_they_make_of_it(engine, reality, form, variant):
    found = engines.find(engine)
    if reason := found.unavailable() or (form not in STATIC and found.refuses("int8-dynamic", "cpu")):
        pytest.skip(reason)
    runner = found.prepare(variant, IMAGES[:2], threads=1)
    assert {name: kernel.reality for name, kernel in runner.kernels.items()} == dict.fromkeys(LAYERS, reality)
    require_faithful(found, runner, variant, IMAGES, batch=2)

"""What every engine that is ready in a moment promises; the compiled one has tests of its own."""

from __future__ import annotations

import onnx
import pytest
import torch

from tests.engines.models import MODELS, images, module, tolerance, variant
from workbench import engines
from workbench.engines import LayerTimesUnavailable
from workbench.errors import Cancelled, EngineError

PRECISIONS = ("fp32", "bf16", "fp16", "int8-static", "int8-dynamic")
CASES = [
    (engine, precision, name)
    for engine in ("eager", "onnxruntime", "openvino")
    for precision in PRECISIONS
    for name in MODELS
    if engines.find(engine).refuses(precision, "cpu") is None
]


def runner(engine: str, precision: str, name: str, batch: int = 4):
    reason = engines.find(engine).unavailable()
    if reason:
        pytest.skip(reason)
    return engines.find(engine).prepare(asked_of(engine, precision, name), images(name, batch), threads=1)


def asked_of(engine: str, precision: str, name: str):
    return variant(name, precision, engines.find(engine).saturates())


@pytest.mark.parametrize(("engine", "precision", "name"), CASES)
def test_an_engine_computes_what_the_variant_says_for_any_batch_and_names_every_layer(engine, precision, name):
    made = runner(engine, precision, name)
    asked = asked_of(engine, precision, name)
    says = asked.graph if asked.graph is not None else asked.module
    for batch in (4, 1, 7):
        inputs = images(name, batch, seed=batch)
        expected = says(inputs)
        outputs = made(inputs)
        assert outputs.dtype is torch.float32
        assert (outputs - expected).abs().max().item() <= tolerance(precision, expected)
    layers = {n for n, child in module(name).named_modules() if isinstance(child, torch.nn.Conv2d | torch.nn.Linear)}
    assert layers <= set(made.kernels)
    assert "not found" not in {kernel.name for kernel in made.kernels.values()}
    assert all(kernel.reason or kernel.reality == "real" for kernel in made.kernels.values())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("engine", "precision"),
    [("onnxruntime", "int8-static"), ("onnxruntime", "int8-dynamic"), ("openvino", "int8-static")],
)
def test_int8_runs_on_int8_kernels_in_every_layer(engine, precision, name):
    kernels = runner(engine, precision, name).kernels
    assert {(kernel.reality, kernel.dtype) for kernel in kernels.values()} == {("real", "int8")}


@pytest.mark.parametrize("precision", ["int8-static", "int8-dynamic"])
def test_eager_says_that_it_only_simulates_int8(precision):
    kernels = runner("eager", precision, "residual").kernels
    assert {kernel.reality for kernel in kernels.values()} == {"simulated"}


@pytest.mark.parametrize(("engine", "precision", "name"), [case for case in CASES if case[2] == "residual"])
def test_layers_are_timed_under_their_own_names(engine, precision, name):
    times = runner(engine, precision, name).layer_times_ms(images(name, 4), repeats=3)
    assert {"stem.0", "conv1", "conv2", "classify"} <= set(times)
    assert all(milliseconds >= 0 for milliseconds in times.values())


def test_an_engine_that_fuses_layers_says_that_it_has_no_times_for_them():
    made = runner("openvino", "fp32", "mlp")
    if all(kernel.name.endswith("(fused with other layers)") for kernel in made.kernels.values()):
        with pytest.raises(LayerTimesUnavailable, match="fused"):
            made.layer_times_ms(images("mlp", 4), repeats=2)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
def test_inputs_of_other_types_and_layouts_give_the_same_result(engine):
    made = runner(engine, "fp32", "residual")
    inputs = images("residual", 4)
    expected = made(inputs)
    for other in (
        inputs.double(),
        inputs.to(memory_format=torch.channels_last),
        inputs.flip(3).flip(3).transpose(2, 3).contiguous().transpose(2, 3),
        inputs.clone().requires_grad_(),
    ):
        assert torch.equal(made(other), expected)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (torch.zeros(4, 3, 9, 9), r"\[batch, 3, 8, 8\], not \[4, 3, 9, 9\]"),
        (torch.zeros(0, 3, 8, 8), "empty"),
        (torch.zeros(4, 3, 8, 8, dtype=torch.complex64), "complex64"),
        ([1.0], "takes a tensor, not list"),
    ],
)
def test_inputs_that_make_no_sense_give_one_clear_line(engine, inputs, says):
    with pytest.raises(EngineError, match=says):
        runner(engine, "fp32", "residual")(inputs)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
def test_a_result_stays_when_the_next_one_is_computed(engine):
    made = runner(engine, "fp32", "residual")
    first = made(images("residual", 4))
    kept = first.clone()
    made(images("residual", 4, seed=1))
    assert torch.equal(first, kept)


@pytest.mark.parametrize(("engine", "precision"), [("eager", "bf16"), ("onnxruntime", "int8-dynamic")])
def test_what_is_saved_runs_elsewhere_and_computes_the_same(engine, precision, tmp_path):
    made = runner(engine, precision, "residual")
    inputs = images("residual", 3)
    paths = {path.name: path for path in made.save(tmp_path)}
    loaded = torch.export.load(paths["model.pt2"]).module()(inputs)
    assert (loaded - made(inputs)).abs().max().item() <= tolerance(precision, loaded)
    if "model.onnx" in paths:
        import onnxruntime

        onnx.checker.check_model(onnx.load(paths["model.onnx"]))
        session = onnxruntime.InferenceSession(paths["model.onnx"], providers=["CPUExecutionProvider"])
        [outputs] = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})
        assert torch.equal(torch.from_numpy(outputs), made(inputs))


def test_changed_weights_are_exported_anew():
    import copy

    from workbench.variant import Variant

    model = copy.deepcopy(module("mlp"))
    inputs = images("mlp", 4)
    before = engines.find("onnxruntime").prepare(Variant(model), inputs, threads=1)(inputs)
    with torch.no_grad():
        model[2].weight.mul_(2)
    after = engines.find("onnxruntime").prepare(Variant(model), inputs, threads=1)(inputs)
    assert not torch.equal(before, after)
    assert torch.allclose(after, model(inputs), atol=tolerance("fp32", after))


@pytest.mark.parametrize(("engine", "precision"), [("onnxruntime", "bf16"), ("openvino", "int8-dynamic")])
def test_a_refused_precision_is_an_error_with_the_reason(engine, precision):
    refusal = engines.find(engine).refuses(precision, "cpu")
    assert refusal
    with pytest.raises(EngineError) as caught:
        runner(engine, precision, "mlp")
    assert str(caught.value).endswith(refusal)


@pytest.mark.parametrize("engine", ["eager", "onnxruntime", "openvino"])
def test_a_cancelled_run_prepares_nothing(engine):
    def cancelled():
        raise Cancelled

    with pytest.raises(Cancelled):
        engines.find(engine).prepare(variant("mlp", "fp32"), images("mlp", 4), threads=1, checkpoint=cancelled)

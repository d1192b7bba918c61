"""Every engine but the compiled one, which has its own tests, runs models of several inputs of any dtype."""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import nn

import workbench as wb
from tests.engines.models import tolerance
from tests.engines.several_inputs import MODELS, WORDS, examples, variant
from workbench import engines
from workbench.engines import Runner
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.measure.fidelity import require_faithful
from workbench.measure.layers import receipt
from workbench.variant import Variant

ENGINES = ("eager", "native", "onnxruntime", "openvino")
CASES = [
    (engine, precision, name)
    for engine in ENGINES
    for precision in ("fp32", "bf16", "int8-static", "int8-dynamic")
    for name in MODELS
    if engines.find(engine).why_not(precision, "cpu") is None
]


def prepared(engine: str, asked: Variant, example) -> Runner:
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    return engines.find(engine).prepare(asked, example, threads=1)


def runner(engine: str, precision: str, name: str) -> Runner:
    return prepared(engine, variant(name, precision), examples(name, 4))


@pytest.mark.parametrize(("engine", "precision", "name"), CASES)
def test_a_runner_gives_what_its_variant_says_for_any_batch(engine, precision, name):
    asked, made = variant(name, precision), runner(engine, precision, name)
    says = asked.graph if asked.graph is not None else asked.module
    for batch in (4, 1, 7):
        inputs = examples(name, batch, seed=batch)
        expected, outputs = says(*inputs), made(*inputs)
        assert outputs.dtype is torch.float32
        assert (outputs - expected).abs().max().item() <= tolerance(precision, expected)
    require_faithful(engines.find(engine), made, asked, examples(name, 16), batch=4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_the_receipt_has_a_row_and_a_kernel_for_each_layer_that_multiplies(engine, name):
    asked = variant(name, "fp32")
    rows = {row.layer: row for row in receipt(asked.module, asked, runner(engine, "fp32", name), examples(name, 4))}
    layers = {layer for layer, made in asked.module.named_modules() if isinstance(made, nn.Linear | nn.Conv2d)}
    fused = {"encoder.self_attn.out_proj"}  # computed within the attention
    assert all(rows[layer].kernel for layer in layers - fused)
    assert all(rows[layer].output_error == 0 for layer in layers - fused)
    assert any(row.time_ms for row in rows.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_layers_are_timed_under_their_own_names(engine):
    times = runner(engine, "fp32", "an image and its kind").layer_times_ms(examples("an image and its kind", 4), 3)
    assert {"first", "second", "head"} <= set(times)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("two tables", lambda a, b: (a,), "the model takes 2 inputs, not 1"),
        ("tokens", lambda ids: (ids, ids), "the model takes 1 input, not 2"),
        ("two tables", lambda a, b: (a, b[:3]), "of 4, 3 examples; give as many in each"),
        ("two tables", lambda a, b: (b, a), r"prepared for input 1 as \[batch, 12\], not \[4, 20\]"),
        ("two tables", lambda a, b: (a, [1.0]), "takes a tensor, not list"),
        ("two tables", lambda a, b: (a[:0], b[:0]), "the batch is empty"),
        ("tokens", lambda ids: (ids.float(),), r"inputs are torch.float32 .* convert with .to\(torch.int64\)"),
        ("tokens and a mask", lambda ids, mask: (ids, mask.float()), "input 2 is torch.float32 .* for torch.bool"),
        ("tokens and a mask", lambda ids, mask: (ids, mask * 7), "input 2 is torch.int64 of numbers that torch.bool"),
        ("bytes", lambda pixels: (pixels.long() + 1000,), "numbers that torch.uint8, .* can't hold"),
    ],
)
def test_inputs_that_make_no_sense_give_one_clear_line(engine, name, change, says):
    made = runner(engine, "fp32", name)
    with pytest.raises(EngineError, match=says) as caught:
        made(*change(*examples(name, 4)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_numbers_in_other_dtypes_give_the_same_result(engine):
    made, (ids, mask) = runner(engine, "fp32", "tokens and a mask"), examples("tokens and a mask", 4)
    expected = made(ids, mask)
    for other in ((ids.int(), mask), (ids.to(torch.uint8), mask.long()), (ids.T.contiguous().T, mask.byte())):
        assert torch.equal(made(*other), expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["tokens", "tokens and a mask", "an image and its kind"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_saved_takes_the_same_inputs_and_gives_the_same(engine, name, precision, tmp_path):
    if reason := engines.find(engine).why_not(precision, "cpu"):
        pytest.skip(reason)
    made, inputs = runner(engine, precision, name), examples(name, 3)
    outputs = made(*inputs)
    paths = {path.name: path for path in made.save(tmp_path)}
    loaded = torch.export.load(paths["model.pt2"]).module()(*inputs)
    assert (loaded - outputs).abs().max().item() <= tolerance(precision, outputs)
    if precision == "fp32" and "model.onnx" in paths:
        import onnxruntime

        onnx.checker.check_model(onnx.load(paths["model.onnx"]))
        session = onnxruntime.InferenceSession(paths["model.onnx"], providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        [computed] = session.run(None, {key: each.numpy() for key, each in zip(names, inputs, strict=True)})
        assert (torch.from_numpy(computed) - outputs).abs().max().item() <= tolerance("fp32", outputs)


@pytest.mark.parametrize("name", ["two tables", "tokens", "tokens of 32 bits", "bytes"])
def test_a_model_whose_operations_all_have_kernels_is_one_native_program(name):
    made = runner("native", "fp32", name)
    assert isinstance(made, NativeRunner)
    assert not any("PyTorch" in kernel.name for kernel in made.kernels.values())


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("two tables", {"left", "right", "hidden", "head"}),
        ("tokens and a mask", {"hidden", "head"}),
        ("an image and its kind", {"first", "second", "head"}),
        ("tokens and a mask in an attention", {"encoder.linear1", "encoder.linear2", "head"}),
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "int8-static"])
def test_layers_that_depend_on_one_tensor_are_native_whatever_the_model_takes(name, native, precision):
    made = runner("native", precision, name)
    assert native <= {layer for layer, kernel in made.kernels.items() if "PyTorch" not in kernel.name}
    work = made.layer_work(examples(name, 4))
    assert native <= set(work)


def test_a_program_of_several_inputs_is_loaded_without_its_model(tmp_path):
    made, inputs = runner("native", "int8-static", "two tables"), examples("two tables", 3)
    assert "native.safetensors" in [path.name for path in made.save(tmp_path)]
    loaded = wb.load_program(tmp_path / "native.safetensors", threads=1)
    assert torch.equal(loaded(*inputs), made(*inputs))
    with pytest.raises(EngineError, match=r"prepared for input 1 as \[batch, 12\]"):
        loaded(*reversed(inputs))


def test_a_token_without_a_row_is_refused_by_the_native_engine():
    made = runner("native", "fp32", "tokens")
    with pytest.raises(EngineError, match=f"token {WORDS} is outside the embedding's {WORDS} rows"):
        made(torch.full((2, 6), WORDS))


def test_ids_that_float32_cannot_tell_apart_are_not_looked_up_natively():
    rows = 2**24 + 2
    table = nn.Embedding(rows, 1, _weight=torch.arange(rows).remainder(2).float().unsqueeze(1))
    module, ids = nn.Sequential(table, nn.Flatten(), nn.Linear(2, 4)).eval(), torch.tensor([[rows - 1, rows - 2]] * 2)
    made = prepared("native", Variant(module), ids)
    assert made.kernels["0"].name.endswith("(PyTorch)")
    assert (made(ids) - module(ids)).abs().max().item() <= tolerance("fp32", module(ids))


class ChangedBetween(nn.Module):
    """What depends on one input alone is read together with the other before and after it is changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, a, b):
        first = self.left(a)
        before = first * self.right(b)
        first.add_(1)
        return self.head(before + first * b)


class TakenInPlace(nn.Module):
    """A later part changes in place what an earlier one gave to others too."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, a, b):
        first = torch.cumsum(self.left(a), 1)
        changed = self.right(first.relu_())
        return self.head(changed * b + first)


class AnyNumber(nn.Module):
    """Takes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, *inputs):
        return self.head(torch.cat(inputs, 1))


class OneUnused(nn.Module):
    """Leaves an input alone."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)

    def forward(self, a, b):
        return self.head(b)


class Backwards(nn.Module):
    """Results of one input that are needed twice, and a place of the batch's size."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(16, 4)

    def forward(self, a, b):
        first = self.left(a)
        second = torch.roll(self.right(first), 1, 1)
        joined = torch.stack([second + b, first * b], 1).view(b.shape[0], 16)
        return self.head(joined + torch.zeros(a.shape[0], 1))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [ChangedBetween, TakenInPlace, AnyNumber, OneUnused, Backwards])
def test_a_forward_of_two_inputs_gives_what_the_module_gives(engine, make):
    torch.manual_seed(0)
    module, inputs = make().eval(), (torch.randn(9, 8), torch.randn(9, 8))
    made = prepared(engine, Variant(module), tuple(each[:2] for each in inputs))
    for batch in (2, 1, 9):
        given = tuple(each[:batch] for each in inputs)
        expected = module(*given)
        assert (made(*given) - expected).abs().max().item() <= tolerance("fp32", expected)

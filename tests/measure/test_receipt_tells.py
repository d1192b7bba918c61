"""What a row says of its layer is so: what runs it, within what, and why something is as it is."""

from __future__ import annotations

import pytest
import torch

from workbench import engines
from workbench.measure.memory import stored_bytes, stored_tensors
from workbench.measure.tensors import MODEL
from workbench.measure.uses import used_in
from workbench.measure.work import multiply_adds
from workbench.variant import Variant

from .own_models import IMAGES, OWN_MODELS, SEQUENCES, Headed, made, own_model, prepared, receipt_of, rows_of

ENGINES = ("eager", "native", "onnxruntime", "openvino")


@pytest.mark.parametrize("recipe", ["fp32", "int8-static"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_out_proj_is_computed_within_its_attention_by_the_same_kernel(engine, recipe):
    rows = rows_of(*own_model("an encoder layer"), recipe, engine)
    attention, out_proj = rows["body.self_attn"], rows["body.self_attn.out_proj"]
    assert attention.kernel
    assert (out_proj.kernel, out_proj.reality) == (attention.kernel, attention.reality)
    assert out_proj.reason.startswith("computed within body.self_attn")
    assert not any("not called" in str(row.kernel) or "doesn't use" in row.reason for row in rows.values())


@pytest.mark.parametrize(
    ("name", "kernel"), [("an LSTM", "lstm_of_bytes"), ("a GRU in both directions", "gru_of_bytes")]
)
def test_a_recurrent_layer_in_int8_is_told_of_with_its_weights_in_a_quarter(name, kernel):
    row = rows_of(*own_model(name), "int8-static", "eager")["body"]
    assert (row.kernel, row.after.dtype, row.reality) == (kernel, "int8", "simulated")
    assert row.before.weight_bytes / 4 < row.after.weight_bytes < row.before.weight_bytes / 2  # with scales and biases


def test_what_runs_in_bf16_is_kept_in_it_recurrent_layers_and_normalisations_too():
    lstm = rows_of(*own_model("an LSTM"), "bf16")["body"]
    assert lstm.kernel  # oneDNN's for all of it where the processor has bf16, else one for each operation
    assert lstm.reality == "real"
    assert (lstm.after.dtype, lstm.after.weight_bytes) == ("bfloat16", lstm.before.weight_bytes // 2)
    encoder = rows_of(*own_model("an encoder layer"), "bf16")
    assert {row.after.dtype for row in encoder.values()} == {"bfloat16"}


class PositionedBlock(torch.nn.Module):
    """Adds a parameter and multiplies with none of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.position, self.linear = torch.nn.Parameter(torch.randn(8, 32)), torch.nn.Linear(32, 32)

    def forward(self, inputs):
        return self.linear(inputs + self.position)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_that_only_adds_its_parameter_is_not_said_to_be_unused(engine):
    row = rows_of(Headed(PositionedBlock()).eval(), SEQUENCES, "fp32", engine)["body"]
    assert "use" not in row.reason
    assert row.kernel != "not called"


def test_where_an_engine_does_not_say_what_runs_a_layer_neither_does_its_row():
    row = rows_of(*own_model("an LSTM"), "fp32", "openvino")["body"]
    assert (row.kernel, row.reality) == (None, "unchanged")
    assert row.reason == "the engine doesn't say which kernel runs this layer"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_borrowed_weight_is_used_and_a_spare_layer_is_not(engine):
    rows = rows_of(*own_model("a borrowed weight and a spare layer"), "fp32", engine)
    assert rows["lender"].reason.startswith("computed within the forward of the model itself")
    assert rows["spare"].reason == "the model doesn't use this layer"
    assert rows["spare"].kernel is None


def test_a_layer_the_graph_leaves_out_is_removed_because_nothing_uses_it():
    row = rows_of(*own_model("a borrowed weight and a spare layer"), "int8-static")["spare"]
    assert row.after is None
    assert row.reason == "the model doesn't use this layer, and the exported graph leaves it out"


def test_a_normalisation_folded_into_a_convolution_says_into_which():
    rows = rows_of(*own_model("convolutions, normalised and transposed"), "int8-static")
    assert [rows[name].after for name in ("norm1", "norm2")] == [None, None]
    assert [rows[name].reason for name in ("norm1", "norm2")] == ["folded into conv1", "folded into conv2"]
    assert rows["conv2"].after.weight_bytes == 8 * 8 * 9 + 8 * (4 + 8) + 4 * 8  # with the bias that it brought


class TwiceNormalised(torch.nn.Module):
    """One convolution, called twice, each time with another normalisation after it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Linear(64, 10)
        self.norm1, self.norm2 = torch.nn.BatchNorm2d(1), torch.nn.BatchNorm2d(1)

    def forward(self, inputs):
        return self.head(self.norm2(self.conv(self.norm1(self.conv(inputs)).relu())).flatten(1))


def test_a_weight_kept_once_for_each_normalisation_folded_into_it_counts_as_often():
    module = TwiceNormalised()
    for norm in (module.norm1, module.norm2):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    row = rows_of(module.eval(), IMAGES, "int8-dynamic")["conv"]
    assert (row.after.dtype, row.after.weight_shape) == ("float32", (1, 1, 3, 3))
    assert row.after.weight_bytes == 2 * 4 * (9 + 1)


@pytest.mark.parametrize("recipe", ["int8-static", "int8-weights"])
def test_of_layers_that_share_a_weight_the_second_says_so(recipe):
    rows = rows_of(*own_model("tied linear layers"), recipe)
    assert rows["second"].after.dtype == "int8"
    assert rows["second"].after.weight_bytes == 4 * 32  # its own bias
    assert "shares its weight with first, where its bytes count" in rows["second"].reason
    assert "shares" not in rows["first"].reason


def test_a_shared_weight_that_is_quantized_for_one_of_its_layers_is_kept_twice():
    rows = rows_of(*own_model("a tied embedding"), "int8-static")
    assert (rows["table"].after.dtype, rows["table"].after.weight_bytes) == ("float32", 4 * 50 * 32)
    assert (rows["out"].after.dtype, rows["out"].after.weight_bytes) == ("int8", 50 * 32 + 50 * (4 + 8))
    assert "shares" not in rows["out"].reason


@pytest.fixture
def native_has_bf16(monkeypatch):
    """On any processor: the reference kernels take bf16 where its own don't."""
    if engines.find("native").why_not("bf16", "cpu"):
        monkeypatch.setenv("WORKBENCH_ISA", "reference")


def test_a_shared_weight_that_runs_in_bf16_in_one_of_its_layers_is_kept_twice(native_has_bf16):
    rows = rows_of(*own_model("a tied embedding"), "bf16", "native")
    assert [rows[name].after.dtype for name in ("table", "out")] == ["float32", "bfloat16"]
    assert rows["out"].after.weight_bytes == 2 * 50 * 32


@pytest.mark.parametrize("recipe", ["bf16", "int8-static", "int8-weights", "int4-weights"])
def test_an_embedding_that_looks_up_in_float32_is_unchanged_not_simulated(recipe, native_has_bf16):
    row = rows_of(*own_model("an embedding and a layer norm"), recipe, "native")["table"]
    assert (row.after.dtype, row.reality) == ("float32", "unchanged")
    assert "looks its rows up" in row.reason or "Embedding has no" in row.reason


@pytest.mark.usefixtures("every_layer_in_int8")
def test_a_remark_follows_the_kernel_s_reason_and_stands_in_real_rows_too():
    module, inputs = own_model("an encoder layer")
    variant = made(module, inputs, "int8-static")
    variant = variant.having(remarks={"head": "half its range", "body.norm1": "kept for its spread"})
    rows = {row.layer: row for row in receipt_of(module, variant, prepared(variant, inputs, "native"), inputs)}
    assert (rows["head"].reality, rows["head"].reason) == ("real", "half its range")
    assert rows["body.norm1"].reason.endswith("; kept for its spread")


def test_parameters_of_the_model_itself_have_a_row():
    row = rows_of(*own_model("parameters of the model itself"), "int8-static")[MODEL]
    assert (row.op, row.reason) == ("Positioned", "parameters of the model itself, outside its layers")
    assert row.after.weight_bytes == 4 * (8 * 32 + 32)


def test_weights_that_no_node_of_a_graph_uses_and_constants_of_a_forward_are_not_stored():
    module, inputs = own_model("tied linear layers")
    assert "first.weight" not in stored_tensors(made(module, inputs, "int8-weights"))
    module, inputs = own_model("parameters of the model itself")
    kept = stored_tensors(made(module, inputs, "int8-static"))
    assert sorted(name for name in kept if not name.startswith("_")) == ["head.bias", "mean", "position"]


def test_watching_uses_leaves_no_hooks_behind():
    module, inputs = own_model("an encoder layer")
    assert used_in(module, (inputs,))["body.self_attn.out_proj"] == ["body.self_attn"]
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in module.modules())


def test_multiply_adds_of_recurrent_layers_and_attentions_are_counted_by_hand():
    module, inputs = own_model("an LSTM")
    assert multiply_adds(module, inputs[:2]) == {"body": 2 * 8 * 4 * 64 * (32 + 64), "head": 2 * 64 * 10}
    module, inputs = own_model("an attention with keys and values of other widths")
    projections = 32 * (32 + 16 + 24) + 32 * 32  # of each of two times eight positions
    assert multiply_adds(module, inputs[:2]) == {"body.attention": 2 * 8 * projections, "head": 2 * 32 * 10}


@pytest.mark.parametrize("name", OWN_MODELS)
def test_the_stored_size_before_is_that_of_the_state_dict(name):
    import safetensors.torch

    module, _ = own_model(name)
    places, distinct = set(), {}
    for key, tensor in module.state_dict().items():
        if tensor.data_ptr() not in places:
            distinct[key] = tensor.contiguous()
        places.add(tensor.data_ptr())
    assert stored_bytes(Variant(module)) == len(safetensors.torch.save(distinct))


def test_the_bytes_of_an_unused_layer_count_as_they_are():
    module, inputs = own_model("a borrowed weight and a spare layer")
    with torch.no_grad():
        module.spare.weight.zero_()
    row = rows_of(module, inputs, "fp32")["spare"]
    assert (row.after.weight_bytes, row.after.sparsity) == (4 * 12, 1.0)

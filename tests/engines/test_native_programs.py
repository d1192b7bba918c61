"""Native programs in files: loaded without their model they compute the same, in no more bytes than they should."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import workbench as wb
from tests.engines import several_inputs
from tests.engines import test_native as networks
from tests.engines import test_native_recurrent as recurrent
from tests.engines import test_native_transformers as transformers
from workbench import kernels
from workbench.engines.native import Native
from workbench.engines.native.runner import PROGRAM, NativeRunner
from workbench.errors import WorkbenchError
from workbench.graph import export
from workbench.graph.fused.ir import Graph
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.ops import Conv, Flatten
from workbench.graph.fused.read.reader import read
from workbench.graph.fused.stored import restore, store
from workbench.measure.memory import stored_bytes
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
MOST_JSON_BYTES = 40_000
"""What each operation of the models here is described in, a kilobyte or less for each of some thirty."""


def quantized(variant: Variant, inputs: torch.Tensor, scheme: str) -> Variant:
    context = Context(train=Data(inputs[:8], torch.zeros(8, dtype=torch.long)))
    return Quantize(scheme=scheme).apply(variant, context)


def case(of, name: str, scheme: str | None = None) -> tuple[Variant, torch.Tensor]:
    plain, *_, inputs = of.variants(name)
    return quantized(plain, inputs, scheme) if scheme else plain, inputs


CASES = {
    "a network": lambda: case(networks, "mixed"),
    "a network in int8": lambda: case(networks, "mixed", "int8-static"),
    "a perceptron in ranges of its own": lambda: case(networks, "perceptron", "int8-dynamic"),
    "a perceptron in int4": lambda: case(networks, "perceptron", "int4-weights"),
    "a causal transformer with weights in int8": lambda: case(transformers, "causal", "int8-weights"),
    "normalised groups": lambda: case(transformers, "convnext"),
    "an LSTM with weights in int8": lambda: case(recurrent, "an LSTM's last step", "int8-weights"),
    "an LSTM with states in int8": lambda: case(recurrent, "an LSTM's last step", "int8-static"),
    "tokens": lambda: (several_inputs.variant("tokens", "fp32"), *several_inputs.examples("tokens", 8)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_loaded_program_gives_the_same_to_the_last_bit(name, tmp_path):
    variant, inputs = CASES[name]()
    made = Native().prepare(variant, inputs[:2], threads=1)
    assert isinstance(made, NativeRunner)
    made.save(tmp_path)
    loaded = wb.load_program(tmp_path / PROGRAM.name, threads=1)
    for batch in (2, 7):
        assert torch.equal(loaded(inputs[:batch]), made(inputs[:batch]))


@pytest.mark.parametrize("scheme", ["int8-static", "int8-dynamic", "int8-weights", "int4-weights"])
def test_weights_lie_in_the_file_in_the_bits_that_they_have(scheme, tmp_path):
    torch.manual_seed(0)
    inputs = torch.randn(64, 128)
    plain = Variant(nn.Sequential(nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, 10)).eval())
    variant = quantized(plain, inputs, scheme)
    runner = Native().prepare(variant, inputs[:1], threads=1)
    runner.save(tmp_path)
    size_bytes = (tmp_path / PROGRAM.name).stat().st_size
    assert size_bytes < stored_bytes(variant, runner.kernels) + MOST_JSON_BYTES < stored_bytes(plain)


def test_layers_in_bf16_are_stored_in_half_and_lose_nothing_that_their_kernels_read(tmp_path):
    plain, _, inputs = networks.variants("convnet")
    graph = lowered(read(export(plain.module, inputs[:2]).module()), "bf16")
    store(graph, tmp_path / "program", {})
    restored, _ = restore(tmp_path / "program")
    pairs = [pair for pair in zip(graph.ops, restored.ops, strict=True) if isinstance(pair[0], Conv)]
    for before, after in pairs:
        rounded = torch.from_numpy(before.weight).bfloat16().float().numpy()
        assert before.inputs[0].half
        assert after.inputs[0].half
        assert np.array_equal(after.weight, rounded)
    assert (tmp_path / "program").stat().st_size < 2.1 * sum(
        before.weight.size for before, _ in pairs
    ) + MOST_JSON_BYTES


def test_a_model_that_pytorch_runs_a_part_of_has_no_program_of_its_own(tmp_path):
    class Sorted(nn.Sequential):
        def forward(self, x):
            return super().forward(x).sort(dim=1).values

    model = Sorted(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
    runner = Native().prepare(Variant(model), torch.rand(2, 128), threads=1)
    assert not isinstance(runner, NativeRunner)
    assert [path.name for path in runner.save(tmp_path)] == ["model.pt2"]


def of_another_version(path):
    save_file({}, path, metadata={"workbench_program": json.dumps({"workbench_program": 1000})})


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: None, "can't be read"),
        (lambda path: path.write_text("weights"), "holds no program"),
        (lambda path: save_file({"weight": torch.zeros(2)}, path), "holds no program"),
        (of_another_version, "another version of the workbench; save the model again"),
    ],
)
def test_a_file_that_holds_no_program_is_one_clear_line(write, says, tmp_path):
    write(tmp_path / "some.safetensors")
    with pytest.raises(WorkbenchError, match=says) as caught:
        wb.load_program(tmp_path / "some.safetensors")
    assert "\n" not in str(caught.value)


def of_a_smaller_output(graph: Graph) -> Graph:
    return replace(graph, output_shape=(3,))


def of_a_larger_view(graph: Graph) -> Graph:
    next(op for op in graph.ops if isinstance(op, Flatten)).output.shape = (100_000,)
    return graph


@pytest.mark.parametrize("change", [of_a_smaller_output, of_a_larger_view])
def test_a_file_whose_numbers_do_not_fit_each_other_is_refused_and_not_run(change, tmp_path):
    plain, _, inputs = networks.variants("convnet")
    Native().prepare(plain, inputs[:2], threads=1).save(tmp_path)
    graph, facts = restore(tmp_path / PROGRAM.name)
    store(change(graph), tmp_path / "changed", facts)
    with pytest.raises(WorkbenchError):
        wb.load_program(tmp_path / "changed")

"""What each engine saves of each precision: PyTorch alone runs it, it computes the same, and it is small.

The compiled one, which saves the same way, takes long to prepare and has tests of its own.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import workbench as wb
from tests.engines.models import tolerance
from workbench import engines
from workbench.engines import Runner
from workbench.engines._program import executed
from workbench.measure.memory import stored_bytes
from workbench.precisions import find
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

CASES = [
    (engine, precision)
    for engine, each in engines.registered().items()
    for precision in ("fp32", "int8-static", "int8-dynamic", "int8-weights", "bf16")
    if not each.slow_to_prepare and each.why_not(precision, "cpu") is None
]
INPUTS = torch.randn(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
ONE = INPUTS[:1]
"""Of one example, all engines take the same range where they find it themselves."""
MOST_GRAPH_BYTES = 60_000
"""Of a .pt2 file: its graph of some sixty nodes, each with its metadata, and the examples."""
WITH_PYTORCH_ALONE = """
import sys

sys.modules["workbench"] = sys.modules["torchao"] = None  # as if they weren't installed
import numpy
import torch

for folder in sys.argv[1:]:
    outputs = torch.export.load(folder + "/model.pt2").module()(torch.from_numpy(numpy.load("one.npy")))
    numpy.save(folder + "/outputs.npy", outputs.detach().numpy())
"""


@cache
def variant(precision: str, saturates: bool) -> Variant:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(288, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
    plain = Variant(model.eval())
    context = Context(train=Data(INPUTS, torch.arange(64) % 10), saturates=saturates)
    return plain if find(precision).is_plain else Quantize(scheme=precision).apply(plain, context)


def asked_of(engine: str, precision: str) -> Variant:
    return variant(precision, engines.find(engine).saturates())


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[tuple[str, str], tuple[Runner, Path]]:
    """By engine and precision, a runner and the folder with what it saved and what PyTorch alone makes of it."""
    home, found = tmp_path_factory.mktemp("taken"), {}
    np.save(home / "one.npy", ONE.numpy())
    for engine, precision in CASES:
        runner = engines.find(engine).prepare(asked_of(engine, precision), ONE, threads=1)
        folder = home / f"{engine}-{precision}"
        folder.mkdir()
        assert {path.name for path in runner.save(folder)} == {each.name for each in engines.find(engine).exports}
        found[engine, precision] = runner, folder
    folders = [str(folder) for _, folder in found.values()]
    subprocess.run([sys.executable, "-I", "-c", WITH_PYTORCH_ALONE, *folders], cwd=home, check=True)
    return found


@pytest.mark.parametrize(("engine", "precision"), CASES)
def test_pytorch_alone_runs_the_program_and_it_computes_what_the_engine_does(saved, engine, precision):
    runner, folder = saved[engine, precision]
    outputs, expected = torch.from_numpy(np.load(folder / "outputs.npy")), runner(ONE)
    assert (outputs - expected).abs().max().item() <= tolerance(precision, expected)
    with torch.no_grad():
        assert torch.equal(outputs, executed(asked_of(engine, precision))(ONE))


@pytest.mark.parametrize(("engine", "precision"), CASES)
def test_the_program_has_the_size_that_the_figures_say(saved, engine, precision):
    runner, folder = saved[engine, precision]
    asked = asked_of(engine, precision)
    size_bytes = stored_bytes(asked, runner.kernels if asked.graph is None else None)
    assert (folder / "model.pt2").stat().st_size < size_bytes + MOST_GRAPH_BYTES


@pytest.mark.parametrize(("engine", "precision"), [case for case in CASES if case[0] in ("onnxruntime", "openvino")])
def test_onnx_runtime_runs_the_onnx_model(saved, engine, precision):
    import onnxruntime

    runner, folder = saved[engine, precision]
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    [outputs] = session.run(None, {session.get_inputs()[0].name: ONE.numpy()})
    expected = runner(ONE)
    assert (torch.from_numpy(outputs) - expected).abs().max().item() <= tolerance(precision, expected)


@pytest.mark.parametrize("precision", [precision for engine, precision in CASES if engine == "native"])
def test_the_native_program_is_loaded_without_the_model(saved, precision):
    runner, folder = saved["native", precision]
    assert torch.equal(wb.load_program(folder / "native.safetensors", threads=1)(ONE), runner(ONE))

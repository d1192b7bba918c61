"""All weights and inputs at their extremes: where pairs of 8-bit products are added in 16 bits, they would overflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from tests.engines.models import tolerance
from workbench import engines, kernels
from workbench.machine.instructions import EXACT_INT8, cpu_flags
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SHAPES = {"linear": (32,), "convolution": (32, 6, 6)}
CASES = [("linear", "int8-static"), ("linear", "int8-dynamic"), ("convolution", "int8-static")]

ASKED = [
    (engine, kind, scheme)
    for engine in ("native", "onnxruntime", "openvino", "compiled")
    for kind, scheme in CASES
    if engines.find(engine).refuses(scheme, "cpu") is None
]


def extreme(kind: str) -> nn.Module:
    """Every weight is the largest of its channel, of one sign."""
    layers = (
        (nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8))
        if kind == "linear"
        else (nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.Flatten())
    )
    model = nn.Sequential(*layers).eval().requires_grad_(False)
    for number, parameter in enumerate(model.parameters()):
        parameter.fill_((-1.0) ** (number // 2) if parameter.dim() > 1 else 0)
    return model


def inputs(kind: str) -> torch.Tensor:
    """Rows of the largest value there is, and some smaller ones."""
    return torch.ones(64, *SHAPES[kind]) * torch.linspace(1, 0, 64).view(64, *[1] * len(SHAPES[kind]))


def quantized(kind: str, scheme: str, saturates: bool) -> Variant:
    context = Context(Data(inputs(kind), torch.zeros(64, dtype=torch.int64)), saturates=saturates)
    return Quantize(scheme=scheme, calibration="range").apply(Variant(extreme(kind)), context)


def off_by(engine: str, kind: str, scheme: str, saturates: bool) -> float:
    """How far the engine is from its simulated graph, in tolerances of the engines' other tests."""
    variant = quantized(kind, scheme, saturates)
    examples = inputs(kind)[:8]
    expected = variant.graph(examples)
    made = engines.find(engine).prepare(variant, examples, threads=1)(examples)
    return float((made - expected).abs().max()) / tolerance(scheme, expected)


@pytest.mark.parametrize(("engine", "kind", "scheme"), ASKED)
@pytest.mark.timeout(600)
def test_every_engine_equals_its_simulated_graph_at_the_extremes(engine, kind, scheme, cache_directory):
    found = engines.find(engine)
    if reason := found.unavailable():
        pytest.skip(reason)
    assert off_by(engine, kind, scheme, found.saturates()) <= 1


@pytest.mark.parametrize(("kind", "scheme"), CASES)
@pytest.mark.parametrize("isa", [] if kernels.unavailable() else kernels.isas())
def test_native_is_exact_in_all_eight_bits_on_every_instruction_set(isa, kind, scheme, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ISA", isa)
    assert not engines.find("native").saturates()
    assert off_by("native", kind, scheme, saturates=False) <= 1


HELD_TO_AVX2 = """
import json, sys
from tests.engines.test_saturation import CASES, off_by
from workbench import engines
found = {}
for engine in ("openvino", "compiled"):
    asked = engines.find(engine)
    for kind, scheme in CASES:
        another = engine == "compiled" and (kind, scheme) != CASES[0]  # of these that take a minute to compile, one
        if not (another or asked.unavailable() or asked.refuses(scheme, "cpu")):
            both = [off_by(engine, kind, scheme, saturates) for saturates in (asked.saturates(), False)]
            found[f"{engine} {kind} {scheme}"] = [asked.saturates(), *both]
print(json.dumps(found))
"""


@pytest.mark.skipif("avx2" not in cpu_flags(), reason="needs a processor with AVX2, to which oneDNN is held")
@pytest.mark.timeout(900)
def test_held_to_avx2_an_engine_says_that_it_saturates_and_a_reduced_range_makes_it_right(cache_directory):
    asked = subprocess.run(
        [sys.executable, "-c", HELD_TO_AVX2],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(asked.stdout.splitlines()[-1])
    assert found
    for case, (saturates, reduced, full) in found.items():
        assert saturates, case
        assert reduced <= 1, case
        assert full > 5, f"{case}: without the reduced range it would be as right, so this shows nothing"


def test_onnx_runtime_saturates_where_the_processor_has_no_vnni():
    x86 = "avx2" in cpu_flags()
    assert engines.find("onnxruntime").saturates() == (x86 and not EXACT_INT8 & cpu_flags())


@pytest.mark.parametrize(
    ("limit", "flags", "saturates"),
    [
        ("", {"avx2", "avx512_vnni"}, False),
        ("", {"avx2"}, True),
        ("AVX2", {"avx2", "avx512_vnni", "avx_vnni"}, True),
        ("avx512_core", {"avx512_vnni"}, True),
        ("AVX2_VNNI", {"avx512_vnni"}, True),
        ("AVX2_VNNI", {"avx512_vnni", "avx_vnni"}, False),
        ("AVX512_CORE_VNNI", {"avx512_vnni"}, False),
    ],
)
def test_saturation_follows_from_the_instruction_sets_that_are_left(limit, flags, saturates, monkeypatch):
    from workbench.machine import instructions

    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    monkeypatch.setattr(instructions, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(instructions.platform, "machine", lambda: "x86_64")
    assert instructions.pairs_saturate(onednn=True) == saturates
    assert instructions.pairs_saturate(onednn=False) == (not EXACT_INT8 & flags)
    monkeypatch.setattr(instructions.platform, "machine", lambda: "aarch64")
    assert not instructions.pairs_saturate(onednn=True)

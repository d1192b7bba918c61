from __future__ import annotations

import pytest
import torch

import workbench as wb
from workbench import engines
from workbench.recipe import Recipe

SCHEMES = ("int8-static", "int8-dynamic", "bf16", "fp16", "int8-weights", "int4-weights", "fp8-e4m3")
READY_AT_ONCE = [name for name, engine in engines.registered().items() if not engine.slow_to_prepare]
PAIRS = [
    (scheme, name)
    for name in READY_AT_ONCE
    for scheme in ("fp32", *SCHEMES)
    if engines.find(name).unavailable() is None and engines.find(name).refuses(scheme, "cpu") is None
]


@pytest.mark.parametrize(("scheme", "engine"), PAIRS)
def test_every_scheme_on_every_engine_that_takes_it_ends_in_a_full_receipt(session, scheme, engine):
    steps = [] if scheme == "fp32" else [{"do": "quantize", "scheme": scheme}]
    recipe = Recipe.parse(steps=steps, place={"engine": engine, "threads": 1})
    result = session.start(wb.load("fashion-student"), recipe, baseline="eager").result()
    layers = [row for row in result.receipt if row.after is not None]
    assert layers
    assert all(row.kernel for row in layers)
    assert all(row.reason for row in layers if row.reality != "real")
    assert result.quality_loss.value < 0.02
    assert (result.variant.size_bytes < result.baseline.size_bytes) == (scheme != "fp32")


@pytest.mark.parametrize("kind", ["channels", "weights"])
def test_pruning_then_quantizing_keeps_both(session, kind):
    prune = {"do": "prune", "kind": kind, "amount": 0.25, "finetune_epochs": 1}
    recipe = Recipe.parse(steps=[prune, {"do": "quantize"}], place={"threads": 1})
    result = session.start(wb.load("fashion-student"), recipe, baseline="eager").result()
    assert {row.after.dtype for row in result.receipt if row.after} == {"int8"}
    if kind == "channels":
        assert any(row.before.weight_shape != row.after.weight_shape for row in result.receipt)
    else:
        assert any(row.after.sparsity > row.before.sparsity + 0.1 for row in result.receipt)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_distilling_shows_a_live_curve_and_a_smaller_model(session, labels):
    distill = {"do": "distill", "student": "fashion-student", "labels": labels, "epochs": 1}
    run = session.start(wb.load("fashion-cnn"), Recipe.parse(steps=[distill], place={"threads": 1}), baseline="eager")
    assert [event.loss for event in run if event.kind == "training"]
    assert run.result().variant.size_bytes < run.result().baseline.size_bytes / 4


def test_distilled_pruned_and_quantized_in_one_run_each_step_leaves_its_mark(session):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)).eval()
    own = wb.Workload(module, data=(torch.rand(200, 16), torch.arange(200) % 4))
    distill = {"do": "distill", "student": "half-width", "epochs": 1}
    prune = {"do": "prune", "amount": 0.5, "finetune_epochs": 1}
    recipe = Recipe.parse(steps=[distill, prune, {"do": "quantize"}], place={"threads": 1})
    seen = list(session.start(own, recipe, baseline="eager"))
    assert {event.technique for event in seen if event.kind == "training"} == {"distill", "prune"}
    rows = [row.after for row in seen[-1].result.receipt]
    assert [(row.dtype, row.weight_shape) for row in rows] == [("int8", (8, 16)), ("int8", (4, 8))]

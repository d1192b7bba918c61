"""Models that come quantized, through the worker: int8 from the start, on every engine, and left as they are."""

from __future__ import annotations

import pytest
import torch

import workbench as wb
from tests.models.quantized_files import IMAGES, LAYERS, quantized_file
from workbench import engines
from workbench.recipe import Recipe
from workbench.session import RunFailed

pytest.importorskip("onnxruntime")
DATA = (IMAGES, torch.arange(60) % 5)
REALITIES = {"native": "real", "onnxruntime": "real", "openvino": "real", "eager": "simulated"}


def on(engine: str, **fields) -> Recipe:
    return Recipe.parse(place={"engine": engine, "threads": 1}, **fields)


@pytest.fixture(scope="module", params=["pairs, one scale for each channel", "ranges of what comes"])
def workload(request, tmp_path_factory):
    return wb.Workload(quantized_file(tmp_path_factory.mktemp("files"), request.param), DATA)


@pytest.mark.parametrize("engine", REALITIES)
def test_every_engine_runs_it_as_the_int8_that_it_is(session, workload, engine):
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    run = session.start(workload, on(engine), baseline="eager")
    notices = [event.message for event in run if event.kind == "notice"]
    result = run.result()
    assert any(message.startswith("the model came quantized, int8-") for message in notices)
    assert {row.layer: (row.before.dtype, row.after.dtype, row.reality) for row in result.receipt} == dict.fromkeys(
        LAYERS, ("int8", "int8", REALITIES[engine])
    )
    assert result.variant.size_bytes == result.baseline.size_bytes
    assert result.baseline.precision == result.variant.precision != "fp32"
    assert "eager int8" in result.verdict
    assert abs(result.quality_loss.value) <= 0.05


@pytest.mark.parametrize(
    "step",
    [{"do": "quantize"}, {"do": "prune", "finetune_epochs": 0}, {"do": "distill"}],
    ids=lambda step: step["do"],
)
def test_what_would_change_its_weights_is_refused_in_one_line(session, workload, step):
    with pytest.raises(RunFailed, match="is quantized already: .*; give the float model it was made from") as caught:
        session.start(workload, on("eager", steps=[step])).result()
    assert "\n" not in str(caught.value)

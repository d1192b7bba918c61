"""Models that come quantized, through the worker: int8 from the start, and left as they are."""

from __future__ import annotations

import pytest
import torch

import workbench as wb
from tests.models.quantized_files import IMAGES, LAYERS, quantized_file
from tests.receipts import is_int8
from workbench import engines
from workbench.recipe import Recipe
from workbench.session import RunFailed

pytest.importorskip("onnxruntime")
DATA = (IMAGES, torch.arange(60) % 5)
STATIC, DYNAMIC = "pairs, one scale for each channel", "ranges of what comes"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return {form: quantized_file(tmp_path_factory.mktemp("files"), form) for form in (STATIC, DYNAMIC)}


def on(engine: str, **fields) -> Recipe:
    return Recipe.parse(place={"engine": engine, "threads": 1}, **fields)


@pytest.mark.parametrize(
    ("engine", "form", "precision"),
    [
        ("native", STATIC, "int8-static"),
        ("onnxruntime", DYNAMIC, "int8-dynamic"),
    ],
)
def test_it_runs_as_the_int8_that_it_is(session, files, engine, form, precision):
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    run = session.start(wb.Workload(files[form], DATA), on(engine), baseline="eager")
    result = run.result()
    assert f"the model came quantized, {precision} in 5 of 5 layers; so is its baseline" in run.notices
    assert {row.layer: (row.before.dtype, is_int8(row)) for row in result.receipt} == dict.fromkeys(
        LAYERS, ("int8", True)
    )
    assert result.variant.size_bytes == result.baseline.size_bytes
    assert result.baseline.precision == result.variant.precision == precision
    assert f"eager {precision}" in result.verdict
    assert abs(result.quality_loss.value) <= 0.2  # two of twelve answers: a step may decide between classes


@pytest.mark.parametrize(
    "step",
    [{"do": "quantize"}, {"do": "prune", "finetune_epochs": 0}, {"do": "distill"}],
    ids=lambda step: step["do"],
)
def test_what_would_change_its_weights_is_refused_in_one_line(session, files, step):
    with pytest.raises(RunFailed, match=r"is quantized already: .*; give the float model it was made from") as caught:
        session.start(wb.Workload(files[STATIC], DATA), on("eager", steps=[step])).result()
    assert "\n" not in str(caught.value)

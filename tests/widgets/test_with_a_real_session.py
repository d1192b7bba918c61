"""The page with a real session and its worker behind it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import workbench as wb
from workbench import events
from workbench.errors import WorkbenchError
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.session import Session
from workbench.widgets import Workbench
from workbench.widgets.page import pump
from workbench.widgets.takeaway import code as _code
from workbench.workload import Workload

PLACE = {"engine": "eager", "threads": 1}
TOGGLES = st.sampled_from(
    [
        {"steps": []},
        {"steps": [{"do": "quantize", "scheme": "int8-dynamic"}]},
        {"steps": [{"do": "quantize", "scheme": "bf16"}]},
        {"steps": [{"do": "prune", "finetune_epochs": 0}]},
        {"steps": [{"do": "prune", "finetune_epochs": 5}]},
        {"steps": [{"do": "distill", "epochs": 2}]},
    ]
)


@pytest.fixture(scope="module")
def session():
    session = Session()
    session.catalog()
    yield session
    session.close()


@pytest.fixture(scope="module")
def page(session):
    bench = Workbench("fashion-student", session=session, recipe={"place": PLACE})
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def endings(session):
    """The last event of every run."""
    ended = queue.SimpleQueue()
    session.subscribe(lambda event: ended.put(event) if event.kind in events.ENDINGS else None)
    return ended


@pytest.fixture(scope="module")
def started(session):
    """The runs that the worker took up."""
    taken_up = queue.SimpleQueue()
    session.subscribe(lambda event: taken_up.put(event) if event.kind == "started" else None)
    return taken_up


def play(page: Workbench, toggled: list[dict]) -> Iterator[bool]:
    """Use the controls as a browser does; yields after each whether it started a run."""
    page.frame.views += 1
    for number, steps in enumerate(toggled):
        before = page.state.run
        page.panel._wanted = {"client": "browser", "number": number, "recipe": {**steps, "place": PLACE}}
        yield page.state.run > before


def complete(steps: dict) -> dict:
    return Recipe.parse({**steps, "place": PLACE}).model_dump(mode="json")


def of(run: int, heard: queue.SimpleQueue) -> events.Event:
    while (event := heard.get(timeout=120)).run != run:
        pass
    return event


@settings(max_examples=8, deadline=None)
@given(toggled=st.lists(TOGGLES, min_size=1, max_size=5), patience=st.lists(st.booleans(), min_size=5, max_size=5))
def test_any_sequence_of_toggles_and_a_cancel_end_in_the_state_of_the_last_recipe(
    page, started, endings, toggled, patience
):
    for is_new, waits in zip(play(page, toggled), patience, strict=False):
        if is_new and waits:
            of(page.state.run, started)
    if page.state.busy:
        page.cancel()
        assert of(page.state.run, endings).kind == "cancelled"
    assert page.panel.recipe == page.state.recipe == complete(toggled[-1])
    assert page.state.phase == "cancelled"


CLICKS = st.sampled_from(["toggle", "drag", "start over", "measure again", "cancel"])


@settings(max_examples=12, deadline=None)
@given(
    clicks=st.lists(CLICKS, min_size=1, max_size=6),
    pauses=st.lists(st.sampled_from([0, 0.02, 0.2]), min_size=6, max_size=6),
)
def test_however_quickly_one_clicks_the_page_comes_to_rest_on_the_last_recipe(page, clicks, pauses):
    page.frame.set_state({"views": page.frame.views + 1})
    for click, pause in zip(clicks, pauses, strict=False):
        press(page, click)
        time.sleep(pause)
    page.progress.set_state({"cancels": page.progress.cancels + 1})
    while page.state.busy:
        time.sleep(0.01)
    for _ in range(2):  # the code comes after what people wait for
        pump.shared().flush()
    last = page.panel.recipe
    assert page.panel._shown["recipe"] == last
    assert page.bar.changed == (last != Recipe.plain().model_dump(mode="json"))
    assert json.loads(page.code.recipe)["steps"] == last["steps"]
    assert not page.panel.busy
    assert page.progress.view["again"]


def press(page: Workbench, click: str) -> None:
    """What a browser sends for it."""
    if click == "start over":
        page.bar.set_state({"resets": page.bar.resets + 1})
    elif click == "measure again":
        page.progress.set_state({"repeats": page.progress.repeats + 1})
    elif click == "cancel":
        page.progress.set_state({"cancels": page.progress.cancels + 1})
    else:
        batches = [2**power for power in range(8)] if click == "drag" else [1]
        for batch in batches:
            number = page.panel._wanted.get("number", 0) + 1
            recipe = {"steps": [{"do": "quantize", "scheme": "bf16"}], "place": {**PLACE, "batch": batch}}
            page.panel.set_state({"_wanted": {"client": "browser", "number": number, "recipe": recipe}})


def test_a_run_that_overtook_others_ends_in_its_own_figures(page, endings):
    training, quantized = {"do": "prune", "finetune_epochs": 5}, {"do": "quantize"}
    assert all(play(page, [{"steps": [training]}, {"steps": []}, {"steps": [quantized]}]))
    ending = of(page.state.run, endings)
    assert ending.kind == "finished"
    assert page.state.result == ending.result
    assert page.panel.recipe == ending.result.recipe == complete({"steps": [quantized]})


def test_the_copied_code_of_several_steps_repeats_the_run_in_a_fresh_interpreter(session):
    """All but the times: quality, sizes and what became of each layer are the same for the same seed."""
    recipe = Recipe.parse(
        steps=[
            {"do": "prune", "amount": 0.25, "criterion": "random", "finetune_epochs": 0},
            {"do": "quantize", "overrides": {"fc1": "fp32"}, "calibration": "mse", "calibration_samples": 32},
        ],
        place=PLACE,
        seed=3,
    )
    workload = wb.load("fashion-student")
    first = session.start(workload, recipe).result()
    code = _code.python(workload, first.recipe) + "print(wb.run(workload, recipe).result().model_dump_json())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    again = Result.model_validate_json(ran.stdout.splitlines()[-1])
    assert again.recipe == first.recipe
    assert again.variant.quality == first.variant.quality
    assert again.answers_changed == first.answers_changed
    assert again.variant.size_bytes == first.variant.size_bytes
    assert [layer.after for layer in again.receipt] == [layer.after for layer in first.receipt]


def test_a_pruned_and_quantized_model_is_taken_away_in_every_form_with_its_report(session, tmp_path):
    recipe = Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 0}, {"do": "quantize"}], place=PLACE)
    paths = session.save_model(wb.load("fashion-student"), recipe, tmp_path)
    assert {"model.pt2", "model.onnx", "report.html", "run.py"} <= {path.name for path in paths}
    assert set(paths) == set(tmp_path.iterdir())
    assert all(path.stat().st_size for path in paths)


def test_a_model_is_not_saved_for_more_threads_than_there_are(session, tmp_path):
    with pytest.raises(WorkbenchError, match="1024 threads can't be used"):
        session.save_model(wb.load("fashion-student"), Recipe.parse(place={"threads": 1024}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_measure_again_measures_the_weights_and_the_data_of_now(session, endings):
    model = nn.Sequential(nn.Linear(4, 3)).eval()
    labels = torch.zeros(60, dtype=torch.int64)
    always_says(model, 0)
    bench = Workbench(Workload(model, (torch.rand(60, 4), labels)), session=session, recipe={"place": PLACE})
    try:
        bench.frame.views += 1
        assert of(bench.state.run, endings).result.variant.quality.value == 1
        always_says(model, 2)
        bench.progress.repeats += 1
        assert of(bench.state.run, endings).result.variant.quality.value == 0
        labels += 2
        bench.progress.repeats += 1
        assert of(bench.state.run, endings).result.variant.quality.value == 1
    finally:
        bench.close()


def always_says(model: nn.Module, answer: int) -> None:
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.arange(3) == answer)

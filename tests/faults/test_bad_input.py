from __future__ import annotations

import re

import pytest
import torch
from torch import nn

import workbench as wb
from workbench.recipe import Recipe
from workbench.session import RunFailed, Session

EAGER = Recipe.parse(place={"engine": "eager", "threads": 1})
QUANTIZED = Recipe.parse(EAGER.model_dump(), steps=[{"do": "quantize"}])
IN_A_CELL = """class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)
    def forward(self, x):
        return self.fc(x * 2 if x.sum().item() > 1e9 else x)
"""
DATA = (torch.rand(50, 6), torch.arange(50) % 3)


class Branching(nn.Module):
    """Runs, but can't be exported: what it does depends on the values it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        if x.sum().item() > 1e9:
            return self.fc(x) * 2
        return self.fc(x)


@pytest.fixture(scope="module")
def session():
    session = Session()
    yield session
    session.close()


def failure(session: Session, workload: wb.Workload, recipe: Recipe = EAGER) -> str:
    with pytest.raises(RunFailed) as caught:
        session.start(workload, recipe).result()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_model_that_cannot_be_exported_still_runs_eagerly(session):
    workload = wb.Workload(nn.Sequential(Branching()), data=DATA)
    assert session.start(workload, EAGER, baseline="eager").result().variant.engine == "eager"


def test_a_model_that_cannot_be_exported_says_which_operation_and_line_are_to_blame(session):
    workload = wb.Workload(nn.Sequential(Branching()), data=DATA)
    message = failure(session, workload, QUANTIZED)
    assert "can't be exported" in message
    assert "the eager engine still runs it" in message
    assert re.search(r"at aten\.item \(test_bad_input\.py, line \d+: if x\.sum\(\)\.item\(\) > 1e9:\)", message)


def test_a_model_from_a_notebook_cell_that_cannot_be_exported_says_so_too(session):
    cell = compile(IN_A_CELL, "/ipykernel_1/1716799306.py", "exec")  # where there is no such file
    scope: dict = {"nn": nn, "__name__": "__main__"}
    exec(cell, scope)
    message = failure(session, wb.Workload(nn.Sequential(scope["Cell"]()), data=DATA), QUANTIZED)
    assert "at aten.item (1716799306.py, line 6)" in message


def test_labels_out_of_range_are_named(session):
    assert "7" in failure(session, wb.Workload(nn.Linear(6, 3), data=(DATA[0], torch.full((50,), 7))))


def test_inputs_of_the_wrong_shape_are_named(session):
    assert "5" in failure(session, wb.Workload(nn.Linear(6, 3), data=(torch.rand(50, 5), DATA[1])))


def test_not_a_number_in_weights_is_named(session):
    model = nn.Sequential(nn.Linear(6, 3))
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    assert "0.weight" in failure(session, wb.Workload(model, data=DATA))


def test_not_a_number_in_data_is_named(session):
    inputs = DATA[0].clone()
    inputs[17, 2] = float("inf")
    assert "17" in failure(session, wb.Workload(nn.Sequential(nn.Linear(6, 3)), data=(inputs, DATA[1])))


def test_a_pickled_model_where_weights_are_expected_is_refused(session, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(nn.Linear(6, 3), path)
    workload = wb.Workload("torch.nn:Identity", data=DATA, weights=str(path))
    assert "store its weights: torch.save(model.state_dict()" in failure(session, workload)


def test_a_file_that_is_not_what_its_suffix_says_is_refused(session, tmp_path):
    path = tmp_path / "model.pt2"
    path.write_text("this is no exported program")
    assert "pt2" in failure(session, wb.Workload(str(path), data=DATA))


def raising(outputs, targets):
    return outputs["logits"]


def giving_nan(outputs, targets):
    return torch.full((len(outputs),), torch.nan)


class Two(nn.Module):
    """Takes two inputs by name."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, features, mask):
        return self.fc(features * mask)


ROWS, LABELS = DATA
ONE = nn.Linear(6, 3)
BAD_TASKS = {
    "a metric that raises": (ONE, DATA, {"metric": raising}, r"raising raises .* \(test_bad_input\.py, line \d+\)"),
    "a metric that gives NaN": (ONE, DATA, {"metric": giving_nan}, "giving_nan gives NaN for example 0"),
    "targets that don't fit the outputs": (
        ONE,
        (ROWS, torch.rand(50, 4)),
        {},
        r"no metric fits outputs of shape \[2, 3\]",
    ),
    "inputs of different lengths": (Two(), ({"features": ROWS, "mask": ROWS[:7]}, LABELS), {}, "differ in length"),
    "a key that forward doesn't take": (
        Two(),
        ({"features": ROWS, "masks": ROWS}, LABELS),
        {},
        "doesn't take 'masks': .*did you mean mask",
    ),
}


@pytest.mark.parametrize("case", BAD_TASKS)
def test_a_task_that_makes_no_sense_is_told_in_one_line_before_anything_is_measured(session, case):
    model, data, options, told = BAD_TASKS[case]
    run = session.start(wb.Workload(model, data=data, **options), EAGER)
    *before, failed = run
    assert failed.kind == "failed"
    assert re.search(told, failed.message)
    assert "\n" not in failed.message
    assert {event.kind for event in before} <= {"progress"}


def test_after_all_of_these_the_same_worker_still_works(session):
    pid = session.worker_pid
    assert session.start(wb.load("fashion-student"), EAGER, baseline="eager").result()
    assert session.worker_pid == pid

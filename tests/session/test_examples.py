"""A question about a finished run's examples, and the worker that answers it."""

from __future__ import annotations

import pytest
import torch

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.recipe import Recipe

STUDENT = wb.load("fashion-student")
PLACE = {"engine": "eager", "threads": 1}
TRAINED = Recipe.parse(
    steps=[{"do": "prune", "kind": "weights", "amount": 0.9, "finetune_epochs": 1}, {"do": "quantize"}], place=PLACE
)


def own() -> wb.Workload:
    torch.manual_seed(0)
    inputs = torch.rand(200, 4)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    return wb.Workload(model, data=(inputs, torch.arange(200) % 3))


def test_as_many_changed_as_the_run_says(session):
    half = Recipe.parse(steps=[{"do": "prune", "amount": 0.5, "finetune_epochs": 0}], place=PLACE)
    result = session.start(STUDENT, half).result()
    found = session.examples(STUDENT, Recipe.parse(result.recipe), limit=5)
    assert found.changed == result.answers_changed
    assert found.total == result.answers
    assert len(found.examples) == 5


def test_what_a_training_made_is_looked_at_and_never_trained_for_it(session):
    workload = own()
    with pytest.raises(WorkbenchError, match="would have to be trained again"):
        session.examples(workload, TRAINED)
    result = session.start(workload, TRAINED).result()
    assert session.examples(workload, TRAINED).changed == result.answers_changed

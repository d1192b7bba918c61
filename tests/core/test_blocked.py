"""What is greyed for one model: asked of the techniques about real modules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import workbench as wb
from workbench import models, techniques
from workbench.core import blocked
from workbench.errors import WorkbenchError
from workbench.precisions import registered
from workbench.recipe import Recipe
from workbench.session import RunFailed
from workbench.workload import Workload

LABELS = torch.arange(60) % 3


def of(module: nn.Module, *shape: int) -> dict:
    return blocked.toggles(models.load(Workload(module, data=(torch.rand(60, *shape), LABELS))))


def test_nothing_is_greyed_for_the_model_everybody_starts_with():
    found = blocked.toggles(models.load(Workload("fashion-cnn")))
    assert [each for each in found.values() if each.reason or each.choices] == []


def test_of_a_kind_of_layer_it_is_told_which_schemes_have_no_form_for_it():
    kinds = blocked.toggles(models.load(Workload("fashion-cnn")))["quantize"].kinds
    assert kinds.keys() == {"Conv2d"}
    assert {"int8-dynamic", "int8-weights", "int2-weights"} <= kinds["Conv2d"].keys()
    assert "int8-static" not in kinds["Conv2d"]
    assert kinds["Conv2d"]["int4-weights"].startswith("int4-weights quantizes linear layers only")


def test_a_choice_is_greyed_where_no_recipe_with_it_could_do_anything():
    found = of(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), 1, 4, 4)
    assert found["prune"].reason == ""
    assert found["prune"].choices.keys() == {"kind"}, "the criterion matters for channels only, so it blocks nothing"
    assert "the only one" in found["prune"].choices["kind"]["channels"]
    assert "quantize" not in found


def test_a_model_without_linear_layers_has_no_scheme_for_these_alone():
    found = of(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 2), nn.Flatten()), 1, 4, 4)
    alone = {name for name, each in registered().items() if each.weights_only}
    assert found["quantize"].choices["scheme"].keys() == {"int8-dynamic", *alone}


def test_a_toggle_none_of_whose_choices_could_do_anything_is_greyed_as_a_whole():
    found = of(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), 3, 4, 4)
    assert "no weight matrices" in found["prune"].reason or "needs linear" in found["prune"].reason
    assert found["distill"].reason


def test_a_student_that_cannot_take_the_inputs_is_greyed():
    found = of(nn.Sequential(nn.Flatten(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 3)), 3, 4, 4)
    students = found["distill"].choices["student"]
    assert students.keys() == set(models.students())
    assert "shape [3, 4, 4]" in students["fashion-student"]


def test_each_reason_is_what_the_technique_itself_says():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    for name, toggle in of(module, 1, 4, 4).items():
        for option, reasons in toggle.choices.items():
            for value, reason in reasons.items():
                form = techniques.Form.of((torch.zeros(1, 1, 4, 4),), (3,))
                assert techniques.find(name)(**{option: value}).blocked(module, form) == reason


def test_nothing_is_known_of_what_follows_another_architecture():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    prune, student = {"do": "prune"}, {"do": "distill", "student": "fashion-student"}
    assert blocked.first_reason(Recipe.parse(steps=[prune]).steps, module)
    assert blocked.first_reason(Recipe.parse(steps=[student, prune]).steps, module) is None


def test_a_run_that_could_do_nothing_fails_at_once_with_the_reason_and_the_page_is_told(session):
    workload = Workload(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), data=(torch.rand(60, 1, 4, 4), LABELS))
    run = session.start(workload, Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 5}]))
    seen = list(run)
    (loaded,) = (event for event in seen if event.kind == "loaded")
    assert "channels" in loaded.blocked["prune"].choices["kind"]
    assert not any(event.kind in ("training", "latency") for event in seen)
    with pytest.raises(RunFailed, match="pruning channels needs a second layer"):
        run.result()


def test_preparing_in_python_refuses_with_the_same_line():
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    recipe = Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 0}])
    with pytest.raises(WorkbenchError, match="pruning channels needs a second layer"):
        wb.prepare(module, torch.rand(4, 1, 4, 4), recipe)

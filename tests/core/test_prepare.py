from __future__ import annotations

import pytest
import torch

import workbench as wb
from tests.techniques import parts
from workbench import models
from workbench.core.shelf import Shelf
from workbench.errors import WorkbenchError, WorkloadError
from workbench.models import build
from workbench.recipe import Recipe
from workbench.techniques import Context

IMAGES = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.usefixtures("every_layer_in_int8")
def test_a_prepared_int8_model_agrees_with_the_model_it_was_made_from():
    model = build("fashion-student").eval()
    images = torch.rand(256, 1, 28, 28)
    faster = wb.prepare(model, images[:1], {"steps": [{"do": "quantize", "scheme": "int8"}]}, calibration=images)
    with torch.no_grad():
        plain = model(images)
    # eight bits for the range of each tensor: an error of a few steps of 1/255 of the logits' spread
    assert (faster(images) - plain).abs().max() < 8 / 255 * (plain.max() - plain.min())
    assert {kernel.dtype for kernel in faster.kernels.values()} == {"int8"}


@pytest.mark.usefixtures("every_layer_in_int8")
def test_what_prepare_gives_has_a_receipt():
    model = build("fashion-student").train()
    images = torch.rand(64, 1, 28, 28)
    faster = wb.prepare(model, images[:4], {"steps": [{"do": "quantize", "scheme": "int8"}]}, calibration=images)
    rows = {row.layer: row for row in faster.receipt}
    assert rows.keys() == faster.kernels.keys()
    assert {(row.reality, row.before.dtype, row.after.dtype) for row in rows.values()} == {("real", "float32", "int8")}
    assert all(0 < row.output_error < 0.2 for row in rows.values())  # eight bits, and a layer or two of them before
    assert model.training


def test_more_threads_than_are_usable_are_refused_here_too():
    with pytest.raises(WorkbenchError, match="1024 threads can't be used"):
        wb.prepare(torch.nn.Linear(4, 3), torch.rand(1, 4), {"place": {"threads": 1024}})


def test_the_model_given_stays_as_it_is():
    model = build("fashion-student").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wb.prepare(model, torch.rand(1, 1, 28, 28), {"steps": [{"do": "prune", "finetune_epochs": 0}]})
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_auto_takes_the_next_engine_where_the_first_cannot_run_the_model():
    class Sorting(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x).sort(dim=1).values

    model, images = torch.nn.Sequential(Sorting(6, 3)), torch.rand(8, 6)
    runner = wb.prepare(model, images)
    torch.testing.assert_close(runner(images), model(images).detach())


def test_a_recipe_that_trains_asks_for_something_to_learn_from():
    with pytest.raises(WorkbenchError, match="pass calibration="):
        wb.prepare(build("fashion-student"), IMAGES[:1], {"steps": [{"do": "prune", "finetune_epochs": 1}]})


def test_without_targets_it_learns_from_the_model_before():
    recipe = {"steps": [{"do": "prune", "finetune_epochs": 1}], "place": {"engine": "eager"}}
    model = parts.build(lambda: build("fashion-student")).eval()
    tuned = wb.prepare(model, IMAGES[:1], recipe, calibration=IMAGES)
    cut = wb.prepare(model, IMAGES[:1], {**recipe, "steps": [{"do": "prune", "finetune_epochs": 0}]})
    with torch.no_grad():
        wanted = model(IMAGES)
    assert (tuned(IMAGES) - wanted).norm() < (cut(IMAGES) - wanted).norm()


def test_a_model_of_several_named_inputs_is_called_with_them_one_by_one():
    class Scored(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.head = torch.nn.Embedding(11, 8), torch.nn.Linear(8, 3)

        def forward(self, ids, mask):
            features = self.words(ids) * mask.unsqueeze(-1)
            return {"logits": self.head(features.mean(1))}

    model, ids, mask = Scored().eval(), torch.arange(40).reshape(8, 5) % 11, torch.rand(8, 5)
    faster = wb.prepare(model, {"ids": ids, "mask": mask}, {"steps": [{"do": "quantize", "scheme": "int8-dynamic"}]})
    with torch.no_grad():
        wanted = model(ids, mask)["logits"]
    assert (faster(ids, mask) - wanted).abs().max() < 0.05
    assert "head" in {row.layer for row in faster.receipt}


def test_a_workload_brings_its_own_data_and_gives_what_its_run_measures():
    steps = [{"do": "prune", "amount": 0.25, "finetune_epochs": 0}, {"do": "quantize"}]
    recipe = Recipe.parse(steps=steps, place={"engine": "eager", "threads": 1}, seed=3)
    loaded = models.load(wb.load("fashion-student"))
    context = Context.of(loaded, seed=recipe.seed)
    measured = Shelf(0).prepared(loaded, recipe, context).runner
    assert torch.equal(wb.prepare("fashion-student", recipe=recipe)(IMAGES), measured(IMAGES))


def test_what_a_workload_says_itself_is_not_said_again():
    with pytest.raises(WorkloadError, match="leave out example and output"):
        wb.prepare("fashion-student", IMAGES, output=0)


def test_a_module_without_an_example_is_told_to_bring_one():
    with pytest.raises(WorkloadError, match=r"give some of its inputs: wb.prepare\(model, inputs\[:8\]\)"):
        wb.prepare(torch.nn.Linear(4, 3))

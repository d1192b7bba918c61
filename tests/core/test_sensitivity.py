"""What each layer costs in each scheme: the figures of a survey, its order, and how it is gone on with."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import nn

import workbench as wb
from workbench import models
from workbench.core.runs import Core
from workbench.core.sensitivity import Survey, Surveys, quantized_apart
from workbench.errors import Cancelled, RecipeError, WorkbenchError
from workbench.recipe import Recipe
from workbench.sensitivities import Sensitivity
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.apart import Apart
from workbench.techniques.quantize.schemes import OF_LAYERS
from workbench.variant import Variant
from workbench.workload import LoadedWorkload, Workload

CLASSES = 4
ASKED = ("int8-static", "int4-weights", "binary-weights")


def convolutional(*, targets: str = "classes", count: int = 400) -> LoadedWorkload:
    """A small network that was never trained: rounding changes many of its answers."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 16), nn.ReLU(), nn.Linear(16, CLASSES)
    ).eval()
    images = torch.rand(count, 1, 8, 8)
    with torch.no_grad():
        answers = module(images)
    wanted = answers.argmax(1) if targets == "classes" else answers + 0.001
    return models.load(Workload(module, data=(images, wanted), train=(images, wanted)))


def surveyed(workload: LoadedWorkload, schemes=ASKED, examples: int = 300, **options) -> Sensitivity:
    steps = [Quantize(scheme=name, **options) for name in schemes]
    *_, found = Surveys().of(workload, workload.module, steps, examples, Context.of(workload))
    return found


@pytest.fixture(scope="module")
def workload() -> LoadedWorkload:
    return convolutional()


@pytest.fixture(scope="module")
def found(workload) -> Sensitivity:
    return surveyed(workload)


def cell(found: Sensitivity, layer: str, scheme: str):
    return next(each for each in found.cells if (each.layer, each.scheme) == (layer, scheme))


def test_there_is_a_cell_for_each_layer_and_scheme_with_figures_or_a_reason(found):
    assert found.final
    assert found.done == 1
    assert found.layers == ("0", "3", "5")
    assert [(each.layer, each.scheme) for each in found.cells] == [(a, b) for a in found.layers for b in ASKED]
    for each in found.cells:
        assert (each.only is None) == (each.all_but is None) == bool(each.reason)
    assert cell(found, "0", "int4-weights").reason.startswith("int4-weights quantizes linear layers only")


def test_each_figure_is_of_all_examples_asked_for(found):
    assert {each.only.n for each in found.cells if each.only} == {300}
    assert {each.all_but.n for each in found.cells if each.all_but} == {300}
    assert found.examples == 300
    assert found.value == 1.0  # the model is right wherever its own answers are wanted


def test_the_loss_and_the_error_are_those_of_the_model_with_that_layer_in_that_scheme(workload):
    nearest = {"scheme": "binary-weights", "rounding": "nearest"}  # what is learned depends on the layers before
    found = surveyed(workload, ("binary-weights",), rounding="nearest")
    step = Quantize(**nearest, overrides={"*": "fp32", "5": "binary-weights"})
    graph = step.apply(Variant(workload.module), Context.of(workload)).graph
    order = torch.randperm(400, generator=torch.Generator().manual_seed(0))[:300]
    images, targets = workload.test.inputs[0][order], workload.test.targets[order]
    with torch.no_grad():
        exact, outputs = workload.module(images), graph(images)
    only = cell(found, "5", "binary-weights").only
    assert only.loss.value == pytest.approx(1 - float((outputs.argmax(1) == targets).double().mean()), abs=1e-9)
    assert only.error == pytest.approx(float((outputs - exact).norm() / exact.norm()), rel=1e-4)
    assert only.loss.low < only.loss.value < only.loss.high


def test_fewer_bits_move_outputs_further(found):
    errors = [cell(found, "3", scheme).only.error for scheme in ASKED]
    assert errors == sorted(errors)
    own = [cell(found, "3", scheme).own for scheme in ASKED]
    assert own == sorted(own)


def test_of_two_layers_each_is_all_but_the_other(workload):
    found = surveyed(workload, ("int4-weights",), rounding="nearest", correct_biases=False)
    one, other = (cell(found, layer, "int4-weights") for layer in ("3", "5"))
    assert one.all_but.error == pytest.approx(other.only.error, rel=1e-4)
    assert other.all_but.error == pytest.approx(one.only.error, rel=1e-4)


def test_a_metric_of_numbers_has_its_own_unit_and_loss():
    found = surveyed(convolutional(targets="numbers"), ("binary-weights",))
    assert (found.metric, found.better) == ("mae", "lower")
    assert found.value == pytest.approx(0.001, rel=1e-2)
    assert cell(found, "5", "binary-weights").only.loss.low > 0


def test_of_fewer_examples_than_asked_for_it_takes_all(workload):
    found = surveyed(workload, ("binary-weights",), examples=100_000)
    assert found.examples == 400
    assert cell(found, "5", "binary-weights").only.n == 400


def test_the_layer_that_is_off_most_comes_first_and_parts_come_before_the_whole(workload):
    survey = Survey(workload, workload.module, [Quantize(scheme="binary-weights")], 300, 0)
    context = Context.of(workload)
    survey.advance(context)  # the graphs
    assert not survey.has_begun
    survey.advance(context)
    known = [each for each in survey.told().cells if each.only]
    assert [each.layer for each in known] == [
        max(("3", "5"), key=lambda name: cell(survey.told(), name, "binary-weights").own)
    ]
    assert 0 < known[0].only.n < 300
    assert not survey.told().final
    assert 0 < survey.told().done < 1


def test_what_was_found_before_it_gave_way_is_kept_and_never_looked_at_twice(workload, found, monkeypatch):
    looks, swap = [], Apart.only
    monkeypatch.setattr(Apart, "only", lambda self, looked, layer: (looks.append(layer), swap(self, looked, layer))[1])
    surveyed(workload)
    at_once = len(looks)
    surveys, steps, turns, patience = Surveys(), [Quantize(scheme=name) for name in ASKED], 0, 5

    def checkpoint() -> None:
        if next(left, None) is None:
            raise Cancelled

    while True:
        left = iter(range(patience))
        try:
            *_, again = surveys.of(workload, workload.module, steps, 300, Context.of(workload, checkpoint=checkpoint))
            break
        except Cancelled:
            turns, patience = turns + 1, min(2 * patience, 640)  # graphs are made in one piece
    assert turns > 3
    assert again == found
    assert len(looks) == 2 * at_once


def test_a_scheme_that_fits_no_layer_says_so_beside_those_that_do():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.ReLU()).eval()
    images = torch.rand(50, 1, 8, 8)
    workload = models.load(Workload(module, data=(images, torch.arange(50) % 72), train=images))
    found = surveyed(workload, ("int8-static", "int4-weights"))
    assert cell(found, "0", "int8-static").only
    assert "this model has none" in cell(found, "0", "int4-weights").reason
    with pytest.raises(WorkbenchError, match="this model has none"):
        surveyed(workload, ("int4-weights",))


def test_the_recipe_s_other_steps_come_first_and_its_quantize_step_gives_the_options():
    recipe = Recipe.parse(
        steps=[
            {"do": "prune"},
            {"do": "quantize", "scheme": "int4-weights", "group_size": 64, "overrides": {"a": "fp32"}},
        ]
    )
    others, steps = quantized_apart(recipe, ["int8", "int2-weights"])
    assert [step.do for step in others.steps] == ["prune"]
    assert [(step.scheme, step.group_size, step.overrides) for step in steps] == [
        ("int8-static", 64, {}),
        ("int2-weights", 64, {}),
    ]
    left_out = {f"int{bits}-{what}" for bits in (7, 6, 5) for what in ("static", "weights")}
    left_out |= {"int4-int4-static", "int2-int2-static", "fp8-e4m3", "fp8-e5m2"}
    usual = [step.scheme for step in quantized_apart(recipe, [])[1]]
    assert usual == [name for name in OF_LAYERS if name not in left_out]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("int9", "scheme 'int9' is not known; did you mean"),
        ("bf16", "a single layer can't have the scheme 'bf16'"),
        ("fp32", "fp32 is what layers are compared with; leave it out"),
    ],
)
def test_what_is_no_scheme_of_a_layer_is_refused_before_any_work(name, words):
    with pytest.raises(RecipeError, match=words):
        quantized_apart(Recipe(), [name])


@pytest.mark.parametrize("examples", [0, -5])
def test_so_few_examples_are_refused(examples):
    core = Core(outbox=None)
    asked = core.questions().sensitivity(1, Recipe(), ["int8"], examples, lambda: None, train=False)
    with pytest.raises(WorkbenchError, match=f"^examples is {examples}; look at 1 or more$"):
        next(asked)


class Dividing(nn.Module):
    """Gives infinity for images whose first pixel is small, whatever its layer gives."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, CLASSES)

    def forward(self, images):
        return self.layer(images.flatten(1)) / torch.relu(images[:, 0, 0, :1] - 0.5)


def test_outputs_that_are_no_numbers_are_told_as_such():
    images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    module = Dividing().eval()
    workload = models.load(Workload(module, data=(images, torch.arange(60) % CLASSES), train=images))
    only = cell(surveyed(workload, ("binary-weights",)), "layer", "binary-weights").only
    assert only.error is None or math.isfinite(only.error)


def test_what_would_have_to_be_trained_first_is_trained_only_where_that_is_said():
    core = Core(outbox=None)
    core.keep_workload(1, pickle.dumps(wb.load("fashion-student")), [1])
    trained = Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 3}])
    asked = core.questions().sensitivity(1, trained, ["int8"], 100, lambda: None, train=False)
    with pytest.raises(WorkbenchError, match="would have to be trained again"):
        next(asked)


def test_a_frame_has_a_row_for_each_cell_and_says_noise_in_decibels(found):
    frame = found.frame()
    assert len(frame) == len(found.cells)
    row = frame[(frame.layer == "5") & (frame.scheme == "binary-weights")].iloc[0]
    same = cell(found, "5", "binary-weights")
    assert (row.only_loss, row.only_loss_low, row.only_error) == (
        same.only.loss.value,
        same.only.loss.low,
        same.only.error,
    )
    assert row.snr_db == pytest.approx(-20 * math.log10(same.own))
    assert frame[frame.layer == "0"].reason.tolist()[1].startswith("int4-weights quantizes")

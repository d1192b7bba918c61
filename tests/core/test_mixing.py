"""Automatic mixed precision on real models: what it keeps in fp32, what it holds to, and when it stops."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from workbench import models
from workbench.core.judging import Judgements
from workbench.core.mixing import Mixing, Wanted
from workbench.core.mixing.layers import Layers
from workbench.core.mixing.models import Models
from workbench.core.shelf import Shelf
from workbench.engines import LayerTimesUnavailable
from workbench.engines.eager import EagerRunner
from workbench.errors import Cancelled, RecipeError, WorkbenchError
from workbench.mixtures import Mixture
from workbench.receipt import Interval
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import LoadedWorkload, Workload

FEATURES, CLASSES, COUNT = 32, 4, 1200
RUINOUS, HARMLESS = "last", "first"
PLACE = {"engine": "eager", "threads": 1}


class OutlierAtTheEnd(nn.Module):
    """Scores beside a constant of 10,000: with one scale for all inputs of the last layer, int8 rounds them to zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(FEATURES, FEATURES), nn.Linear(FEATURES + 1, CLASSES)
        with torch.no_grad():
            self.last.weight[:, -1] = 0

    def forward(self, rows):
        hidden = torch.relu(self.first(rows))
        return self.last(torch.cat([hidden, torch.full_like(hidden[:, :1], 1e4)], 1))


def loaded(module: nn.Module, **task) -> LoadedWorkload:
    """A workload whose model is right about all examples."""
    rows = torch.randn(COUNT, FEATURES, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answers = module(rows).argmax(1)
    return models.load(Workload(module, data=(rows[:200], answers[:200]), train=(rows[200:], answers[200:]), **task))


@pytest.fixture(scope="module")
def workload() -> LoadedWorkload:
    torch.manual_seed(0)
    return loaded(OutlierAtTheEnd().eval())


def mixing(workload: LoadedWorkload, shelf: Shelf | None = None, recipe: Recipe | None = None, **wanted) -> Mixing:
    wanted = Wanted(**{"budget": 0.02, "schemes": ("int8-static",), "examples": 500} | wanted)
    shelf = shelf or Shelf(2**30)
    model = Judgements(shelf).model(workload)
    return Mixing(workload, recipe or Recipe.parse(place=PLACE), wanted, shelf, model, Context.of(workload))


def states(workload: LoadedWorkload, seconds: float = 60, **options) -> list[Mixture]:
    return list(mixing(workload, **options).states(Context.of(workload), time.monotonic(), seconds))


@contextmanager
def invented_times() -> Iterator[None]:
    """Layers take half as long in int8, and models accordingly: what is made of times is asked, not what they are."""

    def least(self, asked, context):
        return {scheme: dict.fromkeys((HARMLESS, RUINOUS), 2.0 if scheme == "fp32" else 1.0) for scheme in asked}

    def speedup(self, recipe, context):
        kept = len(recipe.steps[-1].overrides) if recipe.precision != "fp32" else 2
        return Interval(value=2 / (2 + kept), low=2 / (2 + kept), high=2 / (2 + kept))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layers, "_least", least)
        patch.setattr(Models, "_speedup", speedup)
        yield


@pytest.fixture
def times() -> Iterator[None]:
    with invented_times():
        yield


@pytest.fixture(scope="module")
def told(workload) -> list[Mixture]:
    """All that is told of one search."""
    with invented_times():
        return states(workload)


def test_the_layer_that_int8_ruins_stays_in_fp32_and_the_others_become_faster(told):
    *_, found = told
    assert found.final
    assert found.plain.loss.low > found.limit
    assert found.chosen.schemes == {HARMLESS: "int8-static", RUINOUS: "fp32"}
    assert found.chosen.loss.value <= found.limit == 0.02
    [step] = found.recipe["steps"]
    assert (step["scheme"], step["overrides"]) == ("int8-static", {RUINOUS: "fp32"})


def test_int8_in_all_layers_is_the_best_where_it_is_within_the_budget_and_nothing_is_faster(workload, times):
    *_, found = states(workload, budget=1.0)
    assert set(found.chosen.schemes.values()) == {"int8-static"}
    assert found.recipe["steps"][0]["overrides"] == {}
    assert found.chosen.speedup.value == 1


def test_measured_on_a_real_engine_the_best_is_within_the_budget_and_no_slower_than_int8_where_that_is():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    *_, found = states(loaded(module.eval()), seconds=10, recipe=Recipe.parse(place={"threads": 1}), budget=0.1)
    assert found.plain.loss.value <= found.limit
    assert found.chosen.loss.value <= found.limit
    assert found.chosen.speedup.value >= 1
    assert {choice.layer for choice in found.choices} == {"0", "2"}


def test_there_is_a_best_as_soon_as_a_model_was_measured_and_whoever_stops_there_has_it(told):
    first = next(each for each in told if each.candidates)
    assert not first.final
    assert set(first.chosen.schemes.values()) == {"fp32"}
    assert first.recipe["steps"] == []
    better = [each.chosen.speedup.value for each in told if each.recipe]
    assert better == sorted(better)


def test_where_the_time_is_over_at_once_the_models_in_one_scheme_are_all_that_is_measured(workload, times):
    *_, found = states(workload, seconds=1e-6)
    assert found.final
    assert [each.origin for each in found.candidates] == ["uniform", "uniform"]
    assert set(found.chosen.schemes.values()) == {"fp32"}


def test_it_is_gone_on_with_where_it_gave_way_and_nothing_is_measured_twice(workload, times, monkeypatch):
    asked, measure = [], Models._measure
    monkeypatch.setattr(Models, "_measure", lambda *given: (asked.append(dict(given[1])), measure(*given))[1])
    search, left = mixing(workload), iter(range(6))

    def checkpoint() -> None:
        if next(left, None) is None:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(search.states(Context.of(workload, checkpoint=checkpoint), time.monotonic(), 60))
    *_, found = search.states(Context.of(workload), time.monotonic(), 60)
    assert found.chosen.schemes == {HARMLESS: "int8-static", RUINOUS: "fp32"}
    *_, again = search.states(Context.of(workload), time.monotonic(), 60)
    assert again == found
    assert len(asked) - len({frozenset(each.items()) for each in asked}) <= 1  # the one that gave way


def test_test_examples_have_no_part_in_it(workload, told, times):
    others = torch.randint(CLASSES, (200,), generator=torch.Generator().manual_seed(2))
    wrong = replace(workload, key="wrong", test=replace(workload.test, targets=others))
    *_, same = states(wrong)
    assert same == told[-1]


def test_a_step_before_quantization_counts_to_the_loss(workload, times):
    pruned = Recipe.parse(steps=[{"do": "prune", "kind": "weights", "amount": 0.95}], place=PLACE)
    with pytest.raises(WorkbenchError, match=r"^budget 0\.001 is below what the model loses without any quantization"):
        states(workload, recipe=pruned, budget=0.001)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"budget": 0.0}, "budget is 0; give the loss that is accepted as a share above 0"),
        ({"budget": -0.01}, "budget is -0.01; "),
        ({"budget": math.nan}, "budget is nan; "),
        ({"budget": 5.0}, "budget is 5; .* up to 1"),
        ({"budget": 0.01, "examples": 0}, "examples is 0; look at 1 or more"),
        ({"budget": 0.01, "seconds": 0.0}, "seconds is 0; give it some"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(wanted, words):
    with pytest.raises(WorkbenchError, match=f"^{words}"):
        Wanted(**wanted)


def test_a_scheme_that_no_layer_may_have_is_refused(workload):
    with pytest.raises(RecipeError, match="a single layer can't have the scheme 'bf16'"):
        mixing(workload, schemes=("bf16",))


def test_without_targets_to_judge_by_it_says_so_before_any_work():
    torch.manual_seed(0)
    rows = torch.randn(64, FEATURES)
    workload = models.load(Workload(OutlierAtTheEnd().eval(), data=(rows, torch.arange(64) % CLASSES), train=rows))
    with pytest.raises(WorkbenchError, match=r"^the training examples have no targets to judge by"):
        mixing(workload)


def test_an_engine_that_times_no_layers_is_refused_with_its_reason(workload, monkeypatch):
    def refuse(*_, **__):
        raise LayerTimesUnavailable("it times no layers today")

    monkeypatch.setattr(EagerRunner, "layer_times_ms", refuse)
    with pytest.raises(WorkbenchError, match=r"^no scheme can be measured layer by layer: it times no layers today$"):
        mixing(workload)


def test_a_frame_has_a_row_for_each_model_and_a_column_for_each_layer(told):
    *_, found = told
    frame = found.frame()
    assert len(frame) == len(found.candidates)
    assert frame[frame.best][RUINOUS].tolist() == ["fp32"]
    assert frame[frame.best].loss.tolist() == [found.chosen.loss.value]

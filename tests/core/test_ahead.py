from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import pytest
import torch

from tests.core.outbox import Kept
from workbench.core.ahead import neighbours
from workbench.core.placing import completions
from workbench.core.runs import Asked, Core
from workbench.errors import Cancelled
from workbench.machine import turn
from workbench.precisions import registered
from workbench.recipe import Recipe
from workbench.store import data_directory
from workbench.techniques import Context
from workbench.workload import Workload

START = completions(Recipe.parse(place={"engine": "eager", "threads": 1}))[0]
QUANTIZED = completions(Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "eager", "threads": 1}))[0]


def test_the_flip_of_a_toggle_comes_before_another_engine():
    first, *others = neighbours(START)
    assert [step.do for step in first.steps] == ["quantize"]
    assert others[-1].place.engine != "eager"


def test_nothing_that_trains_searches_or_takes_seconds_is_made_ahead():
    for recipe in (*neighbours(START), *neighbours(QUANTIZED)):
        assert all(step.training_epochs() == 0 and not step.searches() for step in recipe.steps)
        assert recipe.place.engine != "compiled"


def test_a_toggle_leaves_the_order_of_the_other_steps_as_a_person_chose_it():
    own_order = Recipe.parse(steps=[{"do": "prune"}, {"do": "distill"}], place={"engine": "eager"})
    first, *_ = neighbours(own_order)
    assert [step.do for step in first.steps] == ["prune", "distill", "quantize"]


def test_each_neighbour_is_offered_once_and_never_the_present_one():
    keys = [recipe.key() for recipe in neighbours(START)]
    assert len(keys) == len(set(keys))
    assert START.key() not in keys


def test_the_way_back_is_among_them():
    quantized = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "eager", "threads": 1})
    assert START.key() in [recipe.key() for recipe in neighbours(quantized)]


def test_of_the_other_schemes_those_of_eight_bits_or_more_are_made_ahead_and_no_other():
    quantized = Recipe.parse(steps=[{"do": "quantize"}])  # under "auto", where each has an engine
    schemes = {recipe.precision for recipe in neighbours(quantized)}
    assert schemes == {name for name, each in registered().items() if not each.weights or each.weights.bits >= 8}
    assert {"bf16", "int8-dynamic"} < schemes < {*registered()}


def test_the_present_scheme_of_few_bits_is_made_ahead_on_other_engines():
    ternary = Recipe.parse(steps=[{"do": "quantize", "scheme": "ternary-static"}], place={"engine": "eager"})
    assert "native" in {recipe.place.engine for recipe in neighbours(ternary) if recipe.precision == "ternary-static"}


HOLD = """
import sys
from workbench.machine.turn import measuring
with measuring(sys.argv[1]):
    print("measuring", flush=True)
    sys.stdin.readline()
"""


class Silent:
    """An outbox that nobody reads."""

    def event(self, event, result_key=""):
        pass


@pytest.fixture
def no_neighbours(monkeypatch):
    """Nothing is prepared ahead: that takes long, and what is asked is what else is done in idle time."""
    monkeypatch.setattr("workbench.core.ahead.neighbours", lambda _: ())


@pytest.fixture
def other_notebook():
    """Another process that measures on this machine until a line is written to it."""
    command = [sys.executable, "-c", HOLD, str(data_directory())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_nothing_is_prepared_while_another_notebook_measures(other_notebook, monkeypatch):
    core = Core(Silent())
    workload = Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), torch.arange(60) % 3))
    core.keep_workload(1, pickle.dumps(workload), known=[])
    workload = core._workloads.get(1)
    core._last = Asked(1, workload, START, "eager", Context(workload.train)), None
    monkeypatch.setattr(core._ablations, "of", lambda *_: ())  # of no run that there was
    looks = 0

    def checkpoint():
        nonlocal looks
        looks += 1
        if looks == 5:
            assert not core._shelf._prepared
            other_notebook.communicate(b"\n")  # it has measured
        if core._shelf._prepared:
            raise Cancelled

    with pytest.raises(Cancelled):
        core.look_ahead(checkpoint)
    assert looks > 5


def test_a_turn_of_our_own_is_nobody_else_s(other_notebook):
    assert turn.others_are_measuring(data_directory())
    other_notebook.communicate(b"\n")
    assert not turn.others_are_measuring(data_directory())
    with turn.measuring(data_directory()):
        assert not turn.others_are_measuring(data_directory())


@pytest.mark.usefixtures("no_neighbours")
def test_what_was_compared_for_the_first_time_in_a_slow_moment_is_measured_again_once():
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), known=[])
    core.run(1, 1, Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "native"}), "eager", lambda: None)
    _, measurement = core._last
    took = measurement._latency.variant
    slow = took.model_copy(update={"p50": 3 * took.p50})
    measurement._latency = dataclasses.replace(measurement._latency, variant=slow)
    for _ in range(2):
        core.look_ahead(lambda: None)
    again = [event for event in outbox.events if event.kind == "notice" and event.measure_again]
    assert len(again) == 1
    assert "slower than usual" in again[0].message


@pytest.mark.usefixtures("no_neighbours")
def test_each_beginning_of_a_recipe_is_measured_once_after_it():
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), known=[])
    place = {"engine": "native", "threads": 1}
    both = [{"do": "prune", "kind": "weights", "finetune_epochs": 0}, {"do": "quantize"}]

    def ablations(*steps):
        before = len(outbox.events)
        core.run(1, 1, Recipe.parse(steps=steps, place=place), "eager", lambda: None)
        core.look_ahead(lambda: None)
        return [event.result for event in outbox.events[before:] if event.kind == "ablation"]

    found = ablations(*both)
    assert [[step["do"] for step in each.recipe["steps"]] for each in found] == [[], ["prune"]]
    assert all(each.baseline.engine == "eager" and each.variant.engine == "native" for each in found)
    assert ablations(both[1]) == found[:1]  # its engine alone is known


@pytest.mark.usefixtures("no_neighbours")
def test_where_the_engine_is_the_baseline_itself_it_has_nothing_of_its_own_to_tell():
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), known=[])
    recipe = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "eager", "threads": 1})
    core.run(1, 1, recipe, "eager", lambda: None)
    core.look_ahead(lambda: None)
    assert not [event for event in outbox.events if event.kind == "ablation"]


@pytest.mark.usefixtures("no_neighbours")
def test_a_beginning_that_fails_is_told_with_its_reason_and_not_tried_again(monkeypatch):
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), known=[])
    recipe = Recipe.parse(steps=[{"do": "quantize"}], place={"engine": "native", "threads": 1})
    core.run(1, 1, recipe, "eager", lambda: None)
    tried = []

    def fails(*_):
        tried.append(1)
        raise ValueError("whatever a library says")

    monkeypatch.setattr(core._ablations, "_measure", fails)
    for _ in range(2):
        core.look_ahead(lambda: None)
    assert not [event for event in outbox.events if event.kind == "ablation"]
    told = [(event.steps, event.reason) for event in outbox.events if event.kind == "unmeasured"]
    assert told == [(0, "whatever a library says")] * 2
    assert len(tried) == 1


def test_a_model_that_can_t_be_watched_is_measured_and_not_drawn(monkeypatch):
    def fails(*_):
        raise RuntimeError("whatever a model says")

    monkeypatch.setattr("workbench.measure.flow.flow", fails)
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), known=[])
    core.run(1, 1, Recipe.parse(place={"engine": "eager", "threads": 1}), "eager", lambda: None)
    kinds = [event.kind for event in outbox.events]
    assert kinds[-1] == "finished"
    assert "structure" not in kinds

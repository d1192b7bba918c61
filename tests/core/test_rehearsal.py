from __future__ import annotations

import pickle

import pytest

from workbench import events, models
from workbench.core.rehearsal import Rehearsals
from workbench.core.runs import Core
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.workload import Workload


class Heard:
    """An outbox that keeps what was said."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def event(self, event: events.Event, result_key: str = "") -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture(scope="module")
def workload():
    return models.load(Workload("fashion-mlp"))


@pytest.fixture
def core():
    heard = Heard()
    core = Core(heard)
    core.keep_workload(1, pickle.dumps(Workload("fashion-mlp")), [1])
    return core, heard


def recipe(*steps: dict) -> Recipe:
    return Recipe.parse({"steps": list(steps), "place": {"engine": "eager", "device": "cpu"}})


def test_few_examples_tell_what_all_of_them_take(workload, monkeypatch):
    def apply(step, variant, context):
        assert len(context.train) == 384
        context.spent(0.001 * len(context.train))
        return variant

    monkeypatch.setattr(Prune, "apply", apply)
    told = Rehearsals(2**30).seconds(workload, recipe({"do": "prune"}), Context.of(workload))
    assert told == pytest.approx(0.001 * len(workload.train))


def test_what_was_trained_already_costs_nothing(workload):
    rehearsals, whole = Rehearsals(2**30), recipe({"do": "prune"}, {"do": "quantize"})
    assert rehearsals.seconds(workload, whole, Context.of(workload)) > 0
    assert rehearsals.seconds(workload, whole, Context.of(workload), done=1) == 0


def test_each_step_that_trains_adds_its_own(workload):
    rehearsals, context = Rehearsals(2**30), Context.of(workload)
    distill, prune = {"do": "distill"}, {"do": "prune"}
    alone = rehearsals.seconds(workload, recipe(distill), context)
    assert rehearsals.seconds(workload, recipe(distill, prune), context) > alone
    assert rehearsals.seconds(workload, recipe(distill), context) == alone


def test_a_training_that_takes_longer_than_allowed_is_told_of_with_size_and_latency(core):
    core, heard = core
    core.run(1, 1, recipe({"do": "prune"}), "eager", lambda: None, train_up_to_s=0.0)
    kinds = heard.kinds()
    assert kinds[-1] == "untrained"
    assert heard.events[-1].seconds > 0
    assert {"size", "latency"} < set(kinds)
    assert not {"training", "quality", "finished"} & set(kinds)
    size = next(event for event in heard.events if event.kind == "size")
    assert size.variant_bytes < size.baseline_bytes


def test_one_that_is_allowed_begins_when_its_form_was_told_and_needs_no_word_again(core):
    core, heard = core
    trained = recipe({"do": "prune"})
    core.run(1, 1, trained, "eager", lambda: None, train_up_to_s=1e9)
    kinds = heard.kinds()
    assert kinds.index("latency") < kinds.index("training") < kinds.index("quality")
    assert kinds[-1] == "finished"
    del heard.events[:]
    core.run(2, 1, trained, "eager", lambda: None, train_up_to_s=0.0)
    assert heard.kinds()[-1] == "finished"
    assert "training" not in heard.kinds()

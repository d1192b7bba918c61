"""Scheme "auto" in a recipe: a run searches, goes on with what it found, and says before how long that takes."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import nn

from tests.core.outbox import Kept
from tests.core.test_mixing import FEATURES, HARMLESS, RUINOUS, OutlierAtTheEnd, invented_times
from workbench import events
from workbench.core.mixing import Mixing
from workbench.core.runs import Core
from workbench.errors import RecipeError, WorkbenchError
from workbench.recipe import Recipe
from workbench.techniques.quantize import Quantize
from workbench.workload import Workload

PLACE = {"engine": "eager", "threads": 1}


def workload(module: nn.Module) -> Workload:
    rows = torch.randn(600, FEATURES, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answers = module(rows).flatten(1).argmax(1)
    return Workload(module, data=(rows[:200], answers[:200]), train=(rows[200:], answers[200:]))


def auto(budget: float = 0.02, *before: dict, **more) -> Recipe:
    return Recipe.parse(steps=[*before, {"do": "quantize", "scheme": "auto", "budget": budget, **more}], place=PLACE)


def run(recipe: Recipe, module: nn.Module | None = None, **conditions) -> list[events.Event]:
    """All that is told of one run on a fresh core."""
    torch.manual_seed(0)
    module = module or OutlierAtTheEnd().eval()
    heard = Kept()
    core = Core(heard)
    core.keep_workload(1, pickle.dumps(workload(module)), [1])
    with invented_times(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_COMPARISON_SECONDS", "0.2")
        core.run(1, 1, recipe, "eager", lambda: None, **conditions)
    return heard.events


@pytest.fixture(scope="module")
def told() -> list[events.Event]:
    return run(auto())


def of_kind(told: list[events.Event], kind: str) -> list[events.Event]:
    return [event for event in told if event.kind == kind]


def test_a_run_goes_on_with_what_the_search_found_and_no_result_names_auto(told):
    found = of_kind(told, "search")[-1].mixture
    result = told[-1].result
    [step] = Recipe.parse(result.recipe).steps
    assert found.final
    assert (step.scheme, step.budget) != ("auto", None)
    assert step.of_layer(RUINOUS) != "int8-static"
    assert result.recipe == found.recipe
    assert result.recipe["place"]["engine"] == "eager"


def test_what_was_chosen_is_said_and_the_run_is_known_by_it(told):
    asked, chosen = of_kind(told, "started")
    assert asked.recipe["steps"][0]["scheme"] == "auto"
    assert chosen.recipe == told[-1].result.recipe
    assert any(each.message.startswith("auto chose ") for each in of_kind(told, "notice"))


def test_the_best_so_far_is_told_while_it_searches(told):
    searching = [event.mixture for event in of_kind(told, "search")]
    assert not any(each.final for each in searching[:-1])
    assert any(each.recipe and each.in_words for each in searching[:-1])


def test_it_waits_for_a_word_where_a_search_takes_longer_than_allowed_and_searches_nothing():
    *_, last = waiting = run(auto(), train_up_to_s=10)
    assert (last.kind, last.searches) == ("untrained", True)
    assert last.seconds >= 60
    assert not of_kind(waiting, "search")


def test_who_has_enough_gets_the_best_so_far_once_int8_in_all_layers_was_measured():
    stopped = run(auto(budget=1.0), enough=lambda: True)
    best = of_kind(stopped, "search")[-1].mixture
    assert (best.final, len(best.candidates)) == (False, 2)
    assert best.chosen is best.plain
    assert stopped[-1].result.recipe == best.recipe


def test_overrides_are_kept_as_given_and_the_rest_is_chosen():
    last = run(auto(budget=1.0, overrides={HARMLESS: "int4-weights"}))[-1]
    [step] = Recipe.parse(last.result.recipe).steps
    assert step.overrides[HARMLESS] == "int4-weights"
    assert step.of_layer(RUINOUS) != "fp32"


def test_steps_before_come_first_and_the_search_goes_over_what_they_leave():
    pruned = run(auto(1.0, {"do": "prune", "kind": "weights", "amount": 0.5, "finetune_epochs": 0}))
    steps = Recipe.parse(pruned[-1].result.recipe).steps
    assert [step.do for step in steps] == ["prune", "quantize"]
    sparsity = {layer.layer: layer.after.sparsity for layer in pruned[-1].result.receipt}
    assert sparsity[HARMLESS] >= 0.4


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"scheme": "auto", "budget": 0}, "quantize budget is above 0 and up to 1, not 0"),
        ({"scheme": "auto", "budget": -0.1}, "quantize budget is above 0 and up to 1, not -0.1"),
        ({"scheme": "auto", "budget": math.nan}, "quantize budget is above 0 and up to 1, not nan"),
        ({"scheme": "auto", "budget": math.inf}, "quantize budget is above 0 and up to 1, not inf"),
        ({"scheme": "auto", "budget": None}, "scheme 'auto' needs a budget"),
        ({"scheme": "int8", "budget": 0.01}, "a budget is for scheme 'auto', not 'int8-static'"),
        ({"scheme": "auto", "epochs": 2}, "scheme 'auto' chooses without training and epochs is 2"),
        ({"scheme": "autos"}, "scheme 'autos' is not known; did you mean auto?"),
        ({"overrides": {"fc1": "auto"}}, "scheme 'auto' is not known"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_before_any_work(step, words):
    with pytest.raises(RecipeError) as refused:
        Recipe.parse(steps=[{"do": "quantize", **step}])
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_a_model_without_layers_or_with_all_of_them_fixed_leaves_nothing_to_choose():
    with pytest.raises(WorkbenchError, match=r"^auto chooses the schemes of layers and this model has none"):
        run(auto(), nn.Sequential(nn.Flatten(), nn.Softmax(1)))
    with pytest.raises(WorkbenchError, match=r"^the overrides say the scheme of every layer, so auto has none to ch"):
        run(auto(overrides={"*": "int8-static"}))


def test_an_override_that_names_no_layer_is_refused_before_the_search(monkeypatch):
    monkeypatch.setattr(Mixing, "states", lambda *_: pytest.fail("it searched"))
    with pytest.raises(RecipeError, match=r"^layer 'firsst' is not known; did you mean first\?"):
        run(auto(overrides={"firsst": "fp32"}))


def test_a_budget_below_what_the_steps_before_lose_is_refused():
    with pytest.raises(WorkbenchError, match=r"^budget 0\.001 is below what the model loses without any quantization"):
        run(auto(0.001, {"do": "prune", "kind": "weights", "amount": 0.95, "finetune_epochs": 0}))


def test_auto_without_a_budget_accepts_half_a_point_and_says_so():
    assert Quantize(scheme="auto").budget == 0.005
    assert Quantize(scheme="auto", overrides={"fc1": "fp32"}).summary() == "auto within 0.5 %, fc1 in fp32"
    assert Quantize().budget is None


def test_who_prepares_in_this_process_is_sent_to_a_run():
    import workbench as wb

    with pytest.raises(WorkbenchError, match=r"takes a search, which runs make"):
        wb.prepare(OutlierAtTheEnd().eval(), torch.randn(8, FEATURES), auto())

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.widgets.parts import offered
from workbench.errors import RecipeError
from workbench.recipe import Recipe
from workbench.session import default_session
from workbench.widgets import RecipePanel
from workbench.widgets.page import pump

INT8 = {"steps": [{"do": "quantize", "scheme": "int8-static"}], "place": {"engine": "eager"}}


@pytest.fixture
def panel():
    return RecipePanel(offered())


def ask(panel: RecipePanel, number: int, recipe: dict) -> None:
    """What the browser does when a control is used."""
    panel._wanted = {"client": "browser", "number": number, "recipe": recipe}


def sent(panel: RecipePanel, name: str) -> dict[str, dict]:
    """What the browser is told of a technique's options, by name."""
    (technique,) = (technique for technique in panel._schema["techniques"] if technique["name"] == name)
    return {option["name"]: option for option in technique["options"]}


def test_setting_the_recipe_is_what_a_click_does(panel):
    panel.recipe = INT8
    by_hand = panel.recipe
    panel.recipe = {}
    ask(panel, 1, INT8)
    assert panel.recipe == by_hand == Recipe.parse(INT8).model_dump(mode="json")


def test_an_unknown_scheme_set_from_python_is_an_error_with_the_nearest_names(panel):
    with pytest.raises(RecipeError, match="int8"):
        panel.recipe = {"steps": [{"do": "quantize", "scheme": "itn8"}]}


def test_an_impossible_change_from_the_page_is_refused_in_place_and_nothing_is_lost(panel):
    panel.recipe = INT8
    before = panel.recipe
    ask(panel, 1, {"steps": [{"do": "quantise"}]})
    pump.shared().flush()
    assert panel.recipe == before
    assert "did you mean quantize?" in panel.error
    ask(panel, 2, {"steps": []})
    pump.shared().flush()
    assert panel.error == ""
    assert panel.recipe["steps"] == []


def test_a_change_that_changes_nothing_is_answered_too(panel):
    ask(panel, 1, INT8)
    pump.shared().flush()
    ask(panel, 2, INT8)
    pump.shared().flush()
    assert panel._shown["number"] == 2


def test_the_same_mistake_made_twice_is_refused_twice(panel):
    for number in (1, 2):
        ask(panel, number, {"steps": [{"do": "quantise"}]})
        pump.shared().flush()
        assert "did you mean quantize?" in panel.error
        assert panel._shown == {"recipe": panel.recipe, "baseline": "auto", "client": "browser", "number": number}


def test_a_recipe_from_a_newer_version_is_refused_in_place(panel):
    ask(panel, 1, {"workbench_recipe": 99})
    pump.shared().flush()
    assert "newer workbench" in panel.error


def test_an_unknown_baseline_is_refused_in_place(panel):
    panel._wanted = {"client": "browser", "number": 1, "recipe": {}, "baseline": "eagre"}
    pump.shared().flush()
    assert panel._shown["baseline"] == "auto"
    assert "eager" in panel.error


def test_the_amount_ends_where_its_declaration_says_for_the_kind_chosen(panel):
    options = sent(panel, "prune")
    amount = options["amount"]
    for kind in (choice["value"] for choice in options["kind"]["choices"]):
        most = amount["maximum_when"]["kind"].get(kind, amount["maximum"])
        step = {"do": "prune", "kind": kind, "amount": most}
        assert Recipe.parse(steps=[step])
        with pytest.raises(RecipeError):
            Recipe.parse(steps=[{**step, "amount": most + 0.001}])


def test_shown_by_itself_it_starts_a_core_and_offers_what_that_does():
    alone, part = RecipePanel(), RecipePanel()
    alone._repr_mimebundle_()
    known = threading.Event()
    default_session().on_ready(lambda _: known.set())  # called after what the panel asked to be called
    assert known.wait(60)
    pump.shared().flush()
    assert "quantize" in [each["name"] for each in alone._schema["techniques"]]
    assert not part._schema
    default_session().close()


def test_the_answer_names_the_change_it_answers(panel):
    ask(panel, 1, INT8)
    ask(panel, 2, {})
    pump.shared().flush()
    assert (panel._shown["client"], panel._shown["number"]) == ("browser", 2)
    panel.recipe = INT8
    pump.shared().flush()
    assert "client" not in panel._shown


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["int8-static", "int8-dynamic", "bf16", None]), min_size=1, max_size=8))
def test_any_sequence_of_toggles_ends_in_the_last_recipe(schemes):
    panel = RecipePanel(offered())
    for number, scheme in enumerate(schemes, start=1):
        ask(panel, number, {"steps": [{"do": "quantize", "scheme": scheme}] if scheme else []})
    pump.shared().flush()
    shown = panel._shown["recipe"]["steps"]
    assert shown == panel.recipe["steps"]
    assert [step["scheme"] for step in shown] == [scheme for scheme in schemes[-1:] if scheme]


def test_its_controls_come_from_the_declarations_alone(panel):
    declared = {technique.name: technique for technique in offered().techniques}
    drawn = {technique["name"]: technique for technique in panel._schema["techniques"]}
    assert drawn.keys() == declared.keys()
    for name, technique in declared.items():
        plain = [option.name for option in technique.options if not isinstance(option.default, dict | list | tuple)]
        assert [option["name"] for option in drawn[name]["options"]] == plain


def test_the_browser_is_told_which_options_make_a_step_train(panel):
    for technique in offered().techniques:
        counted = [name for name, option in sent(panel, technique.name).items() if option["trains"]]
        step = Recipe.parse(steps=[{"do": technique.name}]).steps[0]
        assert step.training_epochs() == sum(getattr(step, name) for name in counted)
    assert [sent(panel, "prune")["finetune_epochs"]["trains"], sent(panel, "distill")["epochs"]["trains"]] == [True] * 2


def test_schemes_stand_under_headings_each_of_which_comes_once(panel):
    schemes = sent(panel, "quantize")["scheme"]["choices"]
    headings = [heading for heading, _ in itertools.groupby(choice["heading"] for choice in schemes)]
    assert headings == ["Weights and activations", "Floats", "Weights alone", ""]  # auto stands by itself


def test_the_help_of_schemes_has_a_short_line_for_each_heading_and_names_no_scheme_but_auto(panel):
    scheme = sent(panel, "quantize")["scheme"]
    lines = [line.partition(": ") for line in scheme["help"].split("; ")]
    headings = dict.fromkeys(choice["heading"] or choice["value"] for choice in scheme["choices"])
    assert [kind for kind, _, _ in lines] == list(headings)
    assert all(0 < len(said) < 90 for _, _, said in lines)
    assert not [
        choice["value"] for choice in scheme["choices"] if choice["value"] in scheme["help"].partition("auto")[0]
    ]
    assert all(choice["help"] for choice in scheme["choices"] if choice["heading"])


def test_the_browser_is_told_which_precision_each_choice_asks_for(panel):
    told = {
        (technique.name, name, choice["value"]): choice["precision"]
        for technique in offered().techniques
        for name, option in sent(panel, technique.name).items()
        for choice in option["choices"]
        if choice["precision"] is not None
    }
    assert {(technique, option) for technique, option, _ in told} == {("quantize", "scheme")}
    for (technique, option, value), precision in told.items():
        assert Recipe.parse(steps=[{"do": technique, option: value}]).precision == precision
    assert len(told) == len(sent(panel, "quantize")["scheme"]["choices"]) - 1  # auto asks for none until it has chosen


def test_the_browser_is_told_where_a_step_belongs(panel):
    later = {technique["name"]: set(technique["later"]) for technique in panel._schema["techniques"]}
    assert later == {"distill": {"prune", "quantize"}, "prune": {"quantize"}, "quantize": set()}


@pytest.mark.parametrize(
    ("technique", "option", "written"),
    [
        ("prune", "amount", {"percent": True, "suffix": " %"}),
        ("prune", "finetune_epochs", {"percent": False, "suffix": " ep."}),
        ("distill", "temperature", {"percent": False, "suffix": ""}),
        ("quantize", "calibration_samples", {"percent": False, "suffix": ""}),  # its help says what they are
    ],
)
def test_the_browser_is_told_how_a_number_is_written(panel, technique, option, written):
    assert sent(panel, technique)[option]["written"] == written


def test_a_few_short_choices_stand_side_by_side_and_many_are_a_list(panel):
    kind, student = sent(panel, "prune")["kind"], sent(panel, "distill")["student"]
    assert [kind["control"], kind["choices"][0]["text"]] == ["segmented", "channels"]
    assert [student["control"], student["choices"][0]["text"]] == ["choice", "half-width"]


def test_without_a_catalog_it_waits_for_one():
    assert RecipePanel()._schema == {}


def test_an_unknown_keyword_names_the_likely_one():
    with pytest.raises(TypeError, match="did you mean 'effects'"):
        RecipePanel(effect={})


def test_what_follows_another_architecture_is_not_greyed_for_the_model_it_replaces(panel):
    panel.blocked = {"prune": {"reason": "nothing to prune", "choices": {}}}
    pump.shared().flush()
    assert panel._blocked == panel.blocked
    panel.recipe = {"steps": [{"do": "distill", "student": "fashion-student"}]}
    pump.shared().flush()
    assert panel._blocked == {}

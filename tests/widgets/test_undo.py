from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.parts import offered
from workbench.recipe import Recipe
from workbench.widgets import RecipePanel, WorkloadBar
from workbench.widgets.page import pump
from workbench.widgets.page.undo import ONE_GESTURE_SECONDS, Asked, UndoHistory, Undoing

LATER = ONE_GESTURE_SECONDS + 0.1


def batch(number: int) -> Asked:
    return Asked({"steps": [], "place": {"batch": number}})


def test_undo_and_redo_lead_back_and_forth():
    history = UndoHistory(batch(1)).record(batch(2), 0).record(batch(4), LATER)
    assert history.undo().present == batch(2)
    assert history.undo().undo().present == batch(1)
    assert history.undo().undo().redo().redo().present == batch(4)


def test_at_either_end_nothing_happens():
    history = UndoHistory(batch(1))
    assert history.undo() is history
    assert history.redo() is history


def test_what_was_undone_is_forgotten_with_the_next_change():
    history = UndoHistory(batch(1)).record(batch(2), 0).undo().record(batch(8), LATER)
    assert history.future == ()
    assert history.undo().present == batch(1)


def test_a_dragged_slider_is_one_change():
    history = UndoHistory(batch(1))
    for n, at in ((2, 0.0), (4, 0.1), (8, 0.2)):
        history = history.record(batch(n), at)
    assert history.undo().present == batch(1)


def test_the_same_setting_changed_after_a_while_is_another_change():
    history = UndoHistory(batch(1)).record(batch(2), 0).record(batch(4), LATER)
    assert history.undo().present == batch(2)


def test_two_settings_changed_at_once_are_two_changes_however_quickly():
    history = UndoHistory(batch(1)).record(batch(2), 0).record(Asked(batch(2).recipe, "native"), 0.1)
    assert history.undo().present == batch(2)


def test_a_change_right_after_an_undo_is_its_own():
    history = UndoHistory(batch(1)).record(batch(2), 0).record(batch(4), LATER).undo().record(batch(8), LATER + 0.1)
    assert history.undo().present == batch(2)


def test_what_changes_nothing_is_no_change():
    history = UndoHistory(batch(1)).record(batch(2), 0).undo()
    assert history.record(batch(1), LATER).redo().present == batch(2)


@given(st.lists(st.integers(1, 5), max_size=12))
def test_as_many_undos_as_there_were_changes_lead_to_the_beginning_and_redos_to_the_end(numbers):
    history = UndoHistory(batch(1))
    for at, number in enumerate(numbers):
        history = history.record(batch(number), at * LATER)
    last = history.present
    while history.past:
        history = history.undo()
    assert history.present == batch(1)
    while history.future:
        history = history.redo()
    assert history.present == last


@pytest.fixture
def panel() -> RecipePanel:
    return RecipePanel(offered(), Recipe.plain())


@pytest.fixture
def bar(panel) -> WorkloadBar:
    bar = WorkloadBar()
    bar.undoing = Undoing(panel, bar)
    return bar


def possible(bar: WorkloadBar) -> tuple[bool, bool]:
    pump.shared().flush()
    return bar.can_undo, bar.can_redo


def test_the_buttons_bring_recipe_and_baseline_back(panel, bar):
    plain = panel.recipe
    panel.recipe = {"steps": [{"do": "quantize"}]}
    panel.baseline = "native"
    assert possible(bar) == (True, False)
    bar.undos += 1
    assert (panel.baseline, panel.recipe["steps"][0]["do"]) == ("auto", "quantize")
    bar.undos += 1
    assert panel.recipe == plain
    assert possible(bar) == (False, True)
    bar.redos += 1
    assert panel.recipe["steps"][0]["do"] == "quantize"
    assert possible(bar) == (True, True)

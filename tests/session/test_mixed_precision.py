"""Asking a worker for automatic mixed precision, from a notebook and from the command line."""

from __future__ import annotations

import json

import pytest

import workbench as wb
from workbench.commands import cli
from workbench.commands.mixed_precision import table
from workbench.errors import WorkbenchError
from workbench.mixtures import Mixture
from workbench.recipe import Recipe

STUDENT = wb.load("fashion-student")
PLACE = {"threads": 1}
QUICKLY = {"schemes": ["int8-static"], "examples": 500, "seconds": 15}


def test_it_comes_in_parts_and_a_run_of_the_last_one_s_recipe_judges_it_on_the_test_examples(session):
    parts = list(session.mixed_precision(STUDENT, Recipe.parse(place=PLACE), 0.02, **QUICKLY))
    assert [part.final for part in parts] == [False] * (len(parts) - 1) + [True]
    found = parts[-1]
    assert found.chosen.loss.value <= found.limit == 0.02
    result = session.start(STUDENT, Recipe.parse(found.recipe)).result()
    assert result.variant.quality.n == 10_000
    assert result.variant.engine == found.engine


def test_nobody_waits_for_what_is_left_and_the_worker_turns_to_what_comes_next(session):
    asked = session.mixed_precision(STUDENT, Recipe.parse(place=PLACE), 0.03, **QUICKLY)
    best = next(part for part in asked if part.recipe)
    asked.close()
    assert session.start(STUDENT, Recipe.parse(best.recipe)).result().variant.quality.n == 10_000


def test_a_refusal_is_one_line(session):
    with pytest.raises(WorkbenchError, match=r"^budget is 0; give the loss that is accepted as a share above 0"):
        list(session.mixed_precision(STUDENT, Recipe(), 0.0))


def test_a_notebook_gets_a_recipe_and_a_frame():
    found = wb.mixed_precision("fashion-student", 0.02, recipe={"place": PLACE}, **QUICKLY)
    assert found.final
    assert Recipe.parse(found.recipe).place.engine == found.engine
    assert len(found.frame()) == len(found.candidates)


def test_the_command_judges_what_was_found_and_a_table_tells_of_all_that_was_measured(capsys):
    command = ["mixed-precision", "fashion-student", "--budget", "0.02", "--threads", "1", "--schemes", "int8"]
    assert cli.main([*command, "--examples", "500", "--seconds", "15", "--json"]) == 0
    both = json.loads(capsys.readouterr().out)
    found = Mixture.model_validate(both["search"])
    assert both["result"]["recipe"]["steps"] == found.recipe["steps"]
    title, _, *lines = table(found).splitlines()
    assert title.startswith("loss of accuracy, percentage points, on 500 training examples, up to 2.00; speed beside")
    assert len(lines) == len(found.candidates)
    assert [line.startswith("→") for line in lines] == [each is found.chosen for each in found.candidates]


def test_the_command_refuses_what_is_no_budget(capsys):
    assert cli.main(["mixed-precision", "fashion-student", "--budget", "-1"]) == 1
    assert capsys.readouterr().err.startswith("workbench: budget is -1; ")

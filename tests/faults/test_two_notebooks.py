from __future__ import annotations

import workbench as wb
from workbench.recipe import Recipe
from workbench.session import Session


def test_two_notebooks_measure_one_after_the_other_and_share_the_history():
    sessions = [Session(), Session()]
    try:
        recipe = Recipe.parse(place={"engine": "eager", "threads": 1})
        runs = [session.start(wb.load("fashion-student"), recipe, baseline="eager") for session in sessions]
        results = [run.result() for run in runs]
        known = [entry.result for entry in sessions[0].history()]
        assert all(result in known for result in results)
    finally:
        for session in sessions:
            session.close()

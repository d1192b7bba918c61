from __future__ import annotations

import pytest

from workbench import techniques


@pytest.mark.parametrize(
    ("name", "among", "at"),
    [
        ("quantize", ["distill", "prune"], 2),
        ("distill", ["prune", "quantize"], 0),
        ("prune", ["distill", "quantize"], 1),
        ("quantize", ["prune", "distill"], 2),
        ("prune", [], 0),
    ],
)
def test_a_new_step_goes_in_front_of_the_first_that_comes_later(name, among, at):
    assert techniques.position(name, among) == at


def test_nothing_comes_after_the_step_that_makes_the_graph():
    for name, technique in techniques.registered().items():
        if technique.works_on == "graph":
            assert not any(techniques.find(other).works_on == "module" for other in techniques.later(name))

"""Scheme "auto" through a session: a search that a person ends, and what the command line makes of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import workbench as wb
from workbench import events
from workbench.commands import cli
from workbench.recipe import Recipe
from workbench.session import RunCancelled

ROWS, CLASSES = torch.randn(300, 16, generator=torch.Generator().manual_seed(0)), torch.arange(300) % 4
MODEL = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
TINY = wb.Workload(MODEL, data=(ROWS[:100], CLASSES[:100]), train=(ROWS[100:], CLASSES[100:]))
AUTO = Recipe.parse(steps=[{"do": "quantize", "scheme": "auto", "budget": 0.5}], place={"engine": "eager"})


def test_who_takes_the_best_so_far_gets_a_result_of_it(session):
    run = session.start(TINY, AUTO, baseline="eager")
    run.take_best()  # before there is one: the first that may be taken is
    *_, best = (event.mixture for event in run if event.kind == "search")
    assert (best.final, best.can_be_taken) == (False, True)
    assert run.result().recipe == best.recipe
    assert any(notice.startswith("auto chose ") for notice in run.result().notices)


def test_a_search_that_may_take_no_time_isn_t_begun(session):
    run = session.start(TINY, AUTO, train_up_to_s=0)
    kinds = [event.kind for event in run]
    assert kinds[-1] == "untrained"
    assert "search" not in kinds
    with pytest.raises(RunCancelled, match="its search takes up to 2 min"):
        run.result()


def test_ctrl_c_ends_a_search_of_the_command_line_with_the_best_so_far(session, capsys, monkeypatch):
    in_words = cli._in_words

    def interrupted(event: events.Event) -> str:
        if event.kind == "search" and event.mixture.recipe:
            monkeypatch.setattr(cli, "_in_words", in_words)
            raise KeyboardInterrupt
        return in_words(event)

    monkeypatch.setattr(cli, "_in_words", interrupted)
    result = cli._followed(session.start(TINY, AUTO, baseline="eager"))
    assert "· auto chose " in capsys.readouterr().err
    assert all(step["scheme"] != "auto" for step in result.recipe["steps"])

"""What stays prepared when memory is short."""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace

import pytest
import torch

from workbench import models
from workbench.core.ahead import neighbours
from workbench.core.runs import Asked, Core
from workbench.core.shelf import Shelf
from workbench.errors import Cancelled
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import Workload

LABELS = torch.arange(60) % 3
EAGER = Recipe.parse(place={"engine": "eager", "threads": 1})
NO_MEMORY, PLENTY = 1, 10**9  # bytes


@pytest.fixture
def workload():
    return models.load(Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), LABELS)))


def of_batch(batch: int) -> Recipe:
    return Recipe.parse(place={"engine": "eager", "threads": 1, "batch": batch})


def filled(budget_bytes: int, workload, batches: tuple[int, ...]):
    """A shelf after the plain model was prepared for these batches, and the runners made for them."""
    shelf, context = Shelf(budget_bytes), Context(train=workload.train)
    return shelf, [shelf.prepared(workload, of_batch(batch), context).runner for batch in batches]


def test_beyond_the_budget_the_oldest_runner_is_closed_and_the_two_used_last_stay(workload):
    shelf, (oldest, *others) = filled(NO_MEMORY, workload, (1, 2, 4))
    assert [shelf.has(workload, of_batch(batch)) for batch in (1, 2, 4)] == [False, True, True]
    with pytest.raises(TypeError, match="not callable"):
        oldest(torch.rand(1, 4))
    for runner in others:
        assert runner(torch.rand(1, 4)).shape == (1, 3)


def test_what_was_used_again_is_no_longer_the_oldest(workload):
    shelf, _ = filled(NO_MEMORY, workload, (1, 2, 1, 4))
    assert [shelf.has(workload, of_batch(batch)) for batch in (1, 2, 4)] == [True, False, True]


def test_what_was_prepared_is_kept_until_its_place_is_needed(workload):
    shelf, context = Shelf(NO_MEMORY), Context(train=workload.train)
    first = shelf.prepared(workload, of_batch(1), context)
    assert shelf.keeps(first)
    for batch in (2, 4):
        shelf.prepared(workload, of_batch(batch), context)
    assert not shelf.keeps(first)


def test_within_the_budget_everything_stays(workload):
    shelf, _ = filled(PLENTY, workload, (1, 2, 4, 8))
    assert all(shelf.has(workload, of_batch(batch)) for batch in (1, 2, 4, 8))


@pytest.mark.parametrize(("budget_bytes", "count"), [(NO_MEMORY, 1), (PLENTY, 2)])
def test_preparing_ahead_ends_at_half_the_budget(workload, budget_bytes, count):
    core = Core(outbox=None)
    core._shelf = Shelf(budget_bytes)
    measured = SimpleNamespace(sides=(None,), recipe=EAGER)
    core._last = Asked(1, workload, EAGER, "eager", Context(workload.train)), measured
    with contextlib.suppress(Cancelled):
        core.look_ahead(lambda: stop_at(2, core._shelf, workload))
    ahead = [recipe for recipe in neighbours(EAGER) if core._shelf.has(workload, recipe)]
    assert ahead == list(itertools.islice(neighbours(EAGER), count))


def stop_at(count: int, shelf: Shelf, workload) -> None:
    """A person asks for something as soon as this many are prepared."""
    if sum(shelf.has(workload, recipe) for recipe in neighbours(EAGER)) == count:
        raise Cancelled

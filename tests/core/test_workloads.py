"""What a worker remembers of the workloads it was sent."""

from __future__ import annotations

import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from workbench.core.placing import completions
from workbench.core.runs import Core
from workbench.core.workloads import Workloads
from workbench.recipe import Recipe
from workbench.session import parcel
from workbench.techniques import Context
from workbench.workload import Workload

LABELS = torch.arange(60) % 3
EAGER = completions(Recipe.parse(place={"engine": "eager", "threads": 1}))[0]


def pickled(seed: int) -> bytes:
    torch.manual_seed(seed)
    return pickle.dumps(Workload(nn.Linear(4, 3), data=(torch.rand(60, 4), LABELS)))


def test_beyond_the_budget_the_one_used_last_stays_and_others_come_back_when_asked_for():
    workloads = Workloads(budget_bytes=1)
    for token in (1, 2):
        workloads.keep(token, pickled(token))
    first = workloads.get(1).key
    assert workloads.get(2).key != first
    assert 1 not in workloads
    assert 2 in workloads
    assert workloads.get(1).key == first


def test_within_the_budget_all_stay():
    workloads = Workloads(budget_bytes=10**6)
    for token in (1, 2):
        workloads.keep(token, pickled(token))
        workloads.get(token)
    assert 1 in workloads


def test_a_workload_that_was_sent_twice_is_gone_only_when_both_are():
    workloads = Workloads(budget_bytes=10**6)
    for token in (1, 2):
        workloads.keep(token, pickled(0))
        key = workloads.get(token).key
    assert workloads.keep_only([2]) == set()
    assert workloads.keep_only([]) == {key}


def test_what_the_session_let_go_of_leaves_the_worker_s_memory_with_all_that_was_made_from_it():
    core = Core(outbox=None)
    core.keep_workload(1, pickled(1), known=[])
    workload = core._workloads.get(1)
    core._shelf.prepared(workload, EAGER, Context(train=workload.train))
    held = weakref.ref(workload.module)
    del workload
    core.keep_workload(2, pickled(2), known=[1])
    gc.collect()
    assert held() is not None
    core.keep_workload(3, pickled(3), known=[2])
    gc.collect()
    assert held() is None


def test_a_session_keeps_the_last_few_parcels():
    parcels = parcel.Parcels()
    tokens = [parcels.pack(Workload(f"module:make{n}")).token for n in range(parcel._KEPT + 1)]
    assert parcels.tokens() == set(tokens[1:])


@pytest.mark.parametrize("count", [1, 2])
def test_a_large_model_leaves_room_for_itself_alone(monkeypatch, count):
    monkeypatch.setattr(parcel, "_KEPT_BYTES", 1)
    parcels = parcel.Parcels()
    tokens = [parcels.pack(Workload(f"module:make{n}")).token for n in range(count)]
    assert parcels.tokens() == {tokens[-1]}

"""A model of one's own that doesn't fit into memory, on a machine whose free memory is made small."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import workbench as wb
from workbench import models
from workbench.errors import WorkloadError
from workbench.session.parcel import Parcels

DATA = (torch.rand(50, 600), torch.arange(50) % 3)


class Guarded(nn.Module):
    """1.2 MB of weights that nobody may copy."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(600, 500)

    def __reduce_ex__(self, protocol):
        raise AssertionError("it was pickled or copied")


@pytest.fixture(autouse=True)
def two_megabytes_free(monkeypatch):
    monkeypatch.setattr("workbench.machine.memory.available_memory_bytes", lambda: 2_000_000)


def test_a_module_is_refused_before_it_is_pickled():
    with pytest.raises(WorkloadError, match=r"the model Guarded needs about 4\.8 MB of memory and 2 MB is free"):
        Parcels().pack(wb.Workload(Guarded(), data=DATA))


@pytest.mark.parametrize("training", [True, False])
def test_a_module_is_refused_in_the_worker_before_it_is_copied(training):
    with pytest.raises(WorkloadError, match=r"the model Guarded needs about 2\.4 MB of memory and 2 MB is free"):
        models.load(wb.Workload(Guarded().train(training), data=DATA))


def test_a_module_that_fits_is_sent():
    assert Parcels().pack(wb.Workload(nn.Linear(600, 3), data=DATA)).pickled

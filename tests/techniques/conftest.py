from __future__ import annotations

import pytest
import torch

from workbench import models
from workbench.techniques import Context
from workbench.workload import Data, Workload


@pytest.fixture(scope="session")
def workload():
    return models.load(Workload("fashion-cnn"))


@pytest.fixture(scope="session")
def few(workload) -> Context:
    """A context with 1,024 real training images: enough to learn from, quick to go through."""
    return Context(train=Data(workload.train.inputs[0][:1024], workload.train.targets[:1024]))


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

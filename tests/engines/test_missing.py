"""What is said of an engine whose library isn't installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from workbench import engines, models
from workbench.core import offer
from workbench.core.shelf import Shelf
from workbench.engines import onnxruntime, openvino
from workbench.errors import EngineError
from workbench.recipe import Recipe
from workbench.techniques import Context
from workbench.workload import Workload

MODULES = {"onnxruntime": onnxruntime, "openvino": openvino}


@pytest.fixture(params=MODULES)
def missing(request, monkeypatch) -> str:
    """The name of an engine whose library can't be found; those it shares with the other one are there."""
    found = lambda name: None if name == request.param else find_spec(name)  # noqa: E731
    monkeypatch.setattr(MODULES[request.param], "find_spec", found)
    return request.param


def test_it_is_offered_greyed_with_the_line_that_installs_it(missing):
    offered = {engine.name: engine.unavailable for engine in offer.engine_infos()}
    assert offered[missing] == f"{missing} is not installed; pip install {missing}"
    assert offered["eager"] is None


def test_auto_skips_it(missing):
    assert missing not in engines.preferred()
    assert engines.preferred()[-1] == "eager"


def test_asked_for_by_name_it_is_refused_with_that_line(missing):
    recipe = Recipe.parse(place={"engine": missing, "threads": 1})
    workload = models.load(Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), torch.arange(60) % 3)))
    with pytest.raises(EngineError, match=f"isn't available: {missing} is not installed; pip install {missing}$"):
        Shelf(budget_bytes=10**6).prepared(workload, recipe, Context(train=workload.train))

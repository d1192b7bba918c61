"""Engines that fail in ways nobody foresaw, or that compute something else, in a script and in a run."""

from __future__ import annotations

import pickle

import pytest
import torch

import workbench as wb
from tests.core.outbox import Kept
from workbench.core.runs import Core
from workbench.engines.native import Native
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.recipe import Recipe
from workbench.workload import Workload

SAID = "Native fails on this model: StopIteration: in two lines"


def run_on(engine: str) -> list:
    """The events of a run of the plain model; its engine is native, or chosen."""
    outbox = Kept()
    core = Core(outbox)
    core.keep_workload(1, pickle.dumps(Workload("fashion-student")), known=[])
    recipe = Recipe.parse(place={"engine": engine, "threads": 1})
    try:
        core.run(1, 1, recipe, "eager", lambda: None)
    except EngineError as error:
        outbox.events.append(error)
    return outbox.events


@pytest.fixture
def native_fails(monkeypatch):
    def fails(*_):
        raise StopIteration("in two\nlines")

    monkeypatch.setattr(Native, "runner", fails)


@pytest.fixture
def native_is_off(monkeypatch):
    right = NativeRunner.__call__
    monkeypatch.setattr(NativeRunner, "__call__", lambda self, *inputs: right(self, *inputs) + 1)


@pytest.mark.usefixtures("native_fails")
def test_whatever_an_engine_raises_is_told_in_one_line_and_auto_goes_on():
    model, inputs = torch.nn.Linear(4, 3).eval(), torch.rand(8, 4)
    torch.testing.assert_close(wb.prepare(model, inputs)(inputs), model(inputs).detach())
    with pytest.raises(EngineError, match=SAID):
        wb.prepare(model, inputs, {"place": {"engine": "native"}})


@pytest.mark.usefixtures("native_fails")
def test_so_it_is_in_a_run():
    told = run_on("auto")
    assert [event.message for event in told if event.kind == "notice" and SAID in event.message]
    assert told[-1].kind == "finished"
    assert told[-1].result.variant.engine != "native"
    assert SAID in str(run_on("native")[-1])


class AnglesBetween(torch.nn.Module):
    """A third of its products is part of what the native engine has no kernel for."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.left, self.right = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16), torch.nn.Linear(64, 16)
        self.head = torch.nn.Linear(16, 64)

    def forward(self, x):
        x = torch.relu(self.first(x))
        return self.head(torch.atan2(self.left(x), self.right(x)))


def test_int8_goes_to_another_engine_where_native_would_leave_products_to_be_imitated():
    model, inputs = AnglesBetween().eval(), torch.rand(64, 16)

    def prepared(engine: str, steps: list) -> wb.Runner:
        recipe = {"steps": steps, "place": {"engine": engine, "threads": 1}}
        return wb.prepare(model, inputs, recipe, calibration=(inputs, None))

    assert "PyTorch" in {row.layer: row.kernel for row in prepared("native", []).receipt}["left"]
    with pytest.raises(EngineError, match=r"aten.atan2.default .*; too little of the model is left to run native"):
        prepared("native", [{"do": "quantize"}])
    rows = {row.layer: row for row in prepared("auto", [{"do": "quantize"}]).receipt}
    assert (rows["left"].reality, rows["left"].compute_dtype) == ("real", "int8")


@pytest.mark.usefixtures("native_is_off")
def test_a_run_refuses_an_engine_that_computes_something_else_and_auto_goes_on():
    told = run_on("auto")
    off = [event.message for event in told if event.kind == "notice" and "computes something else" in event.message]
    assert off[0].startswith("native can't run it: Native computes something else than the model")
    assert told[-1].result.variant.engine != "native"
    assert "Native computes something else than the model" in str(run_on("native")[-1])

"""What a function or an object that a user gives as metric or loss says: another one has another key."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torchmetrics.classification import BinaryAccuracy

from workbench.models import _digest
from workbench.workload import Workload

LIMIT = 0.5


def of(metric) -> str:
    return _digest.task(Workload("fashion-mlp", metric=metric))


def above(limit: float):
    return lambda outputs, targets: (outputs[:, 0] > limit).float()


def reading(outputs, targets):
    return helper(outputs) * np.float32(LIMIT)


def helper(outputs):
    return outputs[:, 0]


def with_default(outputs, targets, share=0.5):
    return outputs[:, 0] * share


class Scaled:
    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, outputs, targets):
        return outputs[:, 0] * self.scale


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (above(0.1), above(0.2)),
        (above(torch.zeros(2)), above(torch.ones(2))),
        (partial(with_default, share=0.1), partial(with_default, share=0.2)),
        (Scaled(1.0), Scaled(2.0)),
        (BinaryAccuracy(threshold=0.3), BinaryAccuracy(threshold=0.4)),
    ],
    ids=["closure", "tensor", "partial", "object", "torchmetrics"],
)
def test_the_same_code_with_other_values_has_another_key(one, other):
    assert of(one) != of(other)
    assert of(one) == of(one)


def test_made_anew_with_the_same_values_it_has_the_same_key():
    assert of(above(0.1)) == of(above(0.1))
    assert of(Scaled(2.0)) == of(Scaled(2.0))
    assert of(BinaryAccuracy(threshold=0.3)) == of(BinaryAccuracy(threshold=0.3))


def test_what_a_function_reads_of_its_module_and_its_defaults_count(monkeypatch):
    before = of(reading), of(with_default)
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 0.6)
    assert of(reading) != before[0]
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 0.5)
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda outputs: outputs[:, 1])
    assert of(reading) != before[0]
    monkeypatch.setattr(with_default, "__defaults__", (0.7,))
    assert of(with_default) != before[1]


def test_it_is_the_same_in_another_process():
    code = "from tests.models.test_digest import *; print(of(above(0.1)), of(reading), of(Scaled(3.0)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == [of(above(0.1)), of(reading), of(Scaled(3.0))]


def test_a_function_that_calls_itself_is_no_obstacle():
    def endless(outputs, targets):
        return endless(outputs, targets)

    assert of(endless)

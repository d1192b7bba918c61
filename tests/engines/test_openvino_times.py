"""Layer times from OpenVINO's counters."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch

from workbench import engines
from workbench.variant import Variant

openvino = pytest.importorskip("openvino")


class Request:
    """Counts one layer in every call, and another only in the first."""

    def __init__(self) -> None:
        self.calls = 0

    def infer(self, inputs) -> None:
        self.calls += 1

    @property
    def profiling_info(self):
        seen = ["0", "1"] if self.calls == 1 else ["0"]
        return [
            SimpleNamespace(
                node_name=name, status=openvino.ProfilingInfo.Status.EXECUTED, real_time=timedelta(milliseconds=2)
            )
            for name in seen
        ]


def test_a_layer_that_only_the_first_call_ran_has_no_time(monkeypatch):
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)).eval()
    runner = engines.find("openvino").prepare(Variant(module), torch.randn(2, 4), threads=1)
    monkeypatch.setattr(runner, "kernels", {})
    monkeypatch.setattr(runner, "_model", SimpleNamespace(layer_of=lambda name: name))
    monkeypatch.setattr(runner, "_compile", lambda *_, **__: SimpleNamespace(create_infer_request=Request))
    assert runner.layer_times_ms(torch.randn(2, 4), repeats=3) == {"0": pytest.approx(2.0)}

"""A runner computes on the threads it was prepared for, whatever other runners in the process ask for."""

from __future__ import annotations

import pytest
import torch

from tests.engines.models import images, variant
from workbench import engines
from workbench.variant import Variant

COUNTS = (1, 2)


class Watched(torch.nn.Linear):
    """Notes how many threads torch may use while it computes."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.seen: list[int] = []

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(torch.get_num_threads())
        return super().forward(inputs)


@pytest.fixture(autouse=True)
def _threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def prepared(engine: str, asked: Variant, inputs: torch.Tensor) -> list[engines.Runner]:
    """A runner for each count, all made before the first of them is called."""
    if reason := engines.find(engine).unavailable():
        pytest.skip(reason)
    return [engines.find(engine).prepare(asked, inputs, threads=threads) for threads in COUNTS]


def test_eager_gives_each_call_the_threads_of_its_own_runner():
    module, inputs = Watched().eval(), torch.rand(2, 4)
    runners = prepared("eager", Variant(module), inputs)
    module.seen.clear()
    for runner in (*runners, *reversed(runners)):
        runner(inputs)
    assert module.seen == [*COUNTS, *reversed(COUNTS)]


def test_onnxruntime_makes_a_session_of_that_many_threads():
    runners = prepared("onnxruntime", variant("mlp", "fp32"), images("mlp", 4))
    assert [runner._session.get_session_options().intra_op_num_threads for runner in runners] == list(COUNTS)


@pytest.mark.skipif(engines.find("openvino").unavailable() is not None, reason="needs OpenVINO")
@pytest.mark.parametrize("batch", [4, 7])
def test_openvino_compiles_for_that_many_threads_whatever_the_batch(batch):
    runners = prepared("openvino", variant("mlp", "fp32"), images("mlp", 4))
    for runner in runners:
        runner(images("mlp", batch))
    requests = [runner._request if batch == 4 else runner._any_size for runner in runners]
    used = [request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") for request in requests]
    assert used == list(COUNTS)

"""Models as people have them, given to ``wb.prepare``: taken as they are meant, or refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import workbench as wb
from workbench.errors import WorkbenchError

INPUTS = torch.rand(8, 6, generator=torch.Generator().manual_seed(0)) - 0.5


def model(forward=None) -> nn.Module:
    """A small net; ``forward`` takes it and the inputs."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.out = nn.Linear(6, 16), nn.Linear(16, 4)
            self.register_buffer("calls", torch.zeros(()))

        def plain(self, x):
            return self.out(torch.relu(self.layer(x)))

        def forward(self, x):
            return forward(self, x) if forward else self.plain(x)

    torch.manual_seed(0)
    return Net().eval()


FORMS = {
    "numpy": lambda x: x.numpy(),
    "float64": lambda x: x.double(),
    "a view in another order": lambda x: x.T.contiguous().T,
    "bf16": lambda x: x.bfloat16(),
}


@pytest.mark.parametrize("form", FORMS)
def test_inputs_of_other_kinds_are_converted(form):
    net = model()
    runner = wb.prepare(net, FORMS[form](INPUTS), {"steps": [{"do": "quantize"}]}, calibration=FORMS[form](INPUTS))
    expected = net(INPUTS).detach()
    assert (runner(INPUTS) - expected).norm() < 0.1 * expected.norm()


WRAPPED = {
    "DataParallel": nn.DataParallel,
    "torch.compile": torch.compile,
    "bf16 weights": lambda net: net.bfloat16(),
    "float64 weights": lambda net: net.double(),
    "weight norm": lambda net: nn.utils.parametrizations.weight_norm(net.layer) and net,
    "spectral norm": lambda net: nn.utils.parametrizations.spectral_norm(net.layer) and net,
    "training mode": lambda net: net.train(),
}


@pytest.mark.parametrize("steps", [[], [{"do": "quantize"}], [{"do": "prune", "finetune_epochs": 0}]], ids=str)
@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_wrapped_around_a_model_is_no_obstacle(kind, steps):
    net = WRAPPED[kind](model())
    runner = wb.prepare(net, INPUTS, {"steps": steps})
    assert runner(INPUTS).shape == (8, 4)
    if not steps:
        wanted = (net.float() if "weights" in kind else net)(INPUTS).detach()
        torch.testing.assert_close(runner(INPUTS), wanted, rtol=1e-4, atol=1e-4)


def scripted(net: nn.Module) -> nn.Module:
    return torch.jit.trace(net, INPUTS)


REFUSED = {
    "a tuple of no tensors": (model(lambda net, x: ("none", 1)), INPUTS, "returns tuple for inputs of shape"),
    "a dictionary of none": (model(lambda net, x: {"text": "none"}), INPUTS, "returns dict for inputs of shape"),
    "no batch": (model(lambda net, x: net.plain(x).sum()), INPUTS, r"returns torch.float32 of shape \[\]"),
    "whole numbers": (model(lambda net, x: net.plain(x).argmax(1)), INPUTS, r"returns torch.int64 of shape \[2\]"),
    "TorchScript": (
        scripted(model()),
        INPUTS,
        "is TorchScript, which can't be exported or changed; give the nn.Module",
    ),
    "images of bytes": (
        nn.Flatten(),
        torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        r"takes no uint8; give float32 .*255",
    ),
    "complex": (model(), INPUTS.cfloat(), "example are torch.complex64; give real numbers"),
    "no examples": (model(), INPUTS[:0], "example is empty"),
    "text": (model(), "text", "example holds text"),
    "another width": (model(), INPUTS[:, :3], r"the model fails on inputs of shape \[2, 3\]"),
    "no module": (torch.relu, INPUTS, "the model is of type builtin_function_or_method; give a torch.nn.Module"),
    "NaN": (
        nn.utils.vector_to_parameters(torch.full((180,), torch.nan), (m := model()).parameters()) or m,
        INPUTS,
        "NaN",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(kind):
    given, example, says = REFUSED[kind]
    with pytest.raises(WorkbenchError, match=says) as caught:
        wb.prepare(given, example)
    assert "\n" not in str(caught.value)


def test_calibration_of_another_shape_is_refused():
    with pytest.raises(WorkbenchError, match=r"calibration has inputs \[N, 3\] and the example \[N, 6\]"):
        wb.prepare(model(), INPUTS, {"steps": [{"do": "quantize"}]}, calibration=INPUTS[:, :3])


@pytest.mark.parametrize("targets", [torch.rand(8), torch.rand(8, 3)], ids=["too few", "another number"])
def test_training_on_targets_that_nothing_fits_is_refused(targets):
    with pytest.raises(WorkbenchError, match=r"prune trains, and no metric fits outputs of shape \[2, 4\] and targets"):
        wb.prepare(model(), INPUTS, {"steps": [{"do": "prune", "finetune_epochs": 3}]}, calibration=(INPUTS, targets))


def test_the_users_buffers_are_not_written_to():
    net = model(lambda net, x: net.plain(x) + 0 * net.calls.add_(1))
    wb.prepare(net, INPUTS, {"place": {"engine": "eager"}})(INPUTS)
    assert net.calls == 0


BRANCHES = {
    "on a size beyond": (
        lambda net, x: net.plain(x) if x.shape[0] > 4 else -net.plain(x),
        r"one way where (n > 4|5 <= n) for",
    ),
    "on even sizes": (lambda net, x: net.plain(x) if x.shape[0] % 2 else -net.plain(x), "one way where"),
    "on one example": (lambda net, x: net.plain(x) if x.shape[0] == 1 else -net.plain(x), "computes something else"),
    "by a fixed number": (lambda net, x: net.plain(x).view(len(x), 4), "takes the batch size for a fixed number"),
}


@pytest.mark.parametrize("kind", BRANCHES)
def test_a_forward_that_goes_by_the_batch_size_is_run_by_eager_alone(kind):
    forward, says = BRANCHES[kind]
    net = model(forward)
    with pytest.raises(WorkbenchError, match=says):
        wb.prepare(net, INPUTS, {"place": {"engine": "native"}})
    runner = wb.prepare(net, INPUTS)
    for size in (1, 3, 8):
        torch.testing.assert_close(runner(INPUTS[:size]), net(INPUTS[:size]).detach())


def test_a_forward_that_draws_random_numbers_is_run_by_eager_alone():
    net = model(lambda net, x: net.out(nn.functional.dropout(net.layer(x), 0.5)))
    with pytest.raises(WorkbenchError, match="random"):
        wb.prepare(net, INPUTS, {"place": {"engine": "onnxruntime"}})
    runner = wb.prepare(net, INPUTS)
    assert not torch.equal(runner(INPUTS), runner(INPUTS))


def test_randomness_of_the_model_is_told_with_the_result(session):
    net = model(lambda net, x: net.out(nn.functional.dropout(net.layer(x), 0.9)))
    workload = wb.Workload(net, data=(torch.rand(100, 6), torch.arange(100) % 4))
    recipe = wb.Recipe.parse(place={"engine": "eager", "threads": 1})
    notices = " ".join(session.start(workload, recipe, baseline="eager").result().notices)
    assert "draws random numbers: of 64 outputs" in notices


def test_outputs_that_are_no_scores_of_the_classes_are_told_with_the_result(session):
    torch.manual_seed(0)
    embedding = nn.Sequential(nn.Linear(6, 384))
    workload = wb.Workload(embedding, data=(torch.rand(100, 6), torch.arange(100) % 2))
    recipe = wb.Recipe.parse(place={"engine": "eager", "threads": 1})
    notices = " ".join(session.start(workload, recipe, baseline="eager").result().notices)
    assert "fewer than always giving the most frequent class" in notices
    assert "are its outputs scores of these classes?" in notices


def test_outputs_that_are_no_numbers_are_told_with_the_result(session):
    torch.manual_seed(0)
    far = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    with torch.no_grad():
        far[0].weight *= 1e6
    workload = wb.Workload(far, data=(torch.rand(100, 6), torch.arange(100) % 4))
    recipe = wb.Recipe.parse(steps=[{"do": "quantize", "scheme": "fp16"}], place={"engine": "eager", "threads": 1})
    notices = " ".join(session.start(workload, recipe, baseline="eager").result().notices)
    assert "outputs hold NaN or infinity: fp16 ends at 65,504; choose bf16" in notices


def test_numpy_and_tensors_of_the_same_numbers_are_prepared_alike():
    net = model()
    runners = [wb.prepare(net, form) for form in (INPUTS, INPUTS.numpy(), INPUTS.numpy().astype(np.float64))]
    assert all(torch.equal(runner(INPUTS), runners[0](INPUTS)) for runner in runners)

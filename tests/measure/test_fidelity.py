"""A runner that computes something else than its model is found out before anybody sees a figure of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.engines import several_inputs
from tests.engines.models import images, module, variant
from workbench import engines
from workbench.engines import Engine, Runner
from workbench.errors import EngineError
from workbench.measure.fidelity import require_faithful
from workbench.variant import Variant

EAGER = engines.find("eager")


class Other(Engine):
    """Not the reference, so that it is asked."""

    name, title = "other", "Other"
    precisions = EAGER.precisions

    def unavailable(self):
        return None

    def runner(self, variant, example, device, threads, checkpoint):
        return EAGER.runner(variant, example, device, threads, checkpoint)


class Changed(Runner):
    """A runner whose outputs are changed on the way out."""

    kernels = {}  # noqa: RUF012, the contract's name

    def __init__(self, variant: Variant, change) -> None:
        self._inner, self._change = EAGER.prepare(variant, images("cnn", 4), threads=1), change

    def __call__(self, inputs):
        return self._change(self._inner(inputs))


def check(asked: Variant, change, batch: int = 4) -> None:
    require_faithful(Other(), Changed(asked, change), asked, images("cnn", 64), batch=batch)


def nudged(share: float):
    """Moves every output by a share of the outputs' own size."""
    return lambda outputs: outputs + share * outputs.norm() / outputs.numel() ** 0.5


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8-static", "int8-dynamic"])
def test_what_the_precision_explains_passes(precision):
    check(variant("cnn", precision), lambda outputs: outputs)


@pytest.mark.parametrize(("precision", "share"), [("fp32", 0.01), ("bf16", 0.1), ("int8-static", 0.1)])
def test_what_is_off_by_more_is_refused_with_both_figures(precision, share):
    with pytest.raises(EngineError, match=rf"Other computes something else .* where {precision} explains [\d.e-]+ %"):
        check(variant("cnn", precision), nudged(share))


@pytest.mark.parametrize("batch", [1, 4])
def test_it_is_asked_at_another_batch_size_too(batch):
    def wrong_elsewhere(outputs):
        return outputs if len(outputs) == batch else -outputs

    with pytest.raises(EngineError, match="off by 2e\\+02 % of its norm for"):
        check(variant("cnn", "fp32"), wrong_elsewhere, batch)


@pytest.mark.parametrize("wrong", [lambda outputs: outputs / 0, lambda outputs: outputs[:, :3]], ids=["nan", "shape"])
def test_outputs_that_cannot_be_compared_are_refused(wrong):
    with pytest.raises(EngineError, match="off by all of its norm"):
        check(variant("cnn", "fp32"), wrong)


def test_outputs_that_vanish_may_differ_by_rounding():
    zero = nn.Sequential(nn.Flatten(), nn.Linear(144, 3)).eval()
    nn.init.zeros_(zero[1].weight)
    nn.init.zeros_(zero[1].bias)
    check(Variant(zero), lambda outputs: outputs + 1e-10)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_runner_that_leaves_one_of_several_inputs_alone_is_found_out(batch):
    asked, inputs = (
        several_inputs.variant("tokens and a mask", "fp32"),
        several_inputs.examples("tokens and a mask", 16),
    )
    runner = EAGER.prepare(asked, inputs, threads=1)
    require_faithful(Other(), runner, asked, inputs, batch=batch)

    def unmasked(ids, mask):
        return runner(ids, mask.new_ones(mask.shape))

    with pytest.raises(EngineError, match="Other computes something else"):
        require_faithful(Other(), unmasked, asked, inputs, batch=batch)


def dropped(outputs):
    return nn.functional.dropout(outputs, 0.5)


def scaled_by_numpy(outputs):
    return outputs * torch.from_numpy(np.random.default_rng().random(outputs.shape[1])).float()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("drawing", [dropped, scaled_by_numpy])
def test_a_model_that_draws_random_numbers_is_left_to_eager(drawing, precision):
    noisy = Variant(nn.Sequential(module("cnn"), Drawing(drawing)), precision)
    with pytest.raises(EngineError, match="draws random numbers, so Other can't be held to it; the eager engine draws"):
        check(noisy, lambda outputs: outputs)
    require_faithful(EAGER, EAGER.prepare(noisy, images("cnn", 4), threads=1), noisy, images("cnn", 64), batch=4)


class Drawing(nn.Module):
    def __init__(self, drawing) -> None:
        super().__init__()
        self.drawing = drawing

    def forward(self, inputs):
        return self.drawing(inputs)

"""Native gives what eager gives, or refuses in one line, whatever a forward holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, reduce

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.engines.forwards import (
    FORWARDS,
    ON_IDS,
    ON_IMAGES,
    SIDE,
    TOKENS,
    WIDTH,
    WORDS,
    Around,
    AroundIds,
    AroundImages,
)  # fmt: skip
from workbench import kernels
from workbench.engines._base import Runner
from workbench.engines.native import Native
from workbench.engines.native.pick import plans
from workbench.engines.native.pieces import PiecewiseRunner
from workbench.engines.native.runner import NativeRunner
from workbench.errors import EngineError
from workbench.graph import export
from workbench.graph.fused.cut import Piece, _blocks, _longest_native, cut
from workbench.graph.fused.read.operators import OPERATORS
from workbench.graph.fused.read.writes import refuse_changed_constants
from workbench.variant import Variant

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ATEN = sorted(name for name in OPERATORS if str(name).startswith("aten."))
READ_AS_A_WHOLE = [
    "positions", "positions without a batch", "positions first", "positions times", "a computed gain",
    "a sum of constants", "a number made there", "a row made there", "a single number", "whole numbers", "arange",
    "token types", "new token types",
    "expanded positions", "repeated positions", "ones like it", "dropout that is off", "relu in place",
    "kept under the old name", "clamped from above", "hardtanh", "gelu by tanh", "norm without weights", "attention",
    "causal", "scaled", "batch merged", "repeated", "expanded like another", "turned and reshaped", "masked",
    "shared keys", "every other token", "each token twice", "tiled", "across tokens", "across heads", "times one token",
    "plus one feature", "filled", "filled by rows", "masked by hand", "masked by a sum", "masked by a choice",
    "a mask that hides nothing", "keys turned", "numbered over tokens", "the rows of each", "what nothing needs",
    "torch's attention with its weights",
]  # fmt: skip

IMAGES_READ_AS_A_WHOLE = [
    "channels last", "every other column", "from the second row", "turned", "two channels of each", "upsampled",
    "upsampled by fractions", "upsampled by a fraction anew", "upsampled to a size", "upsampled from the middle",
    "upsampled line", "one channel for all", "gate expanded", "tiled", "pixels filled", "pixels after channels",
    "shuffled", "shuffled pixels", "unshuffled pixels", "turned and convolved", "transposed", "transposed line",
    "zeros around", "zeros on two sides", "the edge around", "mirrored around", "from the other side",
    "zeros around a line",
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_time_for_choices(monkeypatch):
    """Which way of running a program is fastest isn't asked here: the first are taken."""
    for budget in ("_PLAN_BUDGET_S", "_TILE_BUDGET_S", "_TURN_S"):
        monkeypatch.setattr(plans, budget, 1e-9)


def around(name: str) -> tuple[nn.Module, torch.Tensor]:
    return Around(FORWARDS[name]).eval(), torch.randn(8, TOKENS, WIDTH)


def around_images(name: str) -> tuple[nn.Module, torch.Tensor]:
    model, images = AroundImages(ON_IMAGES[name]), torch.randn(8, 3, SIDE, SIDE)
    model(images)  # the classifier learns how many features there are
    return model.eval(), images


def around_ids(name: str) -> tuple[nn.Module, torch.Tensor]:
    return AroundIds(ON_IDS[name]).eval(), torch.randint(0, WORDS, (8, TOKENS)).float()


MAKERS = {around: FORWARDS, around_images: ON_IMAGES, around_ids: ON_IDS}


@cache
def exported(make: Callable, name: str) -> tuple[Variant, torch.Tensor]:
    """A model with its exported graph, and inputs."""
    torch.manual_seed(0)
    model, inputs = make(name)
    return Variant(model, graph=export(model, inputs[:2]).module()), inputs


def prepare(variant: Variant, inputs: torch.Tensor) -> Runner:
    return Native().prepare(variant, inputs[:2], threads=1)


def prepare_in_pieces(variant: Variant, inputs: torch.Tensor) -> Runner:
    """A runner that is cut wherever it may be, and native wherever one block by itself can be."""
    refuse_changed_constants(variant.graph.graph)
    aside, blocks = _blocks(variant.graph)
    pieces = [Piece([aside])] if aside else []
    pieces += [_longest_native(variant.graph, [block]) or Piece([block]) for block in blocks]
    return PiecewiseRunner(variant, variant.graph, pieces, (inputs[:2],), 1, lambda: None)


def assert_right(runner: Runner, model: nn.Module, inputs: torch.Tensor) -> None:
    for batch in (1, 3, 8):
        with torch.no_grad():
            wanted = model(inputs[:batch])
        got = runner(inputs[:batch])
        assert got.shape == wanted.shape
        # Sums of n ≤ 48 terms err by about ε · √n, in at most ten layers.
        assert (got - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("prepared", [prepare, prepare_in_pieces])
@pytest.mark.parametrize(("make", "name"), [(make, name) for make, forwards in MAKERS.items() for name in forwards])
def test_a_forward_gives_what_eager_gives_or_is_refused_in_one_line(make, name, prepared):
    variant, inputs = exported(make, name)
    try:
        runner = prepared(variant, inputs)
    except EngineError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert_right(runner, variant.module, inputs)
    assert "\n" not in refusal


@pytest.mark.parametrize(
    ("make", "name"),
    [*((around, name) for name in READ_AS_A_WHOLE), *((around_images, name) for name in IMAGES_READ_AS_A_WHOLE)],
)
def test_nothing_in_these_forwards_is_left_to_pytorch(make, name):
    assert isinstance(prepare(*exported(make, name)), NativeRunner)


@pytest.mark.parametrize("name", [name for name in FORWARDS if name.startswith("own ")])
def test_an_operator_of_ones_own_is_run_by_pytorch_whatever_its_name(name):
    assert isinstance(prepare(*exported(around, name)), PiecewiseRunner)


@pytest.mark.parametrize("name", ATEN)
def test_a_reader_knows_every_argument_that_its_operator_has(name):
    overload = reduce(getattr, name.split("."), torch.ops)
    arguments = overload._schema.arguments
    positional = [argument.name for argument in arguments if not argument.kwarg_only]
    named = {argument.name: None for argument in arguments if argument.kwarg_only}
    inspect.signature(OPERATORS[name].read).bind("reader", "node", *positional, **named)


@pytest.mark.parametrize(
    "noisy",
    [
        lambda m, x: F.dropout(x, 0.5),
        lambda m, x: x + torch.randn(WIDTH),
        lambda m, x: x + torch.rand_like(x),
        lambda m, x: F.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None], dropout_p=0.5)[:, 0],
    ],
)
def test_random_numbers_are_drawn_anew_at_each_call(noisy):
    torch.manual_seed(0)
    inputs = torch.randn(2, TOKENS, WIDTH)
    runner = prepare(Variant(Around(noisy).eval()), inputs)
    assert not torch.equal(runner(inputs), runner(inputs))


def test_what_a_reader_was_not_written_for_is_left_to_pytorch_with_the_cause():
    variant, _ = exported(around, "divided by nought")
    reasons = [block.reason for piece in cut(variant.graph) for block in piece.blocks]
    assert any("aten.div.Tensor as used here: division by zero" in reason for reason in reasons)


@pytest.mark.parametrize("changed", [lambda m: m.row.add_(1), lambda m: m.row[0].zero_()])
def test_a_model_that_changes_a_constant_of_its_own_is_refused(changed):
    def counting(m, x):
        changed(m)
        return x * m.row

    with pytest.raises(EngineError, match=r"aten\.\w+_\.\w+ changes one in place"):
        prepare(Variant(Around(counting).eval()), torch.randn(2, TOKENS, WIDTH))


def test_a_batch_norm_of_one_copy_leaves_the_other_as_it_is():
    class Copies(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
            self.norm.running_mean.normal_()

        def forward(self, x):
            x = self.conv(x)
            one, other = x.clone(), x.clone()
            return self.norm(one) + other

    torch.manual_seed(0)
    model, inputs = Copies().eval(), torch.randn(8, 3, 6, 6)
    assert_right(prepare(Variant(model), inputs), model, inputs)

"""Rounding that is learned from examples: it moves outputs less, and is what it says where nothing can be learned."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.techniques import parts
from workbench.errors import Cancelled
from workbench.graph import unpacked_groups
from workbench.precisions import registered
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.techniques.quantize.learned_rounding import learned
from workbench.techniques.quantize.rounding import nearest, rounded
from workbench.variant import Variant
from workbench.workload import Data

GROUPED = {name: each.weights for name, each in registered().items() if each.weights_only and each.weights.bits < 8}

INT4 = GROUPED["int4-weights"]


def moved(numbers, scales, weights, inputs) -> float:
    """‖(what is stored − the weights) · inputs‖ / ‖weights · inputs‖."""
    off = (numbers * scales.unsqueeze(-1) - weights).flatten(1) @ inputs.T
    return float(off.norm() / (weights.flatten(1) @ inputs.T).norm())


def examples(columns: int, rows: int = 512, rank: int = 12) -> torch.Tensor:
    """Inputs as layers have them: they depend on each other."""
    return torch.randn(rows, rank) @ torch.randn(rank, columns) + 0.1 * torch.randn(rows, columns)


@pytest.mark.parametrize("scheme", GROUPED)
def test_outputs_move_less_than_where_each_weight_is_rounded_by_itself(scheme):
    torch.manual_seed(0)
    weights, inputs = torch.randn(32, 4, 16), examples(64)
    one, other = learned(weights, GROUPED[scheme], inputs), rounded(weights, GROUPED[scheme])
    unseen = examples(64)
    assert moved(*one, weights, inputs) < 0.7 * moved(*other, weights, inputs)
    assert moved(*one, weights, unseen) > 0  # and they are rounded


@pytest.mark.parametrize("scheme", GROUPED)
@settings(max_examples=20, deadline=None)
@given(outputs=st.integers(1, 5), groups=st.integers(1, 3), size=st.integers(1, 9), seed=st.integers(0, 99))
def test_every_number_is_one_of_the_scheme_s(scheme, outputs, groups, size, seed):
    torch.manual_seed(seed)
    formats = GROUPED[scheme]
    weights = torch.randn(outputs, groups, size) * 10 ** torch.randint(-3, 3, (outputs, 1, 1))
    weights[:, :, torch.rand(size) < 0.2] = 0
    numbers, scales = learned(weights, formats, torch.randn(20, groups * size))
    assert numbers.isfinite().all()
    assert scales.isfinite().all()
    assert torch.equal(numbers, nearest(numbers * scales.unsqueeze(-1), scales.unsqueeze(-1), formats)) or (
        formats.bits == 1 and {*numbers.unique().tolist()} <= {-1.0, 1.0}
    )


@pytest.mark.parametrize("inputs", [torch.zeros(8, 12), torch.ones(8, 12), torch.ones(1, 12)], ids=["0", "1", "one"])
def test_inputs_that_tell_nothing_are_no_obstacle(inputs):
    torch.manual_seed(0)
    weights = torch.randn(4, 2, 6)
    numbers, scales = learned(weights, INT4, inputs)
    assert numbers.isfinite().all()
    assert moved(numbers, scales, weights, torch.randn(64, 12)) < 1


def test_inputs_of_zero_change_nothing_of_how_the_others_are_rounded():
    torch.manual_seed(0)
    weights, inputs = torch.randn(4, 1, 8), torch.zeros(8, 8)
    for one, other in zip(learned(weights, INT4, inputs), rounded(weights, INT4), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("scheme", ["int2-weights", "binary-weights"])
def test_real_images_are_recognized_better(workload, few, scheme):
    images, classes = workload.test.inputs[0][:2000], workload.test.targets[:2000]
    right = {}
    for rounding in ("nearest", "learned"):
        variant = Quantize(scheme=scheme, rounding=rounding).apply(Variant(workload.module), few)
        right[rounding] = float((parts.logits(variant.graph, images).argmax(1) == classes).float().mean())
    assert right["learned"] > right["nearest"]


def test_a_group_that_does_not_divide_and_a_weight_that_two_layers_share(few):
    torch.manual_seed(0)
    one = nn.Linear(50, 50, bias=False)
    tied = nn.Sequential(nn.Flatten(), nn.Linear(784, 50), one, nn.ReLU(), nn.Linear(50, 50, bias=False)).eval()
    tied[4].weight = one.weight
    variant = Quantize(scheme="int3-weights", group_size=16).apply(Variant(tied), few)
    packed = [buffer for name, buffer in variant.graph.named_buffers() if name.endswith("packed")]
    assert [tuple(each.shape[:2]) for each in packed] == [(50, 49), (50, 4)]
    assert unpacked_groups(packed[1], 3, 13).shape == (50, 4, 13)


def test_the_same_seed_gives_the_same_numbers_and_it_can_be_cancelled(workload, few):
    step = Quantize(scheme="int2-weights")
    one, other = (step.apply(Variant(workload.module), few).graph.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)

    def checkpoint():
        raise Cancelled

    context = Context(train=Data(few.train.inputs[0][:64], few.train.targets[:64]), checkpoint=checkpoint)
    with pytest.raises(Cancelled):
        step.apply(Variant(workload.module), context)

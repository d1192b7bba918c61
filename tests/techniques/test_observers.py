"""The least divergence: what it is of simple counts, and the range that follows."""

from __future__ import annotations

import pytest
import torch

from workbench.techniques.quantize.observers import EntropyObserver, divergence


def observed(values: torch.Tensor) -> tuple[float, int]:
    """The scale and the zero point of 256 numbers for these values."""
    observer = EntropyObserver(dtype=torch.uint8, qscheme=torch.per_tensor_affine, quant_min=0, quant_max=255)
    observer(values)
    scale, zero_point = observer.calculate_qparams()
    return float(scale), int(zero_point)


def test_as_many_bins_as_levels_tell_everything():
    assert divergence(torch.rand(64, dtype=torch.float64), 0, 64, 64) == pytest.approx(0, abs=1e-12)


def test_bins_that_share_a_level_are_taken_for_even():
    # p = (3, 1)/4 and q = (2, 2)/4: 3/4 ln(3/2) + 1/4 ln(1/2)
    counts = torch.tensor([3.0, 1.0], dtype=torch.float64)
    assert divergence(counts, 0, 2, 1) == pytest.approx(0.75 * 0.405465 - 0.25 * 0.693147, abs=1e-6)


def test_what_lies_beyond_counts_to_the_last_bin():
    # p = (1, 1 + 2)/4 and q = (1, 1)/2
    counts = torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64)
    assert divergence(counts, 0, 2, 2) == pytest.approx(0.25 * -0.693147 + 0.75 * 0.405465, abs=1e-6)


def test_even_values_keep_their_range_and_a_long_tail_is_cut():
    torch.manual_seed(0)
    assert observed(torch.rand(100_000))[0] == pytest.approx(1 / 255, rel=0.03)
    tail = torch.cat([torch.rand(100_000), torch.tensor([50.0])])
    assert observed(tail)[0] < 10 / 255


@pytest.mark.parametrize("values", [torch.zeros(9), torch.full((9,), 3.0), -torch.rand(1000)], ids=["0", "3", "below"])
def test_constant_and_negative_values_have_a_scale(values):
    scale, zero_point = observed(values)
    assert 0 < scale < float("inf")
    assert 0 <= zero_point <= 255

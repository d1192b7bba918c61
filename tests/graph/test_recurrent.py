"""GRU and LSTM layers whose products are of bytes: PyTorch's layers, but for the rounding of states."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from workbench.graph import recurrent
from workbench.graph.recurrent import STATE_STEP, gru_of_bytes, lstm_of_bytes

EPSILON = torch.finfo(torch.float32).eps
UNITS, STEPS, LEVELS = 7, 5, 2
KINDS = {"gru": (nn.GRU, torch.gru, gru_of_bytes), "lstm": (nn.LSTM, torch.lstm, lstm_of_bytes)}


def case(kind: str, seed: int, levels: int, bidirectional: bool, batch_first: bool, bias: bool):
    """What ``torch.gru`` or ``torch.lstm`` is called with: any start, and a layer's weights."""
    torch.manual_seed(seed)
    made = KINDS[kind][0](3, UNITS, levels, bias=bias, bidirectional=bidirectional).requires_grad_(False)
    start = torch.rand(2, levels * (1 + bidirectional), 4, UNITS) * 2 - 1
    x = torch.randn(4, STEPS, 3) if batch_first else torch.randn(STEPS, 4, 3)
    settings = (made._flat_weights, bias, levels, 0.0, False, bidirectional, batch_first)
    return x, start[0] if kind == "gru" else [*start], *settings


CASES = st.tuples(st.integers(0, 999), st.integers(1, LEVELS), st.booleans(), st.booleans(), st.booleans())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(asked=CASES)
def test_without_rounding_they_are_pytorch_s(kind, asked):
    _, theirs, ours = KINDS[kind]
    given_ = case(kind, *asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recurrent, "_rounded", lambda states, plain: states)
        found = ours(*given_)
    for wanted, got in zip(theirs(*given_), found, strict=True):
        # Sums in another order: some ten terms at each of ten steps, which hand a few ε on.
        assert (got - wanted).abs().max() <= 100 * EPSILON


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(asked=CASES)
def test_rounded_states_move_a_step_by_half_of_what_they_are_rounded_to(kind, asked):
    _, theirs, ours = KINDS[kind]
    x, start, *others = case(kind, *asked)
    x = x[:, :1] if others[-1] else x[:1]
    # Each of the gates' sums has 7 weights of 1/√7 at most; x of the second level is rounded likewise.
    most = LEVELS * 2 * 4 * UNITS**0.5 * STATE_STEP / 2
    for wanted, got in zip(theirs(x, start, *others), ours(x, start, *others), strict=True):
        assert 0 < (got - wanted).abs().max() <= most


@pytest.mark.parametrize("kind", KINDS)
def test_in_plain_operations_they_give_the_same_to_the_last_bit(kind):
    given_ = case(kind, 0, LEVELS, True, True, True)
    for wanted, got in zip(KINDS[kind][2](*given_), KINDS[kind][2](*given_, plain=True), strict=True):
        assert torch.equal(got, wanted)

"""The steps of GRU and LSTM against torch in float64, on every instruction set this machine has or can imitate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels import records
from workbench.kernels.program import Builder, Program, Tensor
from workbench.kernels.records import CELLS, Dtype, Place

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = [*kernels.isas(), *kernels.core().stand_ins()] if kernels.unavailable() is None else []
EPSILON = float(np.finfo(np.float32).eps)
HIDDEN = st.sampled_from([1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65, 100])  # around one and two vectors
GATES = {"gru": 3, "lstm": 4}


def layer(cell: str, hidden: int, directions: int, seed: int, weight_bits: int) -> tuple[torch.nn.RNNBase, np.ndarray]:
    """A layer in float64 with random weights, and the steps of the recurrent ones: 1 where they are floats."""
    torch.manual_seed(seed)
    make = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    made = make(5, hidden, batch_first=True, bidirectional=directions == 2).double().requires_grad_(False)
    scales = torch.ones(directions, GATES[cell] * hidden)
    for scale, weight in zip(scales, recurrent(made, "weight"), strict=True):
        weight.copy_(weight.float())
        if weight_bits == 8:
            scale.copy_(weight.abs().amax(1) / 127)
            weight.copy_((weight / scale[:, None]).round() * scale[:, None].double())
    for bias in recurrent(made, "bias"):
        bias.copy_(bias.float())
    return made, scales.numpy()


def recurrent(made: torch.nn.RNNBase, what: str) -> list[torch.Tensor]:
    """The recurrent weights or biases of each direction."""
    return [tensor for name, tensor in made.named_parameters() if name.startswith(f"{what}_hh")]


def program(
    isa: str, made: torch.nn.RNNBase, scales: np.ndarray, steps: int, weight_bits: int, state_bits: int = 32
) -> Program:
    cell, width = made.mode.lower(), made.hidden_size * (1 + made.bidirectional)
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, steps, 1, GATES[cell] * width, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, steps, 1, width, Dtype.F32))
    memory = builder.tensor(Tensor.of(Place.ARENA, 1, 1, width, Dtype.F32)) if cell == "lstm" else None
    weights = torch.stack(recurrent(made, "weight")).numpy()
    weights = np.rint(weights / scales[..., None]).astype(np.int8) if weight_bits == 8 else weights.astype(np.float32)
    bias = torch.stack(recurrent(made, "bias")).numpy()
    state_bytes, size = None, records.state_bytes_of(1 + made.bidirectional, made.hidden_size)
    if state_bits == 8:
        scales, room = scales / 127, Tensor.of(Place.ARENA, 2, 1, size, Dtype.U8)
        state_bytes = builder.tensor(replace(room, offset=4 * width))
    builder.records.append(
        records.recurrent(source, target, memory, state_bytes, cell, 1 + made.bidirectional, weights, scales, bias)
    )
    return builder.build(isa, 4 * steps * GATES[cell] * width, 4 * steps * width, 4 * width + 2 * size)


def entering(made: torch.nn.RNNBase, x: torch.Tensor) -> np.ndarray:
    """What enters each gate of each direction, float32 [rows, steps, directions · gates · hidden]."""
    weights = [weight for name, weight in made.named_parameters() if name.startswith("weight_ih")]
    biases = [bias for name, bias in made.named_parameters() if name.startswith("bias_ih")]
    return (x @ torch.cat(weights).T + torch.cat(biases)).float().numpy()


def run(program: Program, x: np.ndarray, width: int, chunk: int = 0, threads: int = 1) -> np.ndarray:
    outputs = np.full((*x.shape[:2], width), np.nan, np.float32)
    program.run(x.ctypes.data, outputs.ctypes.data, len(x), chunk, threads)
    return outputs


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 20), hidden=HIDDEN, rows=st.sampled_from([1, 2, 3, 5, 7, 64]), directions=st.integers(1, 2),
    weight_bits=st.sampled_from([8, 32]), seed=st.integers(0, 999),
)  # fmt: skip
def test_steps_give_what_torch_gives_in_float64(isa, cell, steps, hidden, rows, directions, weight_bits, seed):
    made, scales = layer(cell, hidden, directions, seed, weight_bits)
    x = torch.randn(rows, steps, 5, dtype=torch.float64)
    wanted = made(x)[0].numpy()
    got = run(program(isa, made, scales, steps, weight_bits), entering(made, x), hidden * directions)
    # A step's sums of n products, each below 1/√n, err by about ε · √n in all, its five gates and tanhs by some 2 ε
    # each (activation.inl), and a step passes the error of the one before on with a slope of about 1.
    assert np.abs(got - wanted).max() <= steps * (hidden**0.5 + 10) * EPSILON


def next_states(made: torch.nn.RNNBase, entering: np.ndarray, states: np.ndarray, direction: int):
    """What each step of a direction makes in float64 of the given states after those before it, rounded to bytes."""
    weight, bias = (recurrent(made, what)[direction].numpy() for what in ("weight", "bias"))
    memory = state = np.zeros(states[0].shape, np.float32)
    for x, after in zip(entering.astype(np.float64), states, strict=True):
        s = np.rint(state * np.float32(127)) / 127 @ weight.T + bias
        x, s = (np.split(each, GATES[made.mode.lower()], -1) for each in (x, s))
        if made.mode == "GRU":
            z, n = sigmoid(x[1] + s[1]), np.tanh(x[2] + sigmoid(x[0] + s[0]) * s[2])
            yield (1 - z) * n + z * state
        else:
            memory = sigmoid(x[1] + s[1]) * memory + sigmoid(x[0] + s[0]) * np.tanh(x[2] + s[2])
            yield sigmoid(x[3] + s[3]) * np.tanh(memory)
        state = after


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 20), hidden=HIDDEN, rows=st.sampled_from([1, 2, 3, 5, 7, 64]), directions=st.integers(1, 2),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_states_are_rounded_to_bytes_before_they_are_multiplied(isa, cell, steps, hidden, rows, directions, seed):
    made, scales = layer(cell, hidden, directions, seed, 8)
    x = entering(made, torch.randn(rows, steps, 5, dtype=torch.float64))
    got = run(program(isa, made, scales, steps, 8, state_bits=8), x, hidden * directions)
    by_step = [np.split(each.swapaxes(0, 1), directions, -1) for each in (x, got)]
    for direction, (x, states) in enumerate(zip(*by_step, strict=True)):
        order = slice(None, None, -1 if direction else 1)
        wanted = np.stack([*next_states(made, x[order], states[order], direction)])
        # As above, but that each step begins from the very states that it was given: only an LSTM's memory adds up.
        assert np.abs(states[order] - wanted).max() <= (hidden**0.5 + 10) * EPSILON * (steps if cell == "lstm" else 1)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("hidden", "directions", "bits"), [(40, 1, 32), (100, 2, 32), (30, 2, 8)])
def test_a_row_gives_the_same_whatever_is_beside_it_and_however_threads_share_it(isa, cell, hidden, directions, bits):
    made, scales = layer(cell, hidden, directions, 0, bits)
    x, of = entering(made, torch.randn(9, 6, 5, dtype=torch.float64)), program(isa, made, scales, 6, bits, bits)
    width = hidden * directions
    alone = np.concatenate([run(of, row[None], width) for row in x])
    for chunk, threads in ((0, 1), (0, 2), (0, 3), (2, 2)):
        assert np.array_equal(run(of, x, width, chunk, threads), alone)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (dict(directions=3), "directions"),
        (dict(memory=None), "tensors don't fit"),
        (dict(output=0), "tensors don't fit"),
        (dict(bias=np.zeros(7)), "arrays don't have the size"),
        (dict(state_bytes=3), "bytes by weights in bytes"),
        (dict(state_bytes=2, weights=np.ones((1, 16, 4), np.int8)), "tensors don't fit"),
    ],
)
def test_layers_that_make_no_sense_are_refused(change, says):
    builder = Builder()
    source = builder.tensor(Tensor.of(Place.INPUT, 3, 1, 16, Dtype.F32))
    target = builder.tensor(Tensor.of(Place.OUTPUT, 3, 1, 4, Dtype.F32))
    memory = builder.tensor(Tensor.of(Place.ARENA, 1, 1, 4, Dtype.F32))
    builder.tensor(Tensor.of(Place.ARENA, 2, 1, 4, Dtype.U8))
    ones = np.ones((1, 16))
    fitting = dict(
        input=source, output=target, memory=memory, state_bytes=None, cell="lstm", directions=1,
        weights=np.ones((1, 16, 4)), scale=ones, bias=ones,
    )  # fmt: skip
    builder.records.append(records.recurrent(**fitting | change))
    with pytest.raises(EngineError, match=says):
        builder.build("reference", 192, 48, 64)

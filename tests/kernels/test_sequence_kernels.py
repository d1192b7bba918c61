"""Layer norm, softmax, attention, embedding and GELU against float64, on every instruction set this machine has."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import kernels
from workbench.errors import EngineError
from workbench.kernels import records
from workbench.kernels.program import Builder, Tensor
from workbench.kernels.records import Dtype, Epilogue, Place, Record

pytestmark = pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable()))
ISAS = kernels.isas() if kernels.unavailable() is None else []
HALF_ISAS = [isa for isa in ISAS if isa in ("amx", "avx512bf16", "reference")]  # those that have bf16 attention
UNIT_ROUNDOFF = 2**-8  # of bf16
EPSILON = float(np.finfo(np.float32).eps)
WIDTHS = st.sampled_from([1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 129])  # around one and four vectors
NO_MASK = {"mask": None, "by_head": False, "by_query": False, "seed": 0}
EXPONENTIAL = 2 * EPSILON  # activation.inl: below 2⁻²²


def run(isa: str, x: np.ndarray, tensors: list[Tensor], record: Record, arena_bytes: int, output: np.ndarray) -> str:
    """One step over ``x`` [batch, …], which is the first tensor, into ``output`` [batch, …]; its kernel's name."""
    builder = Builder(tensors, [record])
    x = np.ascontiguousarray(x)
    program = builder.build(isa, x[0].nbytes, output[0].nbytes, arena_bytes)
    program.run(x.ctypes.data, output.ctypes.data, len(x), 0, 2)
    return program.kernels[0]


def rows(place: Place, count: int, channels: int, dtype: Dtype = Dtype.F32) -> Tensor:
    return Tensor.of(place, count, 1, channels, dtype)


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=30, deadline=None)
@given(
    channels=WIDTHS,
    count=st.sampled_from([1, 2, 8, 19]),
    offset=st.sampled_from([0.0, 100.0]),
    seed=st.integers(0, 999),
)
def test_layer_norm_keeps_float32_accuracy(isa, channels, count, offset, seed):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((2, count, channels)) + offset).astype(np.float32)
    gain, shift = rng.standard_normal((2, channels)).astype(np.float32)
    got = np.empty_like(x)
    record = records.layer_norm(0, 1, Epilogue(), 1e-5, gain, shift)
    run(isa, x, [rows(Place.INPUT, count, channels), rows(Place.OUTPUT, count, channels)], record, 64, got)
    exact = x.astype(np.float64)
    spread = np.sqrt(exact.var(-1, keepdims=True) + 1e-5)
    normal = (exact - exact.mean(-1, keepdims=True)) / spread
    # The mean of n terms errs by n · ε · max|x| at most; over the spread, that moves every value and, at second
    # order, the spread itself. What follows is a handful of roundings and the variance's own sum.
    moved = channels * EPSILON * np.abs(exact).max(-1, keepdims=True) / spread
    bound = np.abs(gain) * (moved * (1 + np.abs(normal)) + (channels + 8) * EPSILON * np.abs(normal))
    assert (np.abs(got - (normal * gain + shift)) <= bound + 2 * EPSILON * np.abs(shift) + 1e-30).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=20, deadline=None)
@given(channels=WIDTHS, zero_point=st.sampled_from([0, 117, 255]), seed=st.integers(0, 999))
def test_a_quantized_layer_norm_is_the_rounded_one(isa, channels, zero_point, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((1, 2, channels)).astype(np.float32)
    gain, shift = (40 * rng.standard_normal((2, channels))).astype(np.float32)
    got = np.empty(x.shape, np.uint8)
    epilogue = Epilogue(zero_point=zero_point, low=-zero_point, high=255 - zero_point)
    tensors = [rows(Place.INPUT, 2, channels), rows(Place.OUTPUT, 2, channels, Dtype.U8)]
    run(isa, x, tensors, records.layer_norm(0, 1, epilogue, 1e-5, gain, shift), 64, got)
    exact = x.astype(np.float64)
    steps = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-5) * gain + shift
    wanted = np.clip(np.rint(steps) + zero_point, 0, 255)
    # Only values that near to a half may round to the neighbour; one channel's variance of 0 leaves ε/√1e-5 of noise.
    near_half = np.abs(np.abs(steps - np.floor(steps)) - 0.5) < 0.05
    assert (np.abs(got - wanted) <= near_half).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=30, deadline=None)
@given(
    channels=WIDTHS, groups=st.integers(1, 3), size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_group_norm_keeps_float32_accuracy(isa, channels, groups, size, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, *size, groups, channels)).astype(np.float32)
    gain, shift = rng.standard_normal((2, groups, channels)).astype(np.float32)
    got = np.empty_like(x)
    tensors = [Tensor.of(place, *size, groups * channels, Dtype.F32) for place in (Place.INPUT, Place.OUTPUT)]
    run(isa, x, tensors, records.group_norm(0, 1, groups, Epilogue(), 1e-5, gain, shift), 64, got)
    exact, together = x.astype(np.float64), (1, 2, 4)
    spread = np.sqrt(exact.var(together, keepdims=True) + 1e-5)
    normal = (exact - exact.mean(together, keepdims=True)) / spread
    # As for layer norm, with the sums over a whole group.
    terms = channels * size[0] * size[1]
    moved = terms * EPSILON * np.abs(exact).max(together, keepdims=True) / spread
    bound = np.abs(gain) * (moved * (1 + np.abs(normal)) + (terms + 8) * EPSILON * np.abs(normal))
    assert (np.abs(got - (normal * gain + shift)) <= bound + 2 * EPSILON * np.abs(shift) + 1e-30).all()


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=30, deadline=None)
@given(channels=WIDTHS, size=st.sampled_from([1.0, 30.0]), seed=st.integers(0, 999))
def test_softmax_keeps_the_stated_error_of_its_exponential(isa, channels, size, seed):
    x = (size * np.random.default_rng(seed).standard_normal((2, 3, channels))).astype(np.float32)
    got = np.empty_like(x)
    tensors = [rows(Place.INPUT, 3, channels), rows(Place.OUTPUT, 3, channels)]
    run(isa, x, tensors, records.softmax(0, 1), 64, got)
    below = x.astype(np.float64) - x.max(-1, keepdims=True)
    wanted = np.exp(below)
    wanted /= wanted.sum(-1, keepdims=True)
    # Rounding x − max moves its exponential by |x − max| · ε / 2; the sum of n terms errs by n · ε. Below e⁻⁸⁷ the
    # exponential stays at its least value.
    bound = (np.abs(below) + channels + 4) * EPSILON + 2 * EXPONENTIAL
    assert (np.abs(got - wanted) <= bound * wanted + math.exp(-86)).all()


@st.composite
def attentions(draw) -> dict:
    """Sizes around the tiles: 12 and 4 rows, panels of 32 and 16 keys, values of one and two vectors."""
    edge = st.sampled_from([1, 2, 3, 4, 5, 11, 12, 13, 15, 16, 17, 31, 32, 33, 40])
    features = st.sampled_from([1, 3, 8, 15, 16, 17, 32, 33, 40])
    return {
        "batch": draw(st.integers(1, 2)), "queries": draw(edge), "keys": draw(edge), "heads": draw(st.integers(1, 3)),
        "size": draw(features), "value_size": draw(features), "causal": draw(st.booleans()),
        "mask": draw(st.sampled_from([None, "shows", "hides", "adds", "constant"])), "by_head": draw(st.booleans()),
        "by_query": draw(st.booleans()), "seed": draw(st.integers(0, 999)),
    }  # fmt: skip


@dataclass(frozen=True)
class Attended:
    """What a kernel gave and what is exact, float64: scores [batch, heads, queries, keys], the rest [batch, …]."""

    kernel: str
    got: np.ndarray
    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    shares: np.ndarray
    scale: float

    @property
    def off(self) -> np.ndarray:
        return np.abs(self.got - np.einsum("bhqk,bkhn->bqhn", self.shares, self.value))

    @property
    def largest_score(self) -> float:
        """Of Σ|q·k| · scale."""
        return np.einsum("bqhi,bkhi->bhqk", np.abs(self.query), np.abs(self.key)).max() * self.scale

    @property
    def size(self) -> np.ndarray:
        """What a relative error of shares and values multiplies."""
        return np.einsum("bhqk,bkhn->bqhn", self.shares, np.abs(self.value))


def mask_of(c: dict, rng: np.random.Generator) -> np.ndarray:
    """[batch, masks, rows, keys], of which one may stand for all heads and for all queries."""
    shape = c["batch"], c["heads"] if c["by_head"] else 1, c["queries"] if c["by_query"] else 1, c["keys"]
    seen = rng.random(shape) < 0.6
    if c["mask"] == "shows":
        return seen.astype(np.float32)
    if c["mask"] == "constant":
        seen[:] = seen[:1]
    added = 0.0 if c["mask"] == "hides" else rng.standard_normal((1, *shape[1:]))
    return np.where(seen, added, -np.inf).astype(np.float32)


def attended(isa: str, c: dict, *, halves: bool) -> Attended:
    rng = np.random.default_rng(c["seed"])
    heads, size, value_size, queries, keys = (c[name] for name in ("heads", "size", "value_size", "queries", "keys"))
    shapes = [(c["batch"], count, heads, n) for count, n in ((queries, size), (keys, size), (keys, value_size))]
    parts = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    mask = mask_of(c, rng)
    image = np.concatenate([part.reshape(c["batch"], -1) for part in [*parts, mask]], 1)
    *starts, mask_start = np.cumsum([0, *(4 * part[0].size for part in parts)])
    tensors = [
        Tensor(
            Place.INPUT, count, 1, n, Dtype.F32, pixel_pitch=heads * n * 4, row_pitch=heads * n * 4, offset=int(start)
        )
        for (_, count, _, n), start in zip(shapes, starts, strict=True)
    ]
    scratch = rows(Place.ARENA, heads, records.attention_scratch_floats(keys, size, value_size))
    tensors += [rows(Place.OUTPUT, queries, heads * value_size), scratch]
    _, masks, mask_rows, _ = mask.shape
    tensors.append(replace(rows(Place.INPUT, masks * mask_rows, keys), offset=int(mask_start)))
    scale = 1 / math.sqrt(size)
    record = records.attention(
        (0, 1, 2), 3, 4, (4 * size, 4 * size, 4 * value_size), heads, Epilogue(), scale=scale, causal=c["causal"],
        mask=5 if c["mask"] in ("shows", "hides", "adds") else None, masks=masks, mask_shows=c["mask"] == "shows",
        bias=mask[0] if c["mask"] == "constant" else None, halves=halves,
    )  # fmt: skip
    got = np.empty((c["batch"], queries, heads, value_size), np.float32)
    kernel = run(isa, image, tensors, record, scratch.size_bytes, got)
    query, key, value = (part.astype(np.float64) for part in parts)
    scores = np.einsum("bqhi,bkhi->bhqk", query, key) * scale
    if c["causal"]:
        scores = np.where(np.arange(keys) <= np.arange(queries)[:, None], scores, -np.inf)
    if c["mask"]:
        scores = scores + (np.where(mask != 0, 0, -np.inf) if c["mask"] == "shows" else mask.astype(np.float64))
    sees = np.isfinite(scores).any(-1, keepdims=True)  # a query that sees no key gets nothing
    shares = np.exp(scores - np.where(sees, scores.max(-1, keepdims=True), 0))
    shares /= np.where(sees, shares.sum(-1, keepdims=True), 1)
    return Attended(kernel, got, query, key, value, shares, scale)


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=40, deadline=None)
@given(c=attentions())
def test_attention_keeps_float32_accuracy(isa, c):
    a = attended(isa, c, halves=False)
    assert a.kernel == f"attention_f32_{isa}"
    # A score of n products errs by n · ε · Σ|q·k|; an error of its score moves a share by as much, relatively. Then
    # come the exponential, its sum and the sum of shares times values.
    score_error = c["size"] * EPSILON * a.largest_score
    relative = 2 * score_error + 2 * (c["keys"] + 4) * EPSILON + 2 * EXPONENTIAL + 20 * EPSILON
    assert (a.off <= relative * a.size + 1e-30).all()


@pytest.mark.parametrize("isa", HALF_ISAS)
@settings(max_examples=40, deadline=None)
@given(c=attentions())
def test_attention_in_bf16_rounds_what_it_multiplies_and_sums_in_float32(isa, c):
    a = attended(isa, c, halves=True)
    assert a.kernel == f"attention_bf16_{isa}"
    # A product of two rounded numbers is off by twice the unit roundoff, so a score by that of Σ|q·k|, which moves its
    # exponential and the sum of all of them; rounding the shares and the values costs as much again. The exponential
    # errs by less than 2⁻¹³, in a share and in the sum; what float32 loses is within a hundredth of that. The bound
    # is of first order, and half as much again covers the rest: a score is off by a tenth at most.
    score_error = 2 * UNIT_ROUNDOFF * a.largest_score
    relative = 2 * score_error + 2 * UNIT_ROUNDOFF + 2 * 2**-13
    assert (a.off <= 1.5 * relative * a.size + 1e-30).all()


@pytest.mark.parametrize("isa", HALF_ISAS)
def test_attention_in_bf16_is_that_of_its_rounded_inputs(isa):
    c = {"batch": 1, "queries": 1, "keys": 1, "heads": 1, "size": 5, "value_size": 35, "causal": False, **NO_MASK}
    a = attended(isa, c, halves=True)  # a single key has the whole share, whatever its score
    np.testing.assert_array_equal(a.got, torch.from_numpy(a.value).bfloat16().float().numpy())


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa not in HALF_ISAS])
def test_an_instruction_set_that_gains_nothing_by_bf16_attends_in_float32(isa):
    c = {"batch": 1, "queries": 5, "keys": 7, "heads": 2, "size": 9, "value_size": 3, "causal": True, **NO_MASK}
    plain, permitted = (attended(isa, c, halves=halves) for halves in (False, True))
    assert permitted.kernel == f"attention_f32_{isa}"
    np.testing.assert_array_equal(permitted.got, plain.got)


@pytest.mark.parametrize("isa", ISAS)
def test_an_embedding_gives_the_rows_of_its_table(isa):
    table = np.random.default_rng(0).standard_normal((9, 17)).astype(np.float32)
    ids = np.array([[0, 8, 3, 3, 7], [1, 2, 0, 8, 5]], np.float32)
    got = np.empty((2, 5, 17), np.float32)
    tensors = [Tensor.of(Place.INPUT, 1, 1, 5, Dtype.F32), rows(Place.OUTPUT, 5, 17)]
    run(isa, ids, tensors, records.embedding(0, 1, Epilogue(), 1.0, table), 64, got)
    np.testing.assert_array_equal(got, table[ids.astype(int)])


@pytest.mark.parametrize("isa", ISAS)
def test_gelu_keeps_the_stated_error_of_its_error_function(isa):
    x = np.concatenate([np.linspace(-8, 8, 4001), [-1e4, -100, 100, 1e4]]).astype(np.float32).reshape(1, 1, -1)
    got = np.empty_like(x)
    tensors = [rows(place, 1, x.size) for place in (Place.INPUT, Place.OUTPUT)]
    run(isa, x, tensors, records.elementwise(0, None, 1, Epilogue("gelu")), 64, got)
    exact = x.astype(np.float64)
    wanted = exact / 2 * (1 + torch.erf(torch.from_numpy(exact / math.sqrt(2))).numpy())
    # activation.inl: 3.1e-7 of erf, of which half the value is a multiple; and three roundings.
    assert (np.abs(got - wanted) <= (3.1e-7 / 2 + 3 * EPSILON / 2) * np.abs(exact)).all()


def test_an_attention_step_without_room_for_its_scores_is_refused():
    tensors = [rows(Place.INPUT, 8, 4), rows(Place.OUTPUT, 8, 4), rows(Place.ARENA, 1, 16)]
    record = records.attention((0, 0, 0), 1, 2, (16, 16, 16), 1, Epilogue(), scale=1.0, causal=False)
    with pytest.raises(EngineError, match="don't fit"):
        Builder(tensors, [record]).build("reference", 128, 128, 64)

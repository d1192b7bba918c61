from __future__ import annotations

import pytest

from workbench.measure.layers import NEW_ZEROS
from workbench.measure.verdict import verdict
from workbench.receipt import Interval, LayerReceipt, LayerState
from workbench.recipe import Recipe

FASTER = Interval(value=1.82, low=1.75, high=1.9)
SLOWER = Interval(value=0.8, low=0.75, high=0.85)
SAME = Interval(value=1.01, low=0.98, high=1.03)
VNNI = ("avx2", "avx512_vnni", "avx512_bf16")


def recipe(scheme: str | None = None, batch: int = 1) -> Recipe:
    steps = [{"do": "quantize", "scheme": scheme}] if scheme else []
    return Recipe.parse(steps=steps, place={"engine": "eager", "batch": batch})


def row(layer="conv1", reality="real", dtype="int8", reason="", shape=(16, 16), time_ms=None) -> LayerReceipt:
    def state(kind, shape):
        return LayerState(dtype=kind, weight_shape=shape, sparsity=0.0, weight_bytes=1)

    return LayerReceipt(
        layer=layer,
        op="Linear",
        before=state("float32", (16, 16)),
        after=state(dtype, shape),
        kernel="gemm",
        compute_dtype="float32" if reality != "real" else dtype,
        reality=reality,
        reason=reason,
        time_ms=time_ms,
    )


def test_a_faster_variant_gets_one_sentence_with_its_interval():
    told = verdict(recipe("int8-static"), FASTER, [row(reality="simulated")])
    assert told == "1.82× faster than the baseline (95 % interval 1.75× to 1.90×)."


def test_a_slower_variant_s_interval_is_turned_round():
    assert verdict(recipe(), SLOWER, []) == "1.25× slower than the baseline (95 % interval 1.18× to 1.33×)."


@pytest.mark.parametrize("speedup", [FASTER, SLOWER, SAME, Interval(value=1.7, low=0.02, high=90)])
def test_what_it_is_compared_with_is_named(speedup):
    assert " eager fp32 " in verdict(recipe(), speedup, [], baseline="eager fp32")


def test_an_interval_with_1_is_no_difference():
    assert verdict(recipe(), SAME, []) == "No difference in speed from the baseline (95 % interval 0.98× to 1.03×)."


def test_a_wide_interval_with_1_blames_the_noise():
    assert "noise" in verdict(recipe(), Interval(value=1.0, low=0.7, high=1.4), [])


def test_an_interval_that_tells_nothing_is_no_verdict():
    told = verdict(recipe("int8-static"), Interval(value=1.7, low=0.02, high=90), [row(reality="simulated")])
    assert "isn't known" in told
    assert "No difference" not in told
    assert "Likely" not in told


@pytest.mark.parametrize("speedup", [FASTER, SLOWER, SAME])
def test_a_dozen_calls_in_all_are_too_few_for_a_verdict(speedup):
    told = verdict(recipe("int8-static"), speedup, [row(reality="simulated")], calls=6)
    assert told.startswith("Not known yet: 6 calls of each are too few for a verdict, 12 are the least.")
    assert "95 % interval" in told  # what was measured is said all the same
    assert "Likely" not in told


@pytest.mark.parametrize("speedup", [SAME, SLOWER])
def test_simulated_int8_is_named_as_the_reason(speedup):
    told = verdict(recipe("int8-static"), speedup, [row(reality="simulated")], baseline_ms=10, instructions=VNNI)
    assert "int8 is only simulated by the eager engine in 1 of 1 layers" in told


def test_a_processor_without_int8_instructions_is_named():
    told = verdict(recipe("int8-static"), SLOWER, [row()], baseline_ms=10, instructions=("avx2",))
    assert "no VNNI" in told


def test_a_processor_without_bf16_instructions_is_named():
    told = verdict(recipe("bf16"), SLOWER, [row(dtype="bfloat16")], baseline_ms=10, instructions=("avx2",))
    assert "no bf16 instructions" in told


def test_weights_alone_are_said_to_save_reading_only_and_no_processor_is_blamed():
    told = verdict(recipe("int8-weights"), SLOWER, [row()], baseline_ms=10, instructions=("avx2",))
    assert "only weights became smaller" in told
    assert "VNNI" not in told


def test_a_processor_whose_instructions_are_unknown_is_not_blamed():
    told = verdict(recipe("int8-static"), SLOWER, [row()], baseline_ms=10, instructions=())
    assert "processor" not in told


def test_layers_left_in_float32_are_named_with_their_reason():
    left = row("fc2", "unchanged", "float32", "the recipe keeps it in float32")
    told = verdict(recipe("int8-static"), SLOWER, [row(), left], baseline_ms=10, instructions=VNNI)
    assert "layer fc2 stayed in float32 (the recipe keeps it in float32)" in told


def test_too_little_work_is_named_with_the_measured_time():
    told = verdict(
        recipe("int8-static"), SLOWER, [row(), row("fc2")], baseline_ms=0.1, multiply_adds=2_000_000, instructions=VNNI
    )
    assert "at batch 1 a layer has only about 0.05 ms and 1 million multiply-adds of work" in told


def test_without_the_baseline_s_latency_the_layers_own_times_tell_the_work():
    told = verdict(recipe("int8-static"), SLOWER, [row(time_ms=0.02)], instructions=VNNI)
    assert "about 0.02 ms" in told


def test_zeros_left_in_place_are_named():
    told = verdict(recipe(), SAME, [row(reality="unchanged", dtype="float32", reason=NEW_ZEROS)], instructions=VNNI)
    assert "zeros left in place don't speed up dense kernels (1 of 1 layers)" in told


def test_pruned_channels_that_gain_nothing_are_explained_by_little_work():
    told = verdict(recipe(), SAME, [row(dtype="float32", shape=(8, 16))], baseline_ms=0.02, instructions=VNNI)
    assert "so calling it costs as much as can be saved" in told


def test_without_a_known_reason_none_is_made_up():
    assert "because" not in verdict(recipe("int8-static"), SLOWER, [row()], baseline_ms=50, instructions=VNNI)


def test_what_is_lost_in_noise_gets_no_explanation():
    noisy = Interval(value=1.0, low=0.5, high=40.0)
    assert "Likely" not in verdict(recipe("int8-static"), noisy, [row(reality="simulated")], instructions=VNNI)


def test_normalisations_are_no_layers_that_could_have_become_int8():
    rows = [row(reality="simulated"), row("norm1", reality="unchanged", dtype="float32", shape=(16,))]
    told = verdict(recipe("int8-static"), SLOWER, rows, baseline_ms=10, instructions=VNNI)
    assert "in 1 of 1 layers" in told

from __future__ import annotations

import pytest

from benchmarks._native_report import EQUAL, Row, markdown, summary, verdicts


def row(engine, precision="int8", *, error=0.01, slower=1.0, model="mlp"):
    return Row(model, 1, engine, precision, slower, slower, error, None, slower, slower, slower)


NATIVE = row("native")


def test_a_peer_that_is_clearly_less_accurate_is_not_the_one_compared_with():
    (verdict,) = verdicts([NATIVE, row("openvino", error=0.01 * EQUAL * 1.01, slower=0.5), row("eager", slower=3.0)])
    assert (verdict.equal.engine, verdict.any.engine) == ("eager", "openvino")


def test_a_more_accurate_peer_counts_against_the_fastest_precision():
    (verdict,) = verdicts([NATIVE, row("native", "fp32", error=0.0, slower=4.0), row("eager", error=0.0, slower=2.0)])
    assert verdict.ours == NATIVE
    assert verdict.equal.engine == "eager"


def test_a_case_without_peers_is_no_verdict():
    assert verdicts([NATIVE]) == []


def test_the_summary_names_the_worst_case_and_the_mean_of_each_group():
    rows = [NATIVE, row("eager", slower=4.0), row("native", model="encoder"), row("eager", slower=0.9, model="encoder")]
    document = {"rows": [vars(each) for each in rows], "prepare_seconds": {"int8": 1.0}, "call_overhead_us": {"mlp": 3}}
    text = summary(document)
    assert "small models: 4.00×" in text
    assert "large models: 0.90×" in text
    assert "worst case: 0.90× (encoder, batch 1)" in text


@pytest.mark.parametrize("names", [["native int8", "eager fp32"], ["native int8", "inductor int8"]])
def test_an_engine_that_was_left_out_has_a_dash_in_the_table(names):
    rows = [NATIVE, row("eager", "fp32"), row("native", model="resnet20"), row("inductor", model="resnet20")]
    lines = markdown({"rows": [vars(each) for each in rows]}).splitlines()
    assert any(line.startswith("| mlp, 1 |") and line.endswith("| — |") for line in lines)
    assert all(name in " ".join(lines) for name in names)

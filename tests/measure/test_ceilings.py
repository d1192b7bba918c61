from __future__ import annotations

import json

import pytest

from tests.engines.test_native import MODELS, prepare, variants
from workbench import kernels
from workbench.engines import Work
from workbench.measure import ceilings
from workbench.measure.ceilings import Ceilings, measured, share
from workbench.measure.layers import receipt
from workbench.measure.work import multiply_adds

pytestmark = [
    pytest.mark.skipif(kernels.unavailable() is not None, reason=str(kernels.unavailable())),
    pytest.mark.usefixtures("every_layer_in_int8"),
]

ROUND = Ceilings(2, {"int8": 1e9, "float32": 1e8}, ((1000, 1e8), (10_000, 1e7)))


@pytest.fixture(autouse=True)
def _nothing_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(ceilings, "_FAR", 2**22)  # reading 64 MiB takes most of the time


def test_memory_is_taken_at_the_rate_of_what_a_thread_reads():
    assert ROUND.seconds(Work("int8", 1000, 2000, 2)) == (1e-6, 2000 / 1e8)  # 1000 bytes a thread
    assert ROUND.seconds(Work("int8", 1000, 500, 2))[1] == 500 / 1e8  # less than any size measured
    assert ROUND.seconds(Work("int8", 1000, 20_000, 2))[1] == 20_000 / 1e7


def test_the_share_counts_for_each_part_what_takes_longest(monkeypatch):
    monkeypatch.setattr(ceilings, "measured", lambda threads: ROUND)
    arithmetic, memory = Work("float32", 200_000, 500, 2), Work("float32", 0, 100_000, 2)  # 2 and 10 ms
    assert share([arithmetic], 4.0) == (pytest.approx(0.5), "arithmetic")
    assert share([arithmetic, memory], 24.0) == (pytest.approx(0.5), "memory")


def test_what_was_measured_is_kept_for_the_next_process(tmp_path, monkeypatch):
    first = measured(2)
    assert first.multiply_adds_per_s["int8"] > 0
    assert first.bytes_per_s[0][1] >= first.bytes_per_s[1][1] > 0
    ceilings._kept_or_measured.cache_clear()
    monkeypatch.setattr(ceilings, "_measure", lambda *_: pytest.fail("it was measured again"))
    assert measured(2) == first


@pytest.mark.parametrize("damage", ["", "[]", "{", "all entries"])
def test_a_damaged_file_is_measured_anew(damage, tmp_path):
    measured(1)
    path = tmp_path / "ceilings.json"
    path.write_text(
        json.dumps({key: {} for key in json.loads(path.read_text())}) if damage == "all entries" else damage
    )
    ceilings._kept_or_measured.cache_clear()
    assert measured(1).multiply_adds_per_s["float32"] > 0


@pytest.mark.parametrize("name", MODELS)
def test_the_native_engine_does_as_many_multiply_adds_as_the_model_has(name):
    plain, int8, inputs = variants(name)
    work = prepare(int8, inputs[:4]).layer_work(inputs[:4])
    wanted = multiply_adds(plain.module, inputs[:4])
    assert {layer: sum(part.multiply_adds for part in work[layer]) for layer in wanted} == wanted


def test_a_native_receipt_says_how_much_each_layer_moves_and_how_near_its_ceiling_it_is():
    plain, int8, inputs = variants("perceptron")  # 50 → 33 → 64 → 7
    rows = {row.layer: row for row in receipt(plain.module, int8, prepare(int8, inputs[:4]), inputs[:4])}
    # The first also rounds its floats to bytes; the last gives floats.
    assert rows["2"].bytes_moved == 4 * 33 + 33 * 64 + 4 * 64
    assert rows["4"].bytes_moved == 4 * 64 + 64 * 7 + 4 * 7 * 4
    assert all(row.ceiling_share > 0 and row.ceiling in ("memory", "arithmetic") for row in rows.values())

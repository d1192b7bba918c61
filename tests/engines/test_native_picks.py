"""What the native engine picks by measurement: int8 or float32 for each layer, and its memory of that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from tests.engines.test_native import MODELS, prepare, pytestmark, variants  # noqa: F401
from workbench import kernels
from workbench.engines.native.pick import plans as pick
from workbench.engines.native.pick import remembered as memory
from workbench.engines.native.pick.keep import KEPT, int8_layers
from workbench.engines.native.pick.remembered import Picks, key_of, recall, remember
from workbench.graph.fused.lower.storage import lowered
from workbench.graph.fused.ops import Activation, Conv
from workbench.graph.fused.read.reader import read
from workbench.kernels.records import Window

ISA = kernels.isas()[0] if kernels.unavailable() is None else ""


@pytest.fixture(autouse=True)
def _nothing_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(pick, "_UNDISTURBED", 0.0)  # however crowded the machine is


def graph_of(variant):
    return lowered(read(variant.graph), variant.precision)


def forget():
    """As a new process would begin."""
    memory._known.clear()


def keep(variant, chosen):
    """Let the next prepare for two inputs find that these int8 layers, by their places, were slower."""
    graph = graph_of(variant)
    layers = [op for place, op in enumerate(int8_layers(graph)) if place in chosen]
    remember(key_of(graph, ISA, 2), Picks((2,) * len(graph.ops), tuple(op in layers for op in graph.ops)), on_disk=True)
    return {layer for op in layers for layer in op.layers}


def assert_close_to_its_graph(name, runner):
    plain, int8, inputs = variants(name)
    with torch.no_grad():
        wanted, exact = int8.graph(inputs), plain.module(inputs)
    # As for int8 kernels: a value on the edge between two steps may fall to either side.
    assert (runner(inputs) - wanted).norm() <= 0.1 * (wanted - exact).norm()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_whose_layers_all_stay_in_float32_gives_what_its_graph_gives(name):
    _, int8, inputs = variants(name)
    kept = keep(int8, range(100))
    runner = prepare(int8, inputs[:2])
    assert_close_to_its_graph(name, runner)
    said = {layer for layer, kernel in runner.kernels.items() if kernel.reason == KEPT and kernel.dtype == "float32"}
    assert said == kept & runner.kernels.keys()


@pytest.mark.parametrize("place", range(8))
def test_any_single_layer_may_stay_in_float32_and_only_its_receipt_says_so(place):
    _, int8, inputs = variants("mixed")
    kept = keep(int8, [place])
    runner = prepare(int8, inputs[:2])
    assert_close_to_its_graph("mixed", runner)
    reasons = {layer: kernel.reason for layer, kernel in runner.kernels.items()}
    assert reasons == {layer: KEPT if layer in kept else "" for layer in reasons}


@pytest.mark.parametrize("name", MODELS)
def test_a_second_prepare_in_a_later_process_measures_no_step(name, monkeypatch):
    _, int8, inputs = variants(name)
    first = prepare(int8, inputs[:2])
    forget()
    monkeypatch.setattr(pick, "_step_times", lambda *_: pytest.fail("a step was timed again"))
    assert torch.equal(prepare(int8, inputs[:2])(inputs), first(inputs))


def test_what_was_measured_on_a_crowded_machine_is_measured_again_by_a_later_process(monkeypatch):
    monkeypatch.setattr(pick, "_UNDISTURBED", 2.0)  # no thread gets two processors: crowded, whatever it is
    _, int8, inputs = variants("convnet")
    prepare(int8, inputs[:2])
    key, operations = key_of(graph_of(int8), ISA, 2), len(graph_of(int8).ops)
    assert recall(key, operations) is not None
    forget()
    assert recall(key, operations) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"picks": []}', '{"picks": {"KEY": 3}}', '{"picks": {"KEY": [[9], "x"]}}']
)
def test_a_damaged_memory_costs_nothing_but_measuring_again(text, tmp_path):
    _, int8, inputs = variants("convnet")
    key = key_of(graph_of(int8), ISA, 2)
    path = tmp_path / "native-picks.json"
    path.write_text(text.replace("KEY", key))
    forget()
    assert_close_to_its_graph("convnet", prepare(int8, inputs[:2]))
    assert json.loads(path.read_text())["picks"].keys() == {key}


def test_a_place_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "file"))
    _, int8, inputs = variants("convnet")
    assert_close_to_its_graph("convnet", prepare(int8, inputs[:2]))
    assert recall(key_of(graph_of(int8), ISA, 2), len(graph_of(int8).ops)) is not None  # this process still knows


def test_picks_are_known_again_by_what_speed_depends_on():
    graph, other = (graph_of(variants(name)[1]) for name in ("convnet", "mixed"))
    same = key_of(graph, ISA, 2)
    assert key_of(graph_of(variants("convnet")[1]), ISA, 2) == same
    assert len({same, key_of(graph, "another", 2), key_of(graph, ISA, 3), key_of(other, ISA, 2)}) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"groups": 3}, {"window": Window((3, 3), (2, 2))}, {"own_range": True}, {"steps": None},
        {"activation": Activation("gelu")},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_program_of_which_one_operation_has_another_setting_is_another_one(change):
    graph = graph_of(variants("mixed")[1])
    changed = [replace(op, **change) if isinstance(op, Conv) else op for op in graph.ops]
    assert key_of(replace(graph, ops=changed), ISA, 2) != key_of(graph, ISA, 2)


def test_a_program_with_other_numbers_in_its_weights_is_the_same_one():
    graph = graph_of(variants("mixed")[1])
    changed = [replace(op, bias=op.bias + 1) if isinstance(op, Conv) else op for op in graph.ops]
    assert key_of(replace(graph, ops=changed), ISA, 2) == key_of(graph, ISA, 2)


def test_what_a_program_no_longer_has_is_not_recalled():
    remember("a program", Picks((2, 2), (False, False)), on_disk=False)
    assert recall("a program", 2) is not None
    assert recall("a program", 3) is None


class Slow:
    """A program whose every example takes a thread a tenth of a second by a clock of its own."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def run(self, inputs: int, outputs: int, batch: int, chunk: int, threads: int) -> None:
        self.calls.append((batch, chunk, threads))
        self.now += 0.1 * batch / threads

    def perf_counter(self) -> float:
        return self.now


def test_ways_to_run_a_long_batch_are_tried_on_a_few_of_its_examples_and_once(monkeypatch):
    program = Slow()
    monkeypatch.setattr(pick, "time", program)
    plan = pick.choose_plan(program, torch.empty(512, 1), torch.empty(512, 1), threads=2)
    assert (plan.batch, plan.threads) == (512, 2)
    assert max(batch for batch, _, _ in program.calls) == 16
    assert program.now < 6  # 51 s a turn of the whole batch


def test_a_short_batch_is_tried_as_it_is_with_threads_that_share_each_step_too(monkeypatch):
    program = Slow()
    monkeypatch.setattr(pick, "time", program)
    pick.choose_plan(program, torch.empty(4, 1), torch.empty(4, 1), threads=2)
    assert {(batch, chunk, threads) for batch, chunk, threads in program.calls[3:]} == {
        (4, 0, 1),
        (4, 1, 2),
        (4, 2, 2),
        (4, 0, 2),
    }

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest
import torch

import workbench as wb
from workbench import engines
from workbench.errors import WorkbenchError, WorkloadError
from workbench.recipe import Recipe
from workbench.session import RunCancelled, RunFailed, Session
from workbench.store import Store

CNN = wb.load("fashion-cnn")
STUDENT = wb.load("fashion-student")
TINY = wb.Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), torch.arange(60) % 3))


def eager(**fields) -> Recipe:
    return Recipe.parse(place={"engine": "eager", "threads": 1}, **fields)


def test_a_run_ends_in_figures_for_both_sides(session):
    result = session.start(STUDENT, eager(steps=[{"do": "prune", "amount": 0.5, "finetune_epochs": 0}])).result()
    assert result.baseline.latency_ms.n > 0
    assert result.variant.latency_ms.n > 0
    assert result.variant.quality.n == 10_000
    assert result.variant.size_bytes < result.baseline.size_bytes
    assert result.receipt
    assert result.speedup.low <= result.speedup.value <= result.speedup.high


ZEROS = [{"do": "prune", "kind": "weights", "finetune_epochs": 0}]


def test_the_plain_model_as_pytorch_runs_it_is_compared_with_itself(session):
    result = session.start(STUDENT, eager()).result()
    assert result.baseline.engine == result.variant.engine == "eager"
    assert "stands in" not in str(result)


def test_a_first_run_says_that_eager_stands_in_and_that_history_is_lost_where_so(tmp_path):
    unusable = tmp_path / "file"
    unusable.write_text("no directory")
    session = Session(Store(unusable))
    try:
        result = session.start(STUDENT, eager(steps=ZEROS)).result()
    finally:
        session.close()
    assert " eager fp32, which stands in until compiled is ready " in result.verdict
    assert any("eager stands in for the baseline" in notice for notice in result.notices)
    assert any("history is kept in memory" in notice for notice in result.notices)
    assert all(notice in str(result) and notice in repr(result) for notice in (result.verdict, *result.notices))


def test_a_chosen_baseline_is_named_and_stands_in_for_nothing(session):
    told = session.start(STUDENT, eager(), baseline="eager").result().verdict
    assert " eager fp32 " in told
    assert "stands in" not in told


def test_estimates_come_before_the_figures_are_final(session):
    seen = [event for event in session.start(STUDENT, eager())]
    latencies = [event for event in seen if event.kind == "latency"]
    qualities = [event for event in seen if event.kind == "quality"]
    assert not latencies[0].final
    assert qualities[0].variant.n < qualities[0].total
    assert seen[-1].kind == "finished"


@pytest.mark.skipif(engines.find("compiled").unavailable() is not None, reason="needs a compiler")
def test_until_compiled_is_ready_eager_is_the_baseline_and_the_run_says_so_before_any_figure(session):
    unlike_any_other = Recipe.parse(steps=ZEROS, place={"engine": "eager", "threads": 1, "batch": 3})
    seen = list(session.start(TINY, unlike_any_other))
    told = [n for n, event in enumerate(seen) if event.kind == "notice" and "eager stands in" in event.message]
    assert len(told) == 1
    assert "until compiled is ready" in seen[told[0]].message
    assert told[0] < next(n for n, event in enumerate(seen) if event.kind == "latency")
    assert seen[-1].result.baseline.engine == "eager"


def test_a_history_that_lasts_only_as_long_as_the_session_is_said_in_its_runs(tmp_path):
    (tmp_path / "file").write_text("not a directory")
    session = Session(Store(tmp_path / "file"))
    try:
        seen = list(session.start(TINY, eager(), baseline="eager"))
        assert any("kept in memory" in event.message for event in seen if event.kind == "notice")
        assert seen[-1].kind == "finished"
        (entry,) = session.history()
        assert entry.result.variant == seen[-1].result.variant
    finally:
        session.close()


def test_events_of_a_run_carry_its_growing_id(session):
    first, second = session.start(STUDENT, eager()), session.start(STUDENT, eager())
    assert {event.run for event in first} == {first.id}
    assert {event.run for event in second} == {second.id}
    assert second.id > first.id


def test_a_recipe_that_comes_back_shows_its_earlier_figures_first(session):
    earlier = session.start(STUDENT, eager(seed=7)).result()
    kinds = []
    for event in session.start(STUDENT, eager(seed=7)):
        kinds.append(event.kind)
        if event.kind == "recalled":
            assert event.result == earlier
    assert kinds.index("recalled") < kinds.index("latency")


def test_a_newer_toggle_overtakes_the_run_before_it(session):
    slow = session.start(CNN, eager(steps=[{"do": "prune", "finetune_epochs": 5}]))
    next(event for event in slow if event.kind == "training")
    session.submit(STUDENT, eager())
    with pytest.raises(RunCancelled):
        slow.result()


def test_cancelling_a_training_run_keeps_the_worker(session):
    pid = session.worker_pid
    run = session.start(CNN, eager(steps=[{"do": "prune", "finetune_epochs": 5}]))
    next(event for event in run if event.kind == "training")
    run.cancel()
    with pytest.raises(RunCancelled):
        run.result()
    assert session.start(STUDENT, eager()).result()
    assert session.worker_pid == pid


def test_flipping_quantization_of_a_pruned_model_repeats_no_pruning(session):
    prune = {"do": "prune", "amount": 0.3, "finetune_epochs": 1}
    first = list(session.start(STUDENT, eager(steps=[prune])))
    second = list(session.start(STUDENT, eager(steps=[prune, {"do": "quantize"}])))
    assert any(event.kind == "training" for event in first)
    assert not any(event.kind == "training" for event in second)


def test_every_choice_is_in_the_catalog_with_its_reason_when_greyed(session):
    catalog = session.catalog()
    assert "fashion-cnn" in [workload.name for workload in catalog.workloads]
    assert {"quantize", "prune", "distill"} <= {technique.name for technique in catalog.techniques}
    assert {"eager", "compiled", "onnxruntime", "openvino"} <= {engine.name for engine in catalog.engines}
    greyed = [device for device in catalog.devices if device.unavailable]
    assert all(len(device.unavailable) > 5 for device in greyed)


def test_engines_say_what_they_refuse_for_each_device_not_for_the_cpu_alone(session):
    catalog = session.catalog()
    native, onnxruntime = (
        next(engine for engine in catalog.engines if engine.name == name) for name in ("native", "onnxruntime")
    )
    assert native.refuses.keys() == {device.name for device in catalog.devices}
    assert "bf16" in onnxruntime.refuses["cpu"]
    assert "fp32" not in native.refuses["cpu"]
    assert "choose device cpu" in native.refuses["cuda:0"]["fp32"]


def test_an_error_is_one_line_and_the_session_goes_on(session):
    run = session.start(STUDENT, eager(steps=[{"do": "quantize", "overrides": {"conv9": "fp32"}}]))
    with pytest.raises(RunFailed, match="conv9") as caught:
        run.result()
    assert "\n" not in str(caught.value)
    assert "Traceback" in caught.value.detail
    assert session.start(STUDENT, eager()).result()


def test_more_threads_than_are_usable_are_refused_before_anything_runs(session):
    seen = list(session.start(STUDENT, Recipe.parse(place={"threads": 1024})))
    assert [event.kind for event in seen] == ["failed"]
    assert "1024 threads can't be used" in seen[0].message


@pytest.mark.parametrize("mistake", [torch.nn.Linear(4, 3), (torch.nn.Linear(4, 3), torch.rand(4))])
def test_a_model_without_a_workload_is_refused_at_once_and_spoils_no_later_run(session, mistake):
    with pytest.raises(WorkloadError, match=r"not (Linear|tuple); for a model of your own: wb.Workload\(model, data="):
        session.start(mistake, eager())
    later = wb.Workload(torch.nn.Linear(4, 3), data=(torch.rand(60, 4), torch.arange(60) % 3))
    assert session.start(later, eager(), baseline="eager").result()


def test_the_worker_ends_when_its_session_closes():
    session = Session()
    session.catalog()
    worker = psutil.Process(session.worker_pid)
    session.close()
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_importing_the_workbench_imports_no_torch():
    code = "import sys, workbench; workbench.Recipe.parse(steps=[{'do': 'quantize'}]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_layer_of_what_was_just_measured_is_told_in_numbers_and_one_of_another_recipe_is_not(session):
    result = session.start(STUDENT, eager(steps=[{"do": "quantize"}])).result()
    recipe = Recipe.parse(result.recipe)
    detail = session.layer(STUDENT, recipe, result.receipt[0].layer)
    assert (detail.before.dtype, detail.after.dtype) == ("float32", "int8")
    assert sum(detail.after.levels.counts) == detail.before.total
    other = recipe.model_copy(update={"seed": 99, "steps": Recipe.parse(steps=[{"do": "prune", "amount": 0.7}]).steps})
    with pytest.raises(WorkbenchError, match="measure it again"):
        session.layer(STUDENT, other, "conv1")
    with pytest.raises(WorkbenchError, match="is not known"):
        session.layer(STUDENT, recipe, "no_such_layer")


def test_the_structure_of_the_variant_is_told_once_and_before_its_receipt(session):
    kinds = [event.kind for event in session.start(STUDENT, eager())]
    assert kinds.count("structure") == 1
    assert kinds.index("structure") < kinds.index("layers")

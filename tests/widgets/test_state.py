from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.results import a_result
from workbench import events
from workbench.receipt import Interval
from workbench.widgets.page.state import PARTS, PageState, Ready, Submitted, reduce


def recipe(number: int) -> dict:
    return {"steps": [], "seed": number}


def run_events(number: int) -> list[events.Event]:
    """Everything a run says, from its start to its end."""
    interval = Interval(value=2.0, low=1.9, high=2.1)
    result = a_result(recipe=recipe(number), speedup=1.0 + number)
    baseline, variant = result.baseline, result.variant
    return [
        events.Started(run=number, workload="fashion-cnn", workload_id="fashion-cnn", recipe=recipe(number)),
        events.Recalled(run=number, result=result, finished_at="2026-01-01T12:00:00+00:00"),
        events.Training(run=number, technique="prune", step=1, total_steps=9, epoch=0.1, loss=2.3),
        events.Size(
            run=number,
            baseline_bytes=800,
            variant_bytes=200,
            baseline_peak_memory_bytes=None,
            variant_peak_memory_bytes=None,
        ),
        events.Layers(run=number, receipt=result.receipt),
        events.Latency(
            run=number,
            baseline_engine="eager",
            baseline=baseline.latency_ms,
            variant=variant.latency_ms,
            speedup=interval,
            baseline_samples_ms=(0.2, 0.21),
            variant_samples_ms=(0.1, 0.11),
        ),
        events.Quality(
            run=number,
            baseline=baseline.quality,
            variant=variant.quality,
            loss=interval,
            changed=number,
            answers=10_000,
            total=10_000,
        ),
        events.Notice(run=number, message=f"notice of {number}"),
        events.Progress(run=number, message="measuring", done=number, total=10),
        events.Finished(run=number, result=result),
    ]


def play(sequence, state: PageState | None = None) -> PageState:
    state = state or PageState()
    for event in sequence:
        state = reduce(state, event)
    return state


@given(st.data(), st.integers(2, 5))
def test_any_interleaving_of_runs_ends_in_the_state_of_the_last_one(data, count):
    """Each run's own events keep their order; between runs any order may come."""
    queues = [[Submitted(n, "fashion-cnn", recipe(n)), *run_events(n)] for n in range(1, count + 1)]
    sequence = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        sequence.append(queue.pop(0))
    alone = play([Submitted(count, "fashion-cnn", recipe(count)), *run_events(count)])
    state = play(sequence)
    assert (state.run, state.phase, state.recipe, state.result) == (count, "finished", alone.recipe, alone.result)
    assert state.latency == alone.latency
    assert state.quality == alone.quality
    assert not state.stale
    assert not state.recalled


@given(st.integers(0, 9))
def test_a_late_event_of_an_older_run_changes_nothing(index):
    state = play(run_events(2))
    assert reduce(state, run_events(1)[index]) is state


@given(st.integers(0, 8))
def test_nothing_but_a_notice_follows_the_end_of_a_run(index):
    state, event = play(run_events(1)), run_events(1)[index]
    after = reduce(state, event)
    assert replace(after, notices=state.notices) == state
    assert after is state or isinstance(event, events.Notice)


def test_a_click_shows_work_before_the_worker_has_answered():
    state = play([Ready(), Submitted(1, "fashion-cnn", recipe(1))])
    assert state.busy
    assert state.recipe == recipe(1)


def test_the_worker_s_complete_recipe_is_kept_when_it_overtakes_the_click_s():
    complete = recipe(1) | {"place": {"threads": 2}}
    started = events.Started(run=1, workload="fashion-cnn", workload_id="fashion-cnn", recipe=complete)
    assert play([started, Submitted(1, "fashion-cnn", recipe(1))]).recipe == complete


def test_figures_of_the_run_before_stay_in_sight_marked_stale():
    state = play([*run_events(1), Submitted(2, "fashion-cnn", recipe(2))])
    assert state.latency is not None
    assert state.stale == PARTS


def test_figures_of_another_workload_never_stay():
    state = play([*run_events(1), Submitted(2, "fashion-mlp", recipe(2))])
    assert state.latency is None
    assert state.quality is None
    assert state.receipt == ()


def test_earlier_figures_are_marked_until_fresh_ones_come():
    sequence = run_events(1)
    state = play(sequence[:2])
    assert state.recalled == PARTS
    assert state.recalled_at
    state = play(sequence[2:6], state)
    assert state.recalled == {"quality"}


def test_a_cancelled_run_keeps_what_it_measured_and_drops_the_rest():
    state = play([*run_events(1), *(e for e in run_events(2)[:6] if e.kind != "recalled"), events.Cancelled(run=2)])
    assert state.phase == "cancelled"
    assert state.latency.run == 2
    assert state.quality is None


def test_a_failed_run_shows_its_message_and_no_figures_of_another_recipe():
    state = play([*run_events(1), Submitted(2, "fashion-cnn", recipe(2)), events.Failed(run=2, message="no")])
    assert (state.phase, state.error, state.latency, state.verdict) == ("failed", "no", None, "")


def test_samples_of_a_new_run_are_not_added_to_the_old_ones():
    first, second = run_events(1)[5], run_events(2)[5]
    state = play([first, first, second])
    assert sum(count for _, count in state.variant_bins) == 2


def test_a_long_training_keeps_its_first_and_its_last_part_within_bounds():
    steps = 5_000
    points = (
        events.Training(run=1, technique="distill", step=n, total_steps=steps, epoch=n / 1_000, loss=1 / n)
        for n in range(1, steps + 1)
    )
    curve = play(points).curve
    assert len(curve) <= 241
    assert curve[0][0] < 0.1
    assert curve[-1][0] > 4.9


def test_a_run_is_waited_for_until_it_has_given_both_latency_and_quality():
    state, awaited = play(run_events(1)), {}
    for event in run_events(2):
        state = reduce(state, event)
        awaited[event.kind] = state.awaited
    assert awaited["started"] == awaited["recalled"] == awaited["layers"] == {"latency", "quality"}
    assert awaited["latency"] == {"quality"}
    assert awaited["quality"] == frozenset()


def test_what_is_greyed_for_one_model_never_stays_for_another():
    blocked = {"prune": events.Blocked(reason="no layers")}
    state = play([*run_events(1)[:1], events.Loaded(run=1, workload="fashion-cnn", blocked=blocked)])
    assert state.blocked == blocked
    assert reduce(state, Submitted(2, "fashion-cnn", recipe(2))).blocked == blocked
    assert reduce(state, Submitted(2, "fashion-mlp", recipe(2))).blocked == {}

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.results import a_result
from workbench import events
from workbench.errors import WorkbenchError, WorkloadError
from workbench.recipe import Recipe
from workbench.widgets import Workbench, show
from workbench.widgets.takeaway import code
from workbench.workload import Workload

INT8 = {"steps": [{"do": "quantize"}], "place": {"engine": "eager", "threads": 1}}
COMPLETE = Recipe.parse(INT8).model_dump(mode="json")


def finish(session, **details) -> None:
    number, workload, recipe = session.submitted[-1]
    result = a_result(workload=workload.model, recipe=recipe.model_dump(mode="json"), **details)
    session.say(events.Finished(run=number, result=result))


def test_it_opens_with_the_plain_model_measured_at_once(bench, session):
    number, workload, recipe = session.submitted[0]
    assert (number, workload.model, recipe) == (1, "fashion-cnn", Recipe.plain())
    assert bench.state.busy


def test_a_page_that_is_loaded_anew_goes_on_with_what_its_tab_showed(bench, session, settle):
    bench.bar.workload = "fashion-mlp"
    bench.panel.baseline = "eager"
    bench.panel.recipe = INT8
    settle()
    another = Workbench(session=session)
    another.frame.set_state({"restored": bench.frame.kept, "views": 1})
    number, workload, recipe = session.submitted[-1]
    assert (workload.model, recipe, session.baselines[number - 1]) == ("fashion-mlp", Recipe.parse(INT8), "eager")
    assert another.state.run == number
    another.close()


def test_what_a_tab_kept_of_another_version_is_left_alone(session):
    bench = Workbench(session=session)
    kept = {"workload": "fashion-cnn", "recipe": {"steps": [{"do": "melt"}]}, "baseline": "auto"}
    bench.frame.set_state({"restored": kept, "views": 1})
    assert [recipe for _, _, recipe in session.submitted] == [Recipe.plain()]
    bench.close()


def test_a_quiet_moment_can_be_waited_for(bench, session):
    bench.verdict.quiet_requests += 1
    assert session.when_quiet == [False, True]


def untrained(session, seconds: float) -> None:
    number, workload, recipe = session.submitted[-1]
    name = workload.display_name
    session.say(events.Started(run=number, workload=name, workload_id=name, recipe=recipe.model_dump(mode="json")))
    session.say(events.Untrained(run=number, seconds=seconds))


def test_a_toggle_trains_for_ten_seconds_unasked_and_longer_only_after_a_word(bench, session, settle):
    bench.panel.recipe = {"steps": [{"do": "prune"}]}
    assert session.train_up_to_s == [10, 10]
    untrained(session, 52)
    settle()
    assert bench.verdict.view["train"] == "Train, about 50 s"
    assert bench.verdict.view["clauses"] == [{"part": "quality", "text": "quality after training", "tone": ""}]
    assert bench.figures.view["verdict"]["text"].endswith("about 50 s of training tell the rest")
    assert not bench.progress.view["again"]
    bench.verdict.train_requests += 1
    settle()
    assert session.train_up_to_s[-1] is None
    assert bench.verdict.view["train"] == ""


def test_another_workload_never_starts_a_training_by_itself(bench, session):
    bench.panel.recipe = {"steps": [{"do": "prune"}]}
    bench.bar.workload = "fashion-mlp"
    assert session.train_up_to_s[-1] == 0


def test_what_a_technique_would_train_for_stands_beside_its_toggle_while_it_is_off(bench, session, settle):
    finish(session)
    session.say(events.Cost(run=bench.state.run, technique="distill", seconds=31))
    settle()
    assert bench.panel.costs == {"distill": "trains about 30 s"}


def test_the_loss_that_is_accepted_decides_what_is_called_a_gain(bench, session, settle):
    finish(session, speedup=3.0)  # 0.1 points lost
    settle()
    assert bench.verdict.view["clauses"][0] == {"part": "speed", "text": "3.00× faster", "tone": "better"}
    bench.verdict.accepted = 0
    settle()
    assert bench.verdict.view["clauses"][0] == {"part": "speed", "text": "3.00× faster", "tone": ""}
    assert bench.figures.view["cards"][1]["tone"] == ""


def test_the_waterfall_of_the_recipe_before_is_pale_until_its_own_comes(bench, session, settle):
    finish(session)
    settle()
    assert [column["name"] for column in bench.waterfall.view["columns"]] == ["eager", "now"]
    bench.panel.recipe = INT8
    settle()
    assert bench.waterfall.view["stale"]
    finish(session)
    settle()
    assert [column["key"] for column in bench.waterfall.view["columns"]] == ["", "quantize", ""]
    assert "stale" not in bench.waterfall.view


def test_the_waterfall_of_another_workload_is_gone_at_once(bench, session, settle):
    finish(session)
    bench.bar.workload = "fashion-mlp"
    settle()
    assert bench.waterfall.view == {}


def test_a_toggle_submits_its_recipe_and_the_page_is_at_work(bench, session, settle):
    bench.panel.recipe = INT8
    settle()
    assert session.submitted[-1][2] == Recipe.parse(INT8)
    assert bench.progress.view["busy"]
    assert bench.panel.busy


def test_figures_reach_the_widgets(bench, session, settle):
    bench.panel.recipe = INT8
    finish(session, speedup=3.0)
    settle()
    values = [card["value"] for card in bench.figures.view["cards"]]
    assert values == ["0.200 ms", "3.00×", "92.0 %", "200 kB"]
    assert bench.layers.rows[0]["reality"] == "real"
    assert bench.layers.rows[0]["kernel"] == "QLinearConv"
    assert bench.figures.view["verdict"]["text"] == "2.0× faster"


def test_a_finished_run_joins_history_and_plot_once(bench, session, settle):
    finish(session)
    settle()
    settle()
    assert len(bench.history.rows) == len(bench.pareto_plot.rows) == 1
    assert bench.pareto_plot.front == [1]
    assert bench.history.rows[0]["baseline"] == "eager"
    assert bench.history.selected == bench.pareto_plot.selected == 1


def test_a_recipe_measured_again_is_one_point_with_its_newest_figures_and_two_rows_of_history(bench, session, settle):
    for _ in range(2):
        finish(session)
        settle()
        bench.progress.repeats += 1
    assert [row["id"] for row in bench.history.rows] == [1, 2]
    assert [row["id"] for row in bench.pareto_plot.rows] == bench.pareto_plot.front == [2]


def test_only_calls_of_one_batch_size_compete_for_the_front(bench, session, settle):
    finish(session, latency_ms=0.02)
    bench.panel.recipe = {"place": {"batch": 64}}
    finish(session, latency_ms=1.5)
    settle()
    assert (bench.pareto_plot.batch, bench.pareto_plot.front) == (64, [2])
    bench.panel.recipe = {}
    settle()
    assert (bench.pareto_plot.batch, bench.pareto_plot.front) == (1, [1])


def test_runs_of_others_on_the_same_session_are_not_shown(bench, session, settle):
    finish(session)
    settle()
    before = bench.state
    session.say(events.Started(run=99, workload="other", workload_id="other", recipe={}))
    assert bench.state is before


def test_an_event_that_comes_before_submit_has_returned_is_not_lost(session):
    class Hasty(type(session)):
        def submit(self, workload, recipe, **keywords):
            number = super().submit(workload, recipe, **keywords)
            self.say(events.Started(run=number, workload=workload.model, workload_id="fashion-cnn", recipe=COMPLETE))
            return number

    hasty = Hasty()
    bench = Workbench(session=hasty)
    bench.panel.recipe = INT8
    assert bench.state.recipe["steps"] == COMPLETE["steps"]


def test_show_takes_weights_as_a_workload_does(session, monkeypatch):
    monkeypatch.setattr("workbench.widgets.page.workbench.default_session", lambda: session)
    bench = show("module:factory", data=(), weights="w.safetensors")
    assert (bench._own.model, bench._own.weights) == ("module:factory", "w.safetensors")
    bench.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": None, "data": ()}, "data can't be given without a model"),
        ({"model": None, "train": (), "weights": "w"}, "train and weights can't be given without a model"),
        ({"model": Workload("fashion-cnn"), "data": ()}, "data can't be given beside a Workload, which has its own"),
    ],
)
def test_what_show_would_have_to_ignore_is_refused(arguments, words):
    with pytest.raises(WorkloadError, match=words) as caught:
        show(**arguments)
    assert "\n" not in str(caught.value)


def test_cancel_reaches_the_session(bench, session):
    bench.progress.cancels += 1
    assert session.cancelled_by == [bench]


def test_an_error_of_a_run_is_shown_in_place_and_the_next_run_works(bench, session, settle):
    session.say(events.Failed(run=session.last, message="the worker died; it was restarted: run it again"))
    settle()
    assert "restarted" in bench.progress.view["error"]
    bench.progress.repeats += 1
    settle()
    assert bench.progress.view["error"] == ""
    assert bench.progress.view["busy"]


def test_choosing_a_workload_runs_it_and_shows_its_own_history(bench, session, settle):
    entry = SimpleNamespace(id=7, result=a_result(workload="fashion-mlp"), finished_at="2026-01-01T12:00:00+00:00")
    session.entries = [entry]
    bench.bar.workload = "fashion-mlp"
    settle()
    assert session.submitted[-1][1].model == "fashion-mlp"
    assert len(bench.history.rows) == 1


def test_an_unknown_workload_is_refused_in_place_with_the_nearest_name(bench, session, settle):
    bench.bar.workload = "fashion-cn"
    settle()
    assert "did you mean fashion-cnn" in bench.panel.error
    assert bench.bar.workload == "fashion-cnn"
    assert len(session.submitted) == 1


def test_starting_over_goes_back_to_the_plain_model(bench, session):
    bench.panel.recipe = INT8
    bench.bar.resets += 1
    assert session.submitted[-1][2] == Recipe.plain()


def test_training_takes_the_place_of_latency_while_it_lasts(bench, session, settle):
    point = events.Training(run=session.last, technique="prune", step=1, total_steps=9, epoch=0.1, loss=2.0)
    session.say(point)
    settle()
    assert bench.live.strip.selected == 1
    assert bench.training_plot.view["points"] == [[0.1, 2.0]]
    session.say(events.Progress(run=session.last, message="prune: epoch 1 of 2"))
    settle()
    assert bench.live.strip.selected == 1
    session.say(events.Layers(run=session.last, receipt=()))
    settle()
    assert bench.live.strip.selected == 0
    assert bench.live.strip.hidden == []


def test_the_code_names_the_recipe_that_ran(bench, session, settle):
    bench.panel.recipe = INT8
    finish(session)
    settle()
    names = {}
    *lines, last = bench.code.python.strip().splitlines()
    assert last.startswith("faster = wb.prepare(workload, recipe=recipe)")
    exec("\n".join(lines), names)
    assert names["recipe"] == Recipe.parse(INT8)
    assert Recipe.parse(bench.code.recipe) == Recipe.parse(INT8)


def test_the_baseline_chosen_is_that_of_the_run_and_of_its_code_until_one_starts_over(bench, session, settle):
    asked = {"client": "browser", "number": 1, "recipe": bench.panel.recipe, "baseline": "eager"}
    bench.panel._wanted = asked
    settle()
    assert session.baselines == ["auto", "eager"]
    assert 'wb.run(workload, recipe, baseline="eager")' in bench.code.python
    assert bench.bar.changed
    bench.bar.resets += 1
    settle()
    assert session.baselines[-1] == "auto"
    assert "baseline" not in bench.code.python
    assert not bench.bar.changed


def test_a_closed_page_hears_nothing_more(bench, session):
    before = bench.state
    bench.close()
    finish(session)
    assert bench.state is before


def test_a_page_kept_ready_runs_nothing_until_it_is_looked_at(session):
    bench = Workbench(session=session)
    assert session.submitted == []
    bench.frame.views = 1
    bench.frame.views = 2  # a second view of the same page
    assert len(session.submitted) == 1
    bench.close()


def test_a_better_baseline_measures_the_finished_run_again(bench, session):
    first = session.last
    session.say(events.Finished(run=first, result=a_result()))
    session.say(events.Notice(run=first, message="compiled fp32 is ready", measure_again=True))
    assert session.last > first
    assert session.submitted[-1][2] == session.submitted[-2][2]


def test_a_better_baseline_never_disturbs_a_newer_run(bench, session):
    first = session.last
    session.say(events.Finished(run=first, result=a_result()))
    bench.panel.recipe = INT8
    newer = session.last
    session.say(events.Notice(run=first, message="compiled fp32 is ready", measure_again=True))
    assert session.last == newer


@pytest.mark.parametrize(("model", "name"), [("dir/model.pt2", "model"), ("mod:factory", "factory")])
def test_an_own_model_keeps_one_name_from_the_start_to_the_end_of_its_run(session, settle, model, name):
    bench = Workbench(Workload(model), session=session)
    bench.frame.views = 1
    settle()
    assert bench.bar.workload == bench.bar.workloads[0]["name"] == name
    session.say(events.Started(run=session.last, workload=name, workload_id="0123456789ab", recipe=COMPLETE))
    settle()
    assert (bench.bar.workload, bench.panel.error, len(session.submitted)) == (name, "", 1)
    bench.bar.workload = "fashion-mlp"
    bench.bar.workload = name
    assert session.submitted[-1][1].model == model
    bench.close()


def test_runs_of_another_model_of_the_same_class_are_not_shown(session, settle):
    session.entries = [
        SimpleNamespace(
            id=7, result=a_result(workload="Sequential", workload_id=each), finished_at="2026-01-01T12:00:00+00:00"
        )
        for each in ("aaaa", "bbbb", "bbbb")
    ]
    bench = Workbench(Workload("mine:Sequential", data=()), session=session)
    bench.frame.views = 1
    settle()
    assert bench.history.rows == []  # which of the two it is, only the worker can tell
    session.say(events.Started(run=session.last, workload="Sequential", workload_id="bbbb", recipe=COMPLETE))
    settle()
    assert [row["id"] for row in bench.history.rows] == [1, 2]
    assert len(bench.pareto_plot.rows) == 1  # both are runs of one recipe
    bench.close()


def test_a_page_kept_ready_shows_what_finished_before_its_visitor_came(session, settle):
    bench = Workbench(session=session)
    settle()
    session.entries = [SimpleNamespace(id=7, result=a_result(), finished_at="2026-01-01T12:00:00+00:00")]
    bench.frame.views = 1
    settle()
    assert len(bench.history.rows) == len(bench.pareto_plot.rows) == 1
    bench.close()


def test_what_the_page_writes_itself_is_no_click(bench, session, settle):
    bench.panel.recipe = INT8
    finish(session)
    bench.panel.recipe = {}
    settle()
    with bench._writing():
        bench.history.selected = 1
        bench.bar.workload = "fashion-mlp"
    assert len(session.submitted) == 3
    assert bench.panel.recipe == Recipe().model_dump(mode="json")
    settle()


def test_a_click_on_a_row_comes_as_a_message_without_the_rows(bench, session, settle):
    bench.panel.recipe = INT8
    finish(session)
    bench.panel.recipe = {}
    settle()
    bench.history._handle_custom_msg({"choose": 1}, [])
    assert bench.panel.recipe == COMPLETE


def test_a_run_that_cannot_be_sent_off_says_why_in_place(bench, session, settle):
    session.refusal = WorkbenchError("the model can't be pickled: a lambda")
    bench.panel._wanted = {"client": "browser", "number": 1, "recipe": INT8}
    settle()
    assert "pickled" in bench.panel.error
    bench.bar.workload = "fashion-mlp"
    settle()
    assert "pickled" in bench.panel.error
    assert bench.bar.workload == "fashion-cnn"
    session.refusal = None
    bench.progress.repeats += 1
    settle()
    assert bench.panel.error == ""


def test_a_notice_after_the_end_is_shown_and_the_run_stays_finished(bench, session, settle):
    finish(session)
    session.say(events.Notice(run=session.last, message="compiled fp32 is ready"))
    settle()
    assert bench.progress.view["notices"] == ["compiled fp32 is ready"]
    assert bench.progress.view["noted"] == "1 note in the summary"
    assert bench.progress.view["phase"] == "finished"


def test_the_code_for_a_task_of_ones_own_says_what_judges_it():
    workload = Workload("model.pt2", data="test.npz", metric="mae", output=0, call="positional")
    (line,) = (each for each in code.python(workload, COMPLETE).splitlines() if each.startswith("workload"))
    assert line.endswith("data='test.npz', metric='mae', output=0, call='positional')")
    assert "metric: the objects given" in code.python(Workload("model.pt2", metric=max), COMPLETE)


def test_the_code_for_a_model_of_ones_own_keeps_all_its_parts():
    workload = Workload(object(), data="test.npz", train=([], []), name="mine")
    lines = code.python(workload, COMPLETE).splitlines()
    assert lines[2] == "# model and train: the objects given to wb.show, to be made here in the same way"
    assert lines[3] == "workload = wb.Workload(model=model, data='test.npz', train=train, name='mine')"
    assert code.title(workload) == "Python, once model and train are there"
    assert code.title(Workload("model.pt2", data="test.npz")) == "Python, runs in a fresh kernel"


@pytest.mark.parametrize(("scheme", "said"), [("int8-static", "simulates int8"), ("int4-weights", "simulates int4")])
def test_beside_the_download_stands_what_a_simulated_program_is(bench, session, settle, scheme, said):
    assert bench.downloads.note == ""
    bench.panel.recipe = {"steps": [{"do": "quantize", "scheme": scheme}]}
    settle()
    assert said in bench.downloads.note
    bench.panel.recipe = {"steps": [{"do": "quantize", "scheme": "bf16"}]}
    settle()
    assert bench.downloads.note == ""


def test_a_core_that_cannot_be_started_says_why_on_the_page(session, settle, monkeypatch):
    monkeypatch.setattr(session, "on_ready", lambda ready, given_up: given_up("the worker died 3 times in a row"))
    bench = Workbench(session=session)
    settle()
    assert bench.state.phase == "failed"
    assert bench.figures.view["verdict"]["text"] == "the worker died 3 times in a row"
    bench.close()


def test_a_run_whose_recipe_this_version_no_longer_reads_is_listed_and_says_why_it_cannot_come_back(session, settle):
    old = {"steps": [{"do": "a technique of old"}]}
    session.entries = [SimpleNamespace(id=7, result=a_result(recipe=old), finished_at="2026-01-01T12:00:00+00:00")]
    bench = Workbench(session=session)
    settle()
    assert "a technique of old" in bench.history.rows[0]["recipe"]
    bench.history.selected = bench.history.rows[0]["id"]
    settle()
    assert "technique 'a technique of old' is not known" in bench.panel.error
    bench.close()


def test_what_the_page_showed_can_be_read_without_a_kernel(bench, session, settle):
    before = bench._repr_mimebundle_()
    assert "fashion-cnn live" in before["text/html"]
    finish(session, speedup=3.0)
    settle()
    after = bench._repr_mimebundle_()
    assert "3.00× faster" in after["text/html"]
    assert "3.00× faster" in after["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in after

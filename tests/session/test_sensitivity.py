"""Asking a worker what layers cost, part by part, from a notebook and from the command line."""

from __future__ import annotations

import json
import threading

import pytest

import workbench as wb
from workbench.commands import cli
from workbench.errors import Cancelled, WorkbenchError
from workbench.recipe import Recipe

STUDENT = wb.load("fashion-student")


def test_it_comes_in_parts_and_what_comes_last_is_all(session):
    parts = list(session.sensitivity(STUDENT, Recipe(), ["int8-static"], 1000))
    assert [part.final for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len(parts) > 1
    assert {each.only.n for each in parts[-1].cells if each.only} == {1000}
    again = list(session.sensitivity(STUDENT, Recipe(), ["int8-static"], 1000))
    assert again == parts[-1:]  # it is kept


def test_it_gives_way_to_a_run_and_goes_on_afterwards(session):
    asked = session.sensitivity(STUDENT, Recipe(), ["int8-static", "int8-dynamic"], 10_000)
    seen = [next(part for part in asked if part.done > 0.2).done]
    run = session.start(STUDENT, Recipe.parse(place={"engine": "eager", "threads": 1}))
    with pytest.raises(Cancelled):
        seen.extend(part.done for part in asked)
    assert run.result().variant.quality.n == 10_000
    again = session.sensitivity(STUDENT, Recipe(), ["int8-static", "int8-dynamic"], 10_000)
    assert next(again).done >= seen[-1]
    again.close()


def test_nobody_waits_for_what_is_left_and_the_worker_stops(session):
    asked = session.sensitivity(STUDENT, Recipe(), ["int8-static"], 9_000)
    done = next(asked).done
    asked.close()
    more = next(session.sensitivity(STUDENT, Recipe(), ["int8-static"], 9_000))
    assert done <= more.done < 1


def test_two_that_ask_at_once_both_get_their_answer(session):
    found = {}

    def ask(scheme: str) -> None:
        *_, found[scheme] = session.sensitivity(STUDENT, Recipe(), [scheme], 300)

    threads = [threading.Thread(target=ask, args=[scheme]) for scheme in ("int8-dynamic", "int8-weights")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(
        found[scheme].final and found[scheme].schemes == (scheme,) for scheme in ("int8-dynamic", "int8-weights")
    )


def test_a_worker_s_refusal_is_one_line(session):
    with pytest.raises(WorkbenchError, match="scheme 'int9' is not known"):
        list(session.sensitivity(STUDENT, Recipe(), ["int9"]))


def test_a_notebook_gets_a_frame():
    frame = wb.sensitivity("fashion-student", ["int8-static", "ternary-weights"], examples=200)
    assert set(frame.scheme) == {"int8-static", "ternary-weights"}
    assert frame.only_loss.notna().sum() > len(set(frame.layer))


def test_the_command_prints_a_line_for_each_layer_and_json_holds_all_of_it(capsys):
    command = ["sensitivity", "fashion-student", "--schemes", "int8,binary-weights", "--examples", "200"]
    assert cli.main(command) == 0
    title, head, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith(
        "loss of accuracy, percentage points, where one layer alone is in the scheme; 200 test examples"
    )
    assert head.split() == ["int8-static", "binary-weights"]
    assert cli.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [line.split()[0] for line in lines] == found["layers"]
    losses = {(each["layer"], each["scheme"]): each["only"] for each in found["cells"]}
    for line in lines:
        layer, *told = line.split()
        for scheme, text in zip(head.split(), told, strict=True):
            only = losses[layer, scheme]
            assert text == (f"{100 * only['loss']['value']:+.1f}" if only else "·")


def test_the_command_refuses_an_unknown_scheme_with_the_nearest(capsys):
    assert cli.main(["sensitivity", "fashion-student", "--schemes", "int9"]) == 1
    assert "did you mean int8" in capsys.readouterr().err

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys

from tests.results import a_result
from workbench.store import Store


def test_a_finished_run_comes_back_by_its_key(tmp_path):
    store = Store(tmp_path)
    store.add("key", a_result(speedup=2.0))
    store.add("key", a_result(speedup=3.0))
    assert store.latest("key").result.speedup.value == 3.0
    assert store.latest("another key") is None


def test_a_run_that_is_removed_comes_back_neither_by_its_key_nor_in_another_process(tmp_path):
    store = Store(tmp_path)
    first, second = (store.add("key", a_result(speedup=speedup)) for speedup in (2.0, 3.0))
    store.remove(second.id)
    assert store.latest("key") == first
    assert [entry.id for entry in Store(tmp_path).entries()] == [first.id]
    store.remove(second.id)  # gone already


def test_history_outlives_the_process(tmp_path):
    Store(tmp_path).add("key", a_result())
    assert [entry.result for entry in Store(tmp_path).entries()] == [a_result()]


WRITER = """
import sys
from pathlib import Path
from tests.results import a_result
from workbench.store import Store

store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    store.add("key", a_result())
sys.exit(store.notice or 0)
"""


OPENER = """
import sys
from pathlib import Path
from workbench.store import Store

print("ready", flush=True)
for directory in Path(sys.argv[1]).iterdir():
    sys.stdin.readline()
    print(Store(directory).notice, flush=True)
"""


def test_a_new_history_can_be_opened_by_several_notebooks_at_once(tmp_path):
    for number in range(30):
        (tmp_path / str(number)).mkdir()
    command = [sys.executable, "-c", OPENER, str(tmp_path)]
    openers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [opener.stdout.readline() for opener in openers] == ["ready\n"] * 3
    told = []
    for _ in range(30):
        for opener in openers:
            opener.stdin.write("\n")
            opener.stdin.flush()
        told += [opener.stdout.readline() for opener in openers]
    for opener in openers:
        opener.communicate()
    assert told == ["None\n"] * 90


def test_two_notebooks_can_write_at_once(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0]
    assert len(Store(tmp_path).entries(limit=1000)) == 100


def test_a_reader_never_waits_for_a_writer(tmp_path):
    store = Store(tmp_path)
    store.add("key", a_result())
    [path] = tmp_path.glob("*.sqlite")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM runs")
        assert len(Store(tmp_path).entries()) == 1


def test_history_is_intact_after_a_writer_was_killed(tmp_path):
    writer = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from tests.results import a_result; from workbench.store import Store;"
        "store = Store(Path(sys.argv[1])); [store.add('key', a_result()) for _ in range(20)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", writer, str(tmp_path), "."], check=False)
    assert len(Store(tmp_path).entries()) == 20


def test_an_unusable_directory_means_history_in_memory_and_a_notice(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    store = Store(blocked)
    store.add("key", a_result())
    assert len(store.entries()) == 1
    assert "kept in memory" in store.notice


def test_a_write_that_fails_later_loses_nothing(tmp_path):
    store = Store(tmp_path)
    store.add("key", a_result())
    store._database.execute("PRAGMA query_only=ON")  # what a disk turned read-only looks like to SQLite
    store.add("key", a_result())
    assert len(store.entries()) == 2
    assert "kept in memory" in store.notice


def test_history_as_a_frame_has_a_row_for_each_run(tmp_path):
    store = Store(tmp_path)
    store.add("a", a_result(workload="fashion-cnn"))
    store.add("b", a_result(workload="fashion-mlp"))
    frame = store.frame()
    assert list(frame["workload"]) == ["fashion-mlp", "fashion-cnn"]
    assert frame["speedup"].dtype == float


def test_workloads_of_one_name_have_histories_of_their_own(tmp_path):
    store = Store(tmp_path)
    for each in ("aaaa", "bbbb", "bbbb"):
        store.add("key", a_result(workload="Sequential", workload_id=each))
    assert [entry.result.workload_id for entry in store.entries("bbbb")] == ["bbbb", "bbbb"]
    assert list(store.frame()["workload_id"]) == ["bbbb", "bbbb", "aaaa"]


def test_runs_of_before_workloads_had_ids_are_still_those_of_their_embedded_workload(tmp_path):
    store = Store(tmp_path)
    before = a_result().model_dump(exclude={"workload_id"})
    store._insert(("2026-01-01T00:00:00+00:00", "fashion-cnn", "key", json.dumps(before)))
    assert len(Store(tmp_path).entries("fashion-cnn")) == 1
    assert list(store.frame()["workload_id"]) == ["fashion-cnn"]


def test_a_row_of_another_version_hides_only_itself(tmp_path, caplog):
    store = Store(tmp_path)
    store.add("key", a_result())
    store._insert(("2030-01-01T00:00:00+00:00", "fashion-cnn", "key", '{"from": "a later version"}'))
    assert [entry.result for entry in store.entries()] == [a_result()]
    assert "1 of 2 runs" in caplog.text


def test_a_recipe_that_no_longer_parses_is_shown_as_it_is_written(tmp_path):
    store = Store(tmp_path)
    store.add("key", a_result(recipe={"steps": [{"do": "a technique of old"}]}))
    assert "a technique of old" in store.frame()["recipe"].iloc[0]


def test_a_history_that_cannot_be_read_is_empty(tmp_path, caplog):
    store = Store(tmp_path)
    store._database.execute("DROP TABLE runs")
    assert store.entries() == []
    assert "can't be read" in caplog.text

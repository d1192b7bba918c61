from __future__ import annotations

import pytest

from workbench.plumbing import json_file
from workbench.plumbing.words import one_line, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (812, "812 B"), (40_000, "40 kB"), (999_700, "1 MB"), (4_800_000, "4.8 MB"), (8.8e12, "8,800 GB")],
)
def test_sizes_in_messages_have_a_unit_that_shows_them(count, text):
    assert size(count) == text


def test_an_exception_is_told_in_one_line_that_is_not_too_long():
    assert one_line(ValueError("one\n  two")) == "one two"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("word " * 1000))) <= 300


def test_a_file_that_cannot_be_replaced_leaves_no_part_of_it_behind(tmp_path):
    (tmp_path / "kept.json").mkdir()
    json_file.write(tmp_path / "kept.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]

"""What an input, a target or an answer is drawn as."""

from __future__ import annotations

import pytest
import torch

from workbench.core.examples.drawing import PALETTE, classes_drawn, colour_of, drawn, inputs_drawn, named


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (28, 28), (32, 32, 3), (5, 100, 80)])
def test_what_has_height_and_width_is_a_picture(shape):
    assert drawn(torch.rand(shape)).picture.startswith("data:image/png;base64,")


def test_of_more_channels_than_colours_it_says_which_is_shown():
    assert drawn(torch.rand(5, 16, 16)).note == "the first of 5 channels"


def test_a_picture_is_drawn_whatever_its_range_is():
    for values in (torch.full((9, 9), torch.nan), torch.zeros(9, 9), torch.randn(9, 9), 255 * torch.rand(9, 9)):
        assert drawn(values).picture


def test_a_series_is_a_line_of_few_points_and_a_few_numbers_are_a_row():
    assert drawn(torch.arange(1000.0)).line[:2] == (0, 8)
    assert drawn(torch.arange(100.0).reshape(50, 2)).note == "the first of 2 series"
    assert drawn(torch.tensor([1.5, -2.0])).text == "1.5, −2"
    assert drawn(torch.arange(20)).note == "and 12 more"


def test_tokens_are_text_where_they_can_be_decoded():
    assert drawn(torch.tensor([104, 105]), lambda tokens: bytes(tokens.tolist()).decode()).text == "hi"


def test_of_texts_what_masks_them_is_left_out_the_two_of_a_pair_are_two_and_each_is_cut_to_a_line():
    def decode(tokens: torch.Tensor) -> str:
        return " ".join("word" for _ in tokens)

    single, mask, pair = torch.ones(1, 3).long(), torch.ones(1, 3).long(), torch.ones(1, 2, 90).long()
    assert [each.text for each in inputs_drawn((single, mask), decode)] == ["word word word"]
    texts = [each.text for each in inputs_drawn((pair, mask), decode)]
    assert len(texts) == 2
    assert all(len(text) == 120 and text.endswith("…") for text in texts)


def test_each_class_has_a_colour_of_its_own():
    assert len({colour_of(each) for each in range(len(PALETTE))}) == len(PALETTE)
    first, second = (classes_drawn(torch.full((4, 4), each)).picture for each in (1, 2))
    assert first != second


def test_an_answer_that_is_none_says_so():
    assert named(-1, ("cat",)) == "no answer"
    assert [named(each, ("cat",)) for each in (0, 1)] == ["cat", "1"]
    assert classes_drawn(torch.full((4, 4), -1)).picture

"""Which test examples a variant answers otherwise than the untouched model, for every form of answers."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
import torchmetrics
from torch import nn

import workbench as wb
from tests.workloads import always_there
from workbench import models
from workbench.core import examples
from workbench.core.placing import completions
from workbench.core.runs import Core
from workbench.errors import Cancelled, WorkbenchError
from workbench.examples import OUTCOMES, Examples
from workbench.measure.quality import Judged
from workbench.recipe import Recipe
from workbench.workload import Data, LoadedWorkload, Workload

PLACE = {"engine": "eager", "threads": 1}
WITHOUT_HALF = [{"do": "prune", "amount": 0.5, "finetune_epochs": 0}]


class Says(nn.Module):
    """Gives its inputs, which are scores; the weight is there because models have weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        return self.weight * scores


def scores(answers: list, classes: int = 3) -> torch.Tensor:
    """float32 [..., classes] that say these answers."""
    return nn.functional.one_hot(torch.tensor(answers), classes).float()


def loaded(inputs: torch.Tensor, targets: torch.Tensor | None, **task) -> LoadedWorkload:
    data = inputs if targets is None else (inputs, targets)
    return models.load(Workload(Says(), data, train=data, **task))


def compared(workload: LoadedWorkload, variant, *, limit: int = 24, batch: int = 256, **more) -> Examples:
    judged = Judged(workload.module, workload.test, workload.task.metric)
    both = examples.Compared(workload, workload.module, judged, variant, batch, 0, limit)
    return examples.find(both, lambda: None, **more)


def says(answers: torch.Tensor):
    """A variant that gives this, whatever it is asked, where all examples are asked at once in their order."""
    return lambda inputs: answers[: len(inputs)]


@pytest.fixture(scope="module")
def student() -> tuple[Core, Examples]:
    core = Core(outbox=None)
    core.keep_workload(1, pickle.dumps(wb.load("fashion-student")), [1])
    return core, core.questions().examples(1, Recipe.parse(steps=WITHOUT_HALF, place=PLACE), 24, lambda: None)


def test_the_classes_have_their_names_and_the_images_are_pictures(student):
    _, found = student
    assert found.confusion.classes[-1] == "Ankle boot"
    for each in found.examples:
        assert each.inputs[0].picture.startswith("data:image/png;base64,")
        assert {each.target.text, each.before.text, each.after.text} <= set(found.confusion.classes)


def test_what_was_lost_comes_first_and_each_outcome_has_its_part(student):
    _, found = student
    order = [OUTCOMES.index(each.outcome) for each in found.examples]
    assert order == sorted(order)
    assert len(order) == 24
    assert [order.count(OUTCOMES.index(each)) for each in ("lost", "won", "other")] == [8, 8, 8]


def test_an_outcome_is_what_target_and_answers_say(student):
    _, found = student
    for each in found.examples:
        right = each.before.text == each.target.text, each.after.text == each.target.text
        assert right == {"lost": (True, False), "won": (False, True), "other": (False, False)}[each.outcome]
        assert each.before != each.after


def test_the_matrix_holds_each_example_once_and_its_diagonal_is_the_accuracy(student):
    core, found = student
    workload = core._workloads.get(1)
    per_class = workload.test.targets.bincount().tolist()
    for matrix in (found.confusion.baseline, found.confusion.variant):
        assert [sum(row) for row in matrix] == per_class
    right = sum(found.confusion.variant[each][each] for each in range(10))
    right_before = sum(found.confusion.baseline[each][each] for each in range(10))
    assert right - right_before == found.counts["won"] - found.counts["lost"]


def test_a_recipe_that_was_never_trained_is_refused_in_a_line(student):
    core, _ = student
    trained = Recipe.parse(steps=[{"do": "prune", "finetune_epochs": 3}], place=PLACE)
    with pytest.raises(WorkbenchError, match="would have to be trained again"):
        core.questions().examples(1, trained, 24, lambda: None)


def test_it_stops_where_something_else_was_asked_for(student):
    core, _ = student

    def checkpoint() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        core.questions().examples(1, Recipe.parse(steps=WITHOUT_HALF, place=PLACE), 24, checkpoint)


def test_what_takes_too_long_is_told_of_the_examples_that_were_reached():
    answers = scores([0, 1, 2] * 10)
    found = compared(loaded(answers, torch.tensor([0, 1, 2] * 10)), says(answers), batch=10, budget_s=0)
    assert (found.seen, found.available) == (10, 30)
    assert str(found).endswith("(of the first 10 of 30 examples, drawn at random)")


def test_without_targets_answers_change_and_are_neither_right_nor_wrong():
    answers = scores([0, 1, 2])
    found = compared(loaded(answers, None, metric="agreement"), lambda inputs: inputs.roll(1, dims=1))
    assert found.counts == {"changed": 3}
    assert found.summary == "3 of 3 answers changed"
    assert all(each.target is None for each in found.examples)
    assert found.confusion is None


def test_classes_of_one_s_own_have_the_names_that_were_given():
    workload = loaded(scores([0, 1, 2]), torch.tensor([0, 1, 2]), classes=["cat", "dog", "eel"])
    found = compared(workload, lambda inputs: inputs.roll(1, dims=1))
    assert {each.after.text for each in found.examples} == {"cat", "dog", "eel"}
    assert found.counts == {"lost": 3, "won": 0, "other": 0}


def test_more_classes_than_can_be_read_have_no_matrix():
    found = compared(loaded(scores([0, 20], 21), torch.tensor([0, 20])), lambda inputs: inputs)
    assert found.confusion is None
    assert found.summary == "none of 2 answers changed"


def test_of_numbers_the_error_that_grew_most_comes_first():
    inputs = torch.tensor([[1.0], [2.0], [3.0]])
    workload = loaded(inputs, torch.tensor([1.0, 2.0, 3.0]), metric="mae")
    found = compared(workload, lambda given: given + torch.where(given > 2.5, 0.5, torch.where(given > 1.5, 0.25, 0)))
    assert [each.number for each in found.examples] == [2, 1]
    assert found.examples[0].figure == pytest.approx((0, 0.5))
    assert [each.text for each in (found.examples[0].target, found.examples[0].before, found.examples[0].after)] == [
        "3",
        "3",
        "3.5",
    ]
    assert (found.counts, found.title) == ({"worse": 2}, "mean absolute error")


def test_a_figure_of_all_examples_together_says_why_there_are_none():
    workload = loaded(torch.rand(8, 1), torch.rand(8, 1), metric=torchmetrics.ExplainedVariance())
    found = compared(workload, lambda inputs: inputs + 1)
    assert found.examples == ()
    assert "one figure of all examples together" in found.summary


def test_of_masks_each_example_has_its_picture_and_three_masks():
    targets = torch.zeros(2, 8, 8, dtype=torch.int64)
    inputs = scores(targets.tolist()).movedim(-1, 1)
    workload = loaded(inputs, targets, metric="mean-iou")

    def variant(given: torch.Tensor) -> torch.Tensor:
        worse = given.clone()
        worse[:1, :, :4] = worse[:1, :, :4].roll(1, dims=1)
        return worse

    found = compared(workload, variant, limit=4)
    (example,) = found.examples
    assert (found.counted, found.counts["lost"], example.outcome) == ("pixels", 32, "lost")
    pictures = {each.picture for each in (example.target, example.before)}
    assert len(pictures) == 1
    assert example.after.picture not in pictures
    assert example.figure[0] > example.figure[1]


def test_of_tokens_what_came_before_the_answer_is_shown():
    targets = torch.tensor([[1, 2, 0]])
    workload = loaded(scores([[1, 2, 0]]), targets, metric="next-token-accuracy")
    found = compared(workload, lambda given: torch.cat([given[:, :2], given[:, 2:].roll(1, dims=2)], dim=1))
    (example,) = found.examples
    assert (example.target.text, example.before.text, example.after.text) == ("0", "0", "1")
    assert found.counts == {"lost": 1, "won": 0, "other": 0}


def test_answers_are_words_only_where_every_token_has_a_score():
    tokens, targets = torch.tensor([[0, 1, 7]]), torch.tensor([[1, 2, 0]])
    right, wrong = scores([[1, 2, 0]], 3), scores([[1, 2, 1]], 3)
    workload = replace(loaded(right, targets, metric="next-token-accuracy"), decode=lambda _: "word")
    workload = replace(workload, test=Data((tokens,), targets), module=says(right))
    found = compared(workload, says(wrong))
    assert (found.counted, found.examples[0].after.text) == ("answers", "1")
    few = replace(workload, test=Data((tokens.clamp(max=2),), targets))
    assert (compared(few, says(wrong)).counted, compared(few, says(wrong)).examples[0].after.text) == (
        "next tokens",
        "word",
    )


def test_a_language_model_s_text_can_be_read():
    workload = models.load(Workload("tinytext-lm"))
    text = workload.decode(workload.test.inputs[0][0])
    assert len(text.split()) > 10


@pytest.mark.parametrize("name", [name for name in always_there() if name != "fashion-student"])
def test_every_embedded_workload_has_something_to_show(name):
    core = Core(outbox=None)
    core.keep_workload(1, pickle.dumps(Workload(name)), [1])
    fewer_weights = {"do": "prune", "kind": "weights", "amount": 0.8, "finetune_epochs": 0}
    (recipe, *_) = completions(Recipe.parse(steps=[fewer_weights], place=PLACE))
    found = core.questions().examples(1, recipe, 6, lambda: None)
    assert found.changed
    assert len(found.examples) == 6
    assert all(len(each.inputs) == 1 for each in found.examples)
    assert Examples.model_validate_json(found.model_dump_json()) == found

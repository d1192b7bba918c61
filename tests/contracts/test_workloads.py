"""What every embedded workload must keep, also those that other packages bring."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from workbench import models
from workbench.datasets import ModelCard
from workbench.datasets.cards import File, read
from workbench.models import zoo
from workbench.models.zoo import Embedded
from workbench.tasks import metrics
from workbench.workload import LoadedWorkload, Workload, is_auto

WORKLOADS = list(zoo.registered().values())
HERE = [each for each in WORKLOADS if each.name in models.embedded()]
"""Those whose data needn't be fetched first, or were."""
FEW, RESAMPLED = 128, 100


def by_name(workload: Embedded) -> str:
    return workload.name


def card_of(workload: Embedded) -> ModelCard:
    return read(workload.folder / f"{workload.name}.json")


def terms_of(loaded: LoadedWorkload) -> np.ndarray:
    """What a few of the test examples, evenly spread, contribute to the figure."""
    few = loaded.test.at(slice(None, None, max(1, len(loaded.test) // FEW)))
    with torch.inference_mode():
        parts = [loaded.task.metric.terms(loaded.module(*part.inputs), part.targets) for part in few.batches(64)]
    return torch.cat(parts).numpy()


@pytest.mark.parametrize("workload", WORKLOADS, ids=by_name)
def test_a_workload_declares_what_others_need_to_know(workload: Embedded):
    assert re.fullmatch(r"[a-z][a-z0-9-]*", workload.name)
    assert workload.name in models.embedded() | models.not_yet()
    assert workload.architecture.__doc__
    card = card_of(workload)
    assert (card.kind, card.name, card.needs) == ("model", workload.name, workload.needs)
    assert all((card.description, card.source, card.licence, card.made))
    assert [File.of(workload.folder / file.name) for file in card.files] == list(card.files)


@pytest.mark.parametrize("workload", WORKLOADS, ids=by_name)
def test_random_weights_come_from_torch_s_own_generator_and_are_as_many_as_the_card_says(workload: Embedded):
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(torch.nn.utils.parameters_to_vector(workload.architecture().parameters()))
    assert made[0].dtype is torch.float32
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert len(made[0]) == card_of(workload).parameters


@pytest.mark.parametrize("workload", HERE, ids=by_name)
def test_examples_are_the_same_whenever_they_are_read(workload: Embedded):
    for first, again in zip(workload.source.read(), workload.source.read(), strict=True):
        assert all(map(torch.equal, first.tensors(), again.tensors()))
    assert workload.source.digest() == workload.source.digest()


@pytest.mark.parametrize("workload", HERE, ids=by_name)
def test_a_workload_loads_with_the_task_it_declares_and_nothing_has_to_be_assumed(workload: Embedded):
    loaded, card = models.load(Workload(workload.name)), card_of(workload)
    task = loaded.task
    told = card.quality
    assert (task.metric.name, task.metric.title, task.metric.unit) == (told.metric, told.title, told.unit)
    assert task.loss is not None
    assert workload.loss in ("auto", task.loss.name)
    assert workload.counted in (None, task.counted)
    assert len(loaded.test) == told.n
    (inputs,) = loaded.test.inputs
    assert (tuple(inputs.shape[1:]), str(inputs.dtype)) == (card.input_shape, f"torch.{card.input_dtype}")
    assert loaded.note == ""
    assert not loaded.module.training
    if workload.classes:
        assert int(loaded.test.targets.max()) < len(workload.classes)
    if workload.decode:
        assert isinstance(workload.decode(loaded.test.targets[0]), str)


@pytest.mark.parametrize("workload", HERE, ids=by_name)
def test_a_model_is_about_as_good_as_its_card_says(workload: Embedded):
    loaded, card = models.load(Workload(workload.name)), card_of(workload)
    metric, terms, random = loaded.task.metric, terms_of(loaded), np.random.default_rng(0)
    resampled = [metric.value(terms[random.integers(len(terms), size=len(terms))]) for _ in range(RESAMPLED)]
    # Five standard errors of a figure of few examples: one of a million models that keep it would be found wanting.
    assert metric.value(terms) == pytest.approx(card.quality.value, abs=5 * float(np.std(resampled)), rel=1e-3)


@pytest.mark.parametrize("workload", HERE, ids=by_name)
def test_a_model_is_better_than_what_needs_none_as_its_card_tells(workload: Embedded):
    quality = card_of(workload).quality
    metric = metrics.of(quality.metric if is_auto(workload.metric) else workload.metric)
    assert bool(quality.naive) == bool(workload.naive)
    assert all(metric.loss_of(quality.value, figure) > 0 for figure in quality.naive.values())

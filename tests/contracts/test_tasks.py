"""What every metric and every loss must keep, also those that other packages bring."""

from __future__ import annotations

import math
import re

import cloudpickle
import numpy as np
import pytest
import torch

from tests.contracts.forms import FORMS, Form, N
from workbench.tasks import Loss, Metric, losses, metrics
from workbench.tasks.metrics import Mean

METRICS = list(metrics.registered().values())
LOSSES = list(losses.registered().values())
A_NAME = re.compile(r"[a-z][a-z0-9-]*")
JUDGED = [(each, form) for each in METRICS for form in FORMS if each.misfit(form.perfect, form.targets) is None]
MEANS = [(each, form) for each, form in JUDGED if isinstance(each, Mean)]
ANSWERED = [(each, form) for each, form in JUDGED if each.answers(form.perfect) is not None]
TRAINED = [
    (each, form)
    for each in LOSSES
    for form in FORMS
    if not (each.misfit(form.perfect, form.targets) or each.misfit(form.guessed, form.targets))
]


def by_name(thing: Metric | Loss | Form) -> str:
    return thing.name


def value(metric: Metric, outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return metric.value(metric.terms(outputs, targets).numpy())


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_a_metric_declares_what_others_need_to_know(metric: Metric):
    assert A_NAME.fullmatch(metric.name)
    assert metrics.find(metric.name) == metric
    assert metric.title
    assert metric.better in ("higher", "lower")
    assert metric.loss is None or metric.loss in losses.registered()


def test_ranks_leave_no_tie():
    ranks = [each.rank for each in METRICS if each.rank is not None]
    assert len(set(ranks)) == len(ranks)


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_a_metric_refuses_what_does_not_fit_in_a_clause(metric: Metric):
    misfit = metric.misfit(torch.zeros(N, 2, 3, 4, 5), torch.zeros(N, 7))
    assert re.fullmatch(r"[^\n]+[^\n.]", misfit)


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
def test_the_terms_of_two_parts_are_the_terms_of_the_whole(metric: Metric, form: Form):
    whole = metric.terms(form.guessed, form.targets)
    assert whole.dtype is torch.float64
    assert whole.dim() == 2
    assert len(whole) == N
    parts = [metric.terms(form.guessed[part], form.targets[part]) for part in (slice(0, 7), slice(7, N))]
    assert torch.allclose(torch.cat(parts), whole, rtol=1e-6, atol=0)  # float32 sums in another order


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
def test_the_order_of_the_examples_does_not_matter(metric: Metric, form: Form):
    terms = metric.terms(form.guessed, form.targets).numpy()
    order = np.random.default_rng(0).permutation(N)
    assert metric.value(terms[order]) == pytest.approx(metric.value(terms))


@pytest.mark.parametrize(("metric", "form"), MEANS, ids=by_name)
def test_a_mean_is_a_function_of_the_means_of_its_terms(metric: Mean, form: Form):
    both = [metric.terms(outputs, form.targets).numpy() for outputs in (form.guessed, form.perfect)]
    figures = metric.of_means(np.stack([terms.mean(axis=0) for terms in both]))
    assert figures.tolist() == pytest.approx([metric.value(terms) for terms in both])


@pytest.mark.parametrize(("metric", "form"), [(m, f) for m, f in MEANS if m.is_share], ids=by_name)
def test_a_share_counts_examples(metric: Mean, form: Form):
    terms = metric.terms(form.guessed, form.targets)
    assert terms.shape == (N, 1)
    assert set(terms.unique().tolist()) <= {0.0, 1.0}
    assert metric.value(terms.numpy()) == pytest.approx(float(terms.mean()))


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
def test_perfect_outputs_are_better_than_guessed_ones(metric: Metric, form: Form):
    perfect, guessed = (value(metric, outputs, form.targets) for outputs in (form.perfect, form.guessed))
    assert metric.loss_of(perfect, guessed) > 0
    assert metric.loss_of(perfect, perfect) == 0


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
def test_targets_that_leave_a_metric_without_a_figure_are_told_beforehand(metric: Metric, form: Form):
    assert metric.untold(form.targets) is None
    outputs, targets = (each[:1].expand_as(each) for each in (form.perfect, form.targets))
    assert (metric.untold(targets) is None) == math.isfinite(value(metric, outputs, targets))


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_no_numbers_are_no_better_for_it_and_raise_nothing(metric: Metric, form: Form, odd: float):
    spoilt = form.perfect.clone()
    spoilt[: N // 2] = odd
    figure = value(metric, spoilt, form.targets)
    assert math.isnan(figure) or metric.loss_of(value(metric, form.perfect, form.targets), figure) >= 0


@pytest.mark.parametrize(("metric", "form"), ANSWERED, ids=by_name)
def test_answers_are_classes_that_the_size_of_scores_does_not_change(metric: Metric, form: Form):
    answers = metric.answers(form.perfect)
    assert answers.dtype is torch.int64
    assert len(answers) == N
    assert torch.equal(answers, metric.answers(form.perfect * 2))


@pytest.mark.parametrize(("metric", "form"), JUDGED, ids=by_name)
def test_a_metric_travels_to_the_worker(metric: Metric, form: Form):
    sent = cloudpickle.loads(cloudpickle.dumps(metric))
    assert value(sent, form.guessed, form.targets) == value(metric, form.guessed, form.targets)


@pytest.mark.parametrize("loss", LOSSES, ids=by_name)
def test_a_loss_declares_its_name_and_refuses_in_a_clause(loss: Loss):
    assert A_NAME.fullmatch(loss.name)
    assert losses.find(loss.name) is loss
    assert re.fullmatch(r"[^\n]+[^\n.]", loss.misfit(torch.zeros(N, 2, 3, 4, 5), torch.zeros(N, 7)))


@pytest.mark.parametrize(("loss", "form"), TRAINED, ids=by_name)
def test_a_step_down_the_gradient_makes_a_loss_smaller(loss: Loss, form: Form):
    outputs = form.guessed.requires_grad_()
    before = loss(outputs, form.targets)
    assert before.shape == ()
    (gradient,) = torch.autograd.grad(before, outputs)
    after = loss(outputs - 0.1 * gradient, form.targets)
    assert float(after.detach()) < float(before.detach())


@pytest.mark.parametrize(("loss", "form"), TRAINED, ids=by_name)
def test_a_loss_is_smaller_for_perfect_outputs(loss: Loss, form: Form):
    assert float(loss(form.perfect, form.targets)) < float(loss(form.guessed, form.targets))


@pytest.mark.parametrize(("loss", "form"), TRAINED, ids=by_name)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_distance_to_a_teacher_is_least_at_the_teacher(loss: Loss, form: Form, temperature: float):
    teacher = form.guessed
    there = teacher.clone().requires_grad_()
    least = loss.towards(there, teacher, temperature)
    assert least.shape == ()
    (gradient,) = torch.autograd.grad(least, there)
    assert float(gradient.abs().max()) == pytest.approx(0, abs=1e-6)  # float32 rounding of probabilities of 1 and less
    away = teacher + torch.randn(teacher.shape, generator=torch.Generator().manual_seed(2))
    assert float(loss.towards(away, teacher, temperature)) > float(least.detach())

"""What an example by itself comes to, where a metric gives it a figure of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from workbench.tasks.metrics.auroc import AREA_UNDER_ROC
from workbench.tasks.metrics.mae import MAE
from workbench.tasks.metrics.r2 import R_SQUARED
from workbench.tasks.metrics.spearman import SPEARMAN

SCORES = torch.tensor([0.1, 0.4, 0.35, 0.8, 0.2])
POSITIVE = torch.tensor([0, 0, 1, 1, 0])


def each(metric, outputs, targets):
    return metric.of_each(metric.terms(outputs, targets).numpy())


def test_what_is_misranked_adds_up_to_what_lacks_of_the_area_under_the_curve():
    misranked = each(AREA_UNDER_ROC, SCORES, POSITIVE).values
    area = AREA_UNDER_ROC.value(AREA_UNDER_ROC.terms(SCORES, POSITIVE).numpy())
    for group in (0, 1):
        assert misranked[POSITIVE.numpy() == group].mean() == pytest.approx(1 - area)


def test_an_error_is_the_distance_to_the_target():
    found = each(MAE, torch.tensor([1.0, 2.0]), torch.tensor([1.5, 0.0]))
    assert (found.title, found.better) == ("mean absolute error", "lower")
    assert found.values == pytest.approx([0.5, 2])


def test_the_share_of_the_variance_has_the_error_of_each_example():
    assert each(R_SQUARED, torch.tensor([1.0, 2.0]), torch.tensor([1.5, 0.0])).values == pytest.approx([0.5, 2])


def test_an_order_has_the_distance_between_ranks():
    found = each(SPEARMAN, torch.tensor([1.0, 3.0, 2.0]), torch.tensor([1.0, 2.0, 3.0]))
    assert found.values == pytest.approx(np.array([0, 0.5, 0.5]))

"""A forecast of the carbon dioxide in the air: regression on a time series."""

from __future__ import annotations

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn
from torch.nn import functional

from workbench.datasets import co2, data_card
from workbench.models import _digest
from workbench.models.zoo._base import Embedded, Plan
from workbench.tasks import Counted
from workbench.tasks.metrics.mae import MeanAbsoluteError
from workbench.workload import Data

SEEN = 104
"""Weeks that the model is given."""
AHEAD = 13
"""Weeks from the last one seen to the one that is asked for."""
YEAR = 52
TESTED_FROM = np.datetime64("1990-01-01")


class Weeks:
    """Two years of weekly values less the last one, float32 [N, 104] in ppm, and the change 13 weeks on, float32 [N].

    Gaps within the two years are filled on a straight line; windows that begin, end or are asked for in a gap are left
    out, so that nothing filled in rests on a week not yet seen. Measured on changes to weeks from 1990 on, learnt from
    those before.
    """

    title = "CO₂ at Mauna Loa"

    def read(self) -> tuple[Data, Data]:
        days, ppm = co2.weekly()
        known = np.isfinite(ppm)
        filled = np.interp(np.arange(len(ppm)), np.flatnonzero(known), ppm[known])
        windows = sliding_window_view(filled, SEEN + AHEAD)
        whole = sliding_window_view(known, SEEN + AHEAD)[:, [0, SEEN - 1, -1]].all(axis=1)
        changes = windows - windows[:, SEEN - 1 : SEEN]
        tested = days[SEEN + AHEAD - 1 :] >= TESTED_FROM
        test, train = (_as_data(changes[whole & part]) for part in (tested, ~tested))
        return test, train

    def digest(self) -> str:
        return _digest.combine(*(file.sha256 for file in data_card("co2").files), str((SEEN, AHEAD, TESTED_FROM)))


class Forecaster(nn.Module):
    """Three linear layers, 104-128-128-1, that tell the CO₂ in the air 13 weeks ahead from two years' weekly values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(SEEN, 128)
        self.fc2 = nn.Linear(128, 128)
        self.fc3 = nn.Linear(128, 1)

    def forward(self, weeks: torch.Tensor) -> torch.Tensor:
        hidden = functional.relu(self.fc2(functional.relu(self.fc1(weeks))))
        return self.fc3(hidden)


def naive(test: Data, train: Data) -> dict[str, torch.Tensor]:
    """No change, and the change of the same season a year ago."""
    (weeks,) = test.inputs
    year_ago = SEEN - 1 - YEAR
    last_year = weeks[:, [year_ago + AHEAD]] - weeks[:, [year_ago]]
    return {"no change": torch.zeros_like(last_year), "the same season's change a year ago": last_year}


def _as_data(changes: np.ndarray) -> Data:
    rows = torch.tensor(changes, dtype=torch.float32)
    return Data(rows[:, :SEEN].contiguous(), rows[:, -1].contiguous())


CO2_FORECAST = Embedded(
    name="co2-forecast",
    architecture=Forecaster,
    source=Weeks(),
    plan=Plan(epochs=100, peak_learning_rate=3e-3),
    metric=MeanAbsoluteError(unit="ppm"),
    loss="mse",
    counted=Counted("rows"),
    naive=naive,
)

"""Atmospheric CO₂ at Mauna Loa, Hawaii: weekly means from March 1958 to December 2001, as statsmodels ships them.

Source: Keeling and Whorf, "Atmospheric CO2 concentrations derived from flask air samples at sites in the SIO network",
in Trends: A Compendium of Data on Global Change, CDIAC, Oak Ridge National Laboratory, 2004.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.datasets.cards import FOLDER

EMBEDDED = FOLDER / "co2"
FILE = "co2.csv"


def weekly(folder: Path = EMBEDDED) -> tuple[np.ndarray, np.ndarray]:
    """The Saturdays, datetime64[D] [weeks], and parts per million, float64 [weeks], NaN where there is no value."""
    rows = np.genfromtxt(folder / FILE, delimiter=",", skip_header=1, dtype="U8", autostrip=True)
    days = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in rows[:, 0]], "datetime64[D]")
    return days, np.array([float(value or "nan") for value in rows[:, 1]])

"""The F1 score of each class, and their mean."""

from __future__ import annotations

import numpy as np

from workbench.tasks.metrics._classes import EXAMPLES
from workbench.tasks.metrics._overlap import Overlap


class MacroF1(Overlap):
    """Of outputs [N, classes] by class numbers [N]."""

    name = "macro-f1"
    title = "macro F1"
    layout = EXAMPLES

    def part_and_whole(self, hits: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2 * hits, both


MACRO_F1 = MacroF1(unit="share")

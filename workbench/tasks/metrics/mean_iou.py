"""How much of each class's pixels the outputs and the targets have in common, and the mean over classes."""

from __future__ import annotations

import numpy as np

from workbench.tasks.metrics._classes import PIXELS
from workbench.tasks.metrics._overlap import Overlap


class MeanIoU(Overlap):
    """Of outputs [N, classes, H, W] by class numbers [N, H, W].

    Intersection over union of all examples' pixels together (Everingham et al. 2015, "The Pascal visual object classes
    challenge: a retrospective").
    """

    name = "mean-iou"
    title = "mean IoU"
    rank = 20
    layout = PIXELS

    def part_and_whole(self, hits: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return hits, both - hits


MEAN_IOU = MeanIoU(unit="share")

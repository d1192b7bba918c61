"""How many bits a language model of bytes needs for a byte of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.metrics._surprise import Surprise

if TYPE_CHECKING:
    import torch

_BYTES = 256


class BitsPerByte(Surprise):
    """The mean of −log₂ p, with p the probability of the byte that came: each token has to be one byte."""

    name = "bits-per-byte"
    title = "bits per byte"

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if reason := super().misfit(outputs, targets):
            return reason
        if outputs.shape[2] > _BYTES:
            return f"bits per byte needs tokens that are bytes, {_BYTES} at most, and the model has {outputs.shape[2]}"
        return None

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return super().of_means(means) / math.log(2)


BITS_PER_BYTE = BitsPerByte(unit="bit/byte")

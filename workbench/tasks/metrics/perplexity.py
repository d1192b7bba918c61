"""Among how many equally likely tokens a language model chooses, as it were."""

from __future__ import annotations

import numpy as np

from workbench.tasks.metrics._surprise import Surprise


class Perplexity(Surprise):
    """e to the mean of −ln p, with p the probability of the token that came; 1 where it was certain."""

    name = "perplexity"
    title = "perplexity"
    rank = 30

    def of_means(self, means: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.exp(super().of_means(means))


PERPLEXITY = Perplexity()

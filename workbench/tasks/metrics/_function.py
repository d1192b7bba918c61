"""A user's function as a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkloadError
from workbench.plumbing.lazy import lazy
from workbench.receipt import Direction
from workbench.tasks._given import call, name_of
from workbench.tasks.metrics._base import Mean
from workbench.tasks.metrics._numbers import flat

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch")


@dataclass(frozen=True)
class FunctionMetric(Mean):
    """The mean of what ``function(outputs, targets)`` gives for each example, [N].

    Higher is better, unless the function has an attribute that says otherwise: ``function.better = "lower"``.
    """

    function: Callable[[torch.Tensor, torch.Tensor], Any] = None

    @property
    def name(self) -> str:
        return name_of(self.function)

    @property
    def title(self) -> str:
        return self.name

    @property
    def better(self) -> Direction:
        return getattr(self.function, "better", "higher")

    def misfit(self, outputs: torch.Tensor, targets: torch.Tensor) -> str | None:
        if self.better not in ("higher", "lower"):
            return f'the metric function {self.name} has better = {self.better!r}; give it "higher" or "lower"'
        try:
            self.terms(outputs, targets[: len(outputs)])
        except WorkloadError as error:
            return str(error)
        return None

    def terms(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        what = f"metric function {self.name}"
        # It gets a copy: what it changes in place would be changed in the data.
        given = call(what, self.function, outputs, targets.clone())
        each = _one_for_each(what, given, len(outputs))
        nan = each.isnan() & flat(outputs).isfinite().all(1)
        if nan.any():
            first = int(nan.nonzero()[0])
            raise WorkloadError(f"the {what} gives NaN for example {first} of the {len(outputs)} it is called with")
        return each.unsqueeze(1)

    def of_means(self, means: np.ndarray) -> np.ndarray:
        return means[..., 0]


def _one_for_each(what: str, given: Any, n: int) -> torch.Tensor:
    try:
        each = torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise WorkloadError(f"the {what} returns {type(given).__name__}; {_wanted(n)}") from None
    if each.is_complex() or list(each.shape) != [n]:
        kind = str(each.dtype).removeprefix("torch.")
        raise WorkloadError(f"the {what} returns {kind} of shape {list(each.shape)}; {_wanted(n)}")
    return each.double()


def _wanted(n: int) -> str:
    return f"return a number for each of the {n} examples it is called with, shape [{n}]"

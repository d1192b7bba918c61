"""Automatic mixed precision: which scheme each layer gets, what that was estimated to come to, and what it came to.

Field names are promises: the session, ``Mixture.model_dump`` and the command line share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from workbench.receipt import Interval, columns

if TYPE_CHECKING:
    import pandas


_MOST_NAMED = 3
"""Layers; more are counted."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(_Frozen):
    """One layer in one scheme, "fp32" among them: the time it takes there, and what the model loses if only it is so.

    ``loss`` is in the metric's unit, positive is worse; ``error`` is ‖outputs − the exact‖₂ / ‖the exact‖₂.
    """

    layer: str
    scheme: str
    latency_ms: float
    loss: float
    error: float


class Candidate(_Frozen):
    """A whole model: by layer its scheme, what is estimated of its single layers, and what was measured of it.

    ``origin``: all layers have one scheme ("uniform"); it is the fastest by estimates ("estimated"); or an earlier one
    with some layers changed, for what was measured of it ("mended"). ``loss`` is the model's, on training examples;
    ``None`` with the ``reason``. ``speedup`` is beside the search's reference, ``None`` where the loss isn't within the
    budget.
    """

    schemes: dict[str, str]
    origin: Literal["uniform", "estimated", "mended"]
    estimated_loss: float | None
    estimated_speedup: float
    loss: Interval | None
    speedup: Interval | None
    reason: str = ""


class Mixture(_Frozen):
    """All that is known by now. The best is ``candidates[best]``, and ``recipe`` a run's, once there is one.

    ``budget`` is the loss accepted beside the untouched model, as a share, ``limit`` the same in the metric's ``unit``,
    once it is known; ``reference`` the scheme of all layers that speeds are told beside, on ``engine``. So many
    ``examples`` of the training data judge. ``doing`` says in words what comes next.
    """

    metric: str
    title: str
    unit: str
    budget: float
    limit: float | None
    engine: str
    reference: str
    examples: int
    choices: tuple[Choice, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    best: int | None = None
    recipe: dict[str, Any] | None = None
    doing: str = ""
    final: bool = False

    @property
    def plain(self) -> Candidate | None:
        """The reference itself: all layers in its scheme; ``None`` before it was measured."""
        uniform = (each for each in self.candidates if each.origin == "uniform")
        return next((each for each in uniform if self.reference in each.schemes.values()), None)

    @property
    def chosen(self) -> Candidate | None:
        """The best by now."""
        return None if self.best is None else self.candidates[self.best]

    @property
    def can_be_taken(self) -> bool:
        """Whether a search may end here: the reference was measured too, so the best isn't slower where that fits."""
        return self.recipe is not None and len(self.candidates) > 1

    @property
    def in_words(self) -> str:
        """The best by now: "int8-static, fc1 in fp32; 1.20× the speed of int8-static alone; loses 0.12 of 0.5 points".

        "" where there is none yet.
        """
        best = self.chosen
        if best is None:
            return ""
        parts = [schemes_in_words(best.schemes)]
        if best is not self.plain and best.speedup:
            parts.append(f"{best.speedup.value:.2f}× the speed of {self.reference} alone")
        scale, unit = (100, "points") if self.unit == "share" else (1, self.unit)
        loss, limit = scale * max(best.loss.value, 0.0), scale * self.limit
        parts.append(f"loses {loss:.2g} of {limit:.3g} {unit}".rstrip() if loss else "loses nothing")
        return "; ".join(parts)

    def frame(self) -> pandas.DataFrame:
        """A row for each candidate: its figures, which is the best, and a column for the scheme of each layer."""
        import pandas

        rows = []
        for number, each in enumerate(self.candidates):
            row = {"origin": each.origin, "best": number == self.best}
            row |= {"estimated_loss": each.estimated_loss, **columns("loss", each.loss)}
            row |= {"estimated_speedup": each.estimated_speedup, **columns("speedup", each.speedup)}
            rows.append({**row, "reason": each.reason, **each.schemes})
        return pandas.DataFrame(rows)


def schemes_in_words(schemes: Mapping[str, str]) -> str:
    """The scheme of most layers, and those that have another: "int8-static, fc1 in fp32"."""
    layers: dict[str, list[str]] = {}
    for layer, scheme in schemes.items():
        layers.setdefault(scheme, []).append(layer)
    general, *others = sorted(layers, key=lambda scheme: -len(layers[scheme]))
    return ", ".join([general, *(f"{_listed(layers[scheme])} in {scheme}" for scheme in others)])


def _listed(layers: list[str]) -> str:
    return " and ".join(layers) if len(layers) <= _MOST_NAMED else f"{len(layers)} layers"

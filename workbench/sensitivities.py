"""What each layer costs the model in each scheme that it could have: looked at layer by layer.

Field names are promises: the session, ``Sensitivity.model_dump`` and the widgets share them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from workbench.receipt import Direction, Interval, columns

if TYPE_CHECKING:
    import pandas


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effect(_Frozen):
    """What a change does to the model, on ``n`` test examples.

    ``loss`` is how much worse the metric becomes, in its unit, paired; ``None`` where it isn't a number. ``error`` is
    how far the outputs move, ‖outputs − the exact‖₂ / ‖the exact‖₂, ``None`` where they are no numbers.
    """

    loss: Interval | None
    error: float | None
    n: int


class Cell(_Frozen):
    """One layer in one scheme.

    ``own`` is how far the layer's own outputs are off, ‖its output − the exact‖₂ / ‖the exact‖₂, given exact inputs, on
    training examples. ``only``: this layer alone is in the scheme; ``all_but``: every layer but this. Both are ``None``
    until they are known, and for good where ``reason`` says why the layer has no such form.
    """

    layer: str
    scheme: str
    reason: str = ""
    own: float | None = None
    only: Effect | None = None
    all_but: Effect | None = None


class Sensitivity(_Frozen):
    """All that is known by now: layers in execution order, schemes as they were asked for, a cell for each pair.

    ``title``, ``unit`` and ``better`` are the metric's, ``value`` what it comes to without any rounding on the examples
    seen by now. ``examples`` is how many are to be looked at, ``done`` the share of the work that is done.
    """

    metric: str
    title: str
    unit: str
    better: Direction
    value: float | None
    layers: tuple[str, ...]
    schemes: tuple[str, ...]
    cells: tuple[Cell, ...]
    examples: int
    done: float
    final: bool

    def frame(self) -> pandas.DataFrame:
        """A row for each cell: layer, scheme, the effects' figures, and the signal-to-noise ratio of its own outputs.

        ``snr_db`` is −20 log₁₀ of ``own``.
        """
        import numpy as np
        import pandas

        rows = []
        for cell in self.cells:
            row = {"layer": cell.layer, "scheme": cell.scheme, "own_error": cell.own}
            row["snr_db"] = -20 * np.log10(cell.own) if cell.own else None
            for name, effect in (("only", cell.only), ("all_but", cell.all_but)):
                row |= columns(f"{name}_loss", effect.loss if effect else None)
                row |= {f"{name}_error": effect.error if effect else None, f"{name}_n": effect.n if effect else 0}
            rows.append(row | {"reason": cell.reason})
        return pandas.DataFrame(rows)

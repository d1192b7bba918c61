"""Whether a prepared runner computes what its model does: asked of every runner before anybody sees a figure of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench import precisions
from workbench.engines import Engine, Runner
from workbench.engines._program import executed
from workbench.errors import EngineError
from workbench.plumbing.lazy import lazy
from workbench.workload import Data

if TYPE_CHECKING:
    import torch

    from workbench.variant import Variant
    from workbench.workload import Inputs
else:
    torch = lazy("torch")

_TIMES_THE_SIMULATED = 2.0
"""Errors of independent roundings add as squares: an engine that rounds as much again is off by 1.4 times as much. Of
those three, none was more than 1.01 times as far from the module as the simulated graph."""
_NOTHING = 1e-6
"""Outputs smaller than this are as good as zero: what is left of sums that cancel."""
_BUDGET_S = 0.3
_OVERFLOWS = (
    "; it adds pairs of 8-bit products in 16 bits on this processor, which overflow where both factors use all their "
    "bits: choose native, which adds them exactly"
)


def require_faithful(
    engine: Engine, runner: Runner, variant: Variant, inputs: Inputs | torch.Tensor, *, batch: int
) -> None:
    """Compare the runner with the variant's module on real inputs, at two batch sizes.

    It may be off by twice what the variant's own simulation (its quantize/dequantize graph, its bfloat16 cast) is off
    by, and by what rounding in another order explains (``Precision.rounding``).

    Parameters
    ----------
    engine, runner, variant
        What prepared, what it prepared, and of what. An engine that is the reference itself isn't asked.
    inputs
        Real examples, [N, …] of each input; a lone tensor is one.
    batch
        The size it was prepared for. The other is 1, or beside 1 what a third of a second allows, 256 at most.

    Raises
    ------
    EngineError
        In one line: at which batch size it is off, by how much, and how much its precision explains.
    """
    if engine.is_reference:
        return
    module, simulated = variant.module, executed(variant)
    _require_repeatable(engine, module, _first(inputs, 1))  # else what is simulated is off by any amount too
    begin = time.perf_counter()
    for size in (batch, None):
        if size is None:
            size = _another_size(batch, (time.perf_counter() - begin) / batch)
        examples = _first(inputs, size)
        wanted = _called(module, examples)
        explained = 0.0 if simulated is module else _apart(_called(simulated, examples), wanted)
        allowed = _TIMES_THE_SIMULATED * explained + max(each.rounding for each in variant.all_formats)
        found = _apart(runner(*examples), wanted)
        if found <= allowed:
            continue
        _require_repeatable(engine, module, examples)
        raise EngineError(
            f"{engine.title} computes something else than the model: its output is off by {_percent(found)} of its "
            f"norm for {size} examples at a time, where {variant.precision} explains {_percent(explained)}"
            f"{_OVERFLOWS if engine.saturates() and any(each.activations for each in variant.all_formats) else ''}"
        )


def _require_repeatable(engine: Engine, module: torch.nn.Module, inputs: Inputs) -> None:
    """:class:`EngineError` where the module's outputs are others at another call."""
    if _apart(_called(module, inputs, seed=1), _called(module, inputs)) > precisions.find("fp32").rounding:
        raise EngineError(
            f"the model's forward draws random numbers, so {engine.title} can't be held to it; "
            "the eager engine draws them as the module does"
        )


def _another_size(batch: int, seconds_each: float) -> int:
    return 1 if batch > 1 else max(2, min(256, int(_BUDGET_S / max(seconds_each, 1e-9))))


def _first(inputs: Inputs | torch.Tensor, count: int) -> Inputs:
    """The first ``count`` examples, repeated from the start where there are fewer."""
    data = Data(inputs)
    return data.at(torch.arange(count) % len(data)).inputs


def _called(module: Callable[..., torch.Tensor], inputs: Inputs, seed: int = 0) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        return module(*(each.clone() for each in inputs))  # it may work in place


def _apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """‖found − wanted‖₂ / ‖wanted‖₂; infinite where shapes, or the places of NaN and infinity, differ."""
    if found.shape != wanted.shape:
        return math.inf
    found, wanted = found.double(), wanted.double()
    finite = wanted.isfinite()
    if not torch.equal(finite, found.isfinite()):
        return math.inf
    distance, size = float((found - wanted)[finite].norm()), float(wanted[finite].norm())
    return distance / (size + _NOTHING * math.sqrt(wanted.numel()))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if math.isfinite(share) else "all"

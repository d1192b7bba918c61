"""Examples to calibrate with, and how far from the module's outputs for them others are."""

from __future__ import annotations

import math

import torch

from workbench.workload import Inputs, rows

COMPARED = 16
"""Of the examples, those whose outputs are compared, at most."""
LEARNED_FROM = 256
"""Examples from which rounding is learned, at most."""
_FEWEST = 32
"""Examples from which something is learned, at least: of fewer, chance decides."""
_BATCH = 64
_AT_ONCE_BYTES = 2**24
_ROUNDING = 1e-6
"""Outputs that vary by less, relative to their norm, are the same."""


class Sample:
    """A seeded choice of ``count`` of the examples in ``inputs``, and what ``module`` makes of the first of them."""

    def __init__(self, module: torch.nn.Module, inputs: Inputs, count: int, seed: int) -> None:
        chosen = torch.randperm(len(inputs[0]), generator=torch.Generator().manual_seed(seed))[:count]
        parts = [chosen[:COMPARED], *(part for part in chosen[COMPARED:].split(_BATCH) if len(part))]
        self.count = len(chosen)
        self.batches = [rows(inputs, part) for part in parts]
        self._seed = seed
        self._wanted = self.outputs_of(module)

    @property
    def teaches(self) -> bool:
        """Whether it is enough to learn from."""
        return self.count >= _FEWEST

    @property
    def inputs(self) -> Inputs:
        return tuple(torch.cat(parts) for parts in zip(*self.batches, strict=True))

    @property
    def at_once(self) -> Inputs:
        """As many as may go through a model in one call, whose layers' outputs are several times as large as these."""
        each = max(sum(part[0].nbytes for part in self.inputs), 1)
        return rows(self.inputs, slice(max(COMPARED, _AT_ONCE_BYTES // each)))

    def outputs_of(self, model: torch.nn.Module) -> torch.Tensor:
        """What ``model`` makes of the first examples, with the same random numbers each time."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self._seed)
            return model(*(each.clone() for each in self.batches[0]))  # it may work in place

    def distance(self, outputs: torch.Tensor) -> float:
        """‖outputs − wanted‖₂ / ‖wanted‖₂."""
        return relative_distance(outputs, self._wanted)

    def error(self, outputs: torch.Tensor) -> float:
        """‖outputs − wanted‖₂ / ‖wanted − its mean over the examples‖₂: its square is the share of variance lost."""
        return self.distance(outputs) / spread if (spread := spread_of(self._wanted)) else 0.0


def spread_of(outputs: torch.Tensor) -> float:
    """‖outputs − their mean over the examples‖₂ / ‖outputs‖₂; 0 where they are the same for all examples."""
    spread = relative_distance(outputs.mean(0).expand_as(outputs), outputs)
    return spread if spread > _ROUNDING else 0.0


def relative_distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """‖found − wanted‖₂ / ‖wanted‖₂ over what is finite in ``wanted``; 0 where they are equal."""
    finite = wanted.isfinite()
    distance = float((found.double() - wanted.double())[finite].norm())
    size = float(wanted.double()[finite].norm())
    return distance / size if size else math.inf if distance else 0.0

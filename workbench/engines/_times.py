"""What the layers of a graph take, one by one, when PyTorch runs it."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.workload import Inputs
else:
    torch = lazy("torch")


def node_times_ms(
    module: torch.fx.GraphModule, inputs: Inputs, now_ms: Callable[[], float]
) -> dict[torch.fx.Node, float]:
    """What each node of a graph takes when PyTorch runs it once, by the clock ``now_ms``."""
    spent = {}

    class Timed(torch.fx.Interpreter):
        def run_node(self, node):
            begin = now_ms()
            result = super().run_node(node)
            spent[node] = now_ms() - begin
            return result

    Timed(module).run(*inputs)
    return spent


def median_times_ms(runs: Iterable[dict[str, float]]) -> dict[str, float]:
    """Medians by layer of the times that each of ``runs`` took."""
    samples = defaultdict(list)
    for run in runs:
        for layer, milliseconds in run.items():
            samples[layer].append(milliseconds)
    return {layer: statistics.median(values) for layer, values in samples.items()}

"""Whether quantization spoils what a model computes, and which layer spoils most."""

from __future__ import annotations

from collections.abc import Callable

import torch

from workbench.graph import layer_of
from workbench.techniques.quantize.calls import CONVOLUTIONS, LINEAR
from workbench.techniques.quantize.sample import Sample, relative_distance
from workbench.workload import Inputs

_SPOILED = 0.3
"""Of the outputs' spread: 0.3² = 9 % of their variance is lost."""


def collapse(quantized: torch.fx.GraphModule, exact: Callable[[], torch.fx.GraphModule], sample: Sample) -> str | None:
    """In words, how far the outputs moved and which layer's most; None where quantization did what is expected of it.

    ``exact`` makes the graph that was quantized once more.
    """
    error = sample.error(sample.outputs_of(quantized))
    if error <= _SPOILED:
        return None
    by_layer = own_errors(quantized, exact(), sample.batches[0])
    worst = max(by_layer, key=by_layer.get)
    return (
        f"moves the model's outputs by {_percent(error)} of their spread on the calibration examples, and those of "
        f"{worst or 'a call outside any layer'} alone by {_percent(by_layer[worst])}; keep it in fp32 or take "
        "another scheme"
    )


@torch.no_grad()
def own_errors(quantized: torch.fx.GraphModule, exact: torch.fx.GraphModule, inputs: Inputs) -> dict[str, float]:
    """Layer → ‖its output − the exact‖₂ / ‖the exact‖₂, each given exact inputs; the largest of its calls.

    ``exact`` is the graph that was quantized: calls have the same names in both.
    """
    outputs = _Outputs(exact)
    outputs.run(*(each.clone() for each in inputs))
    corrected = _Corrected(quantized, outputs.by_name)
    corrected.run(*(each.clone() for each in inputs))
    return corrected.errors


class _Outputs(torch.fx.Interpreter):
    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self.by_name: dict[str, torch.Tensor] = {}

    def run_node(self, node: torch.fx.Node):
        result = super().run_node(node)
        if node.target in (LINEAR, *CONVOLUTIONS):
            self.by_name[node.name] = result.clone()  # what follows may work in place
        return result


class _Corrected(torch.fx.Interpreter):
    """Goes on with the exact output after each call with a weight, so that errors don't add up."""

    def __init__(self, graph: torch.fx.GraphModule, exact: dict[str, torch.Tensor]) -> None:
        super().__init__(graph)
        self.errors: dict[str, float] = {}
        self._exact = exact

    def run_node(self, node: torch.fx.Node):
        result = super().run_node(node)
        exact = self._exact.get(node.name)
        if exact is None:
            return result
        layer = layer_of(node) or ""
        self.errors[layer] = max(self.errors.get(layer, 0.0), relative_distance(result, exact))
        return exact.clone()


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"

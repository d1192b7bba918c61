"""An exported graph made ready for quantization: it computes the same, in calls that have a form in fewer bits."""

from __future__ import annotations

import torch

from workbench.techniques.quantize.batch_norms import fold_batch_norms
from workbench.techniques.quantize.products import products_as_linear_calls


def rewritten(exported: torch.export.ExportedProgram, *, fold: bool) -> torch.fx.GraphModule:
    """A graph module of what the output of ``exported`` depends on, its products by constant matrices as linear calls.

    ``fold``: batch normalisations are folded into the layers before them.
    """
    graph = exported.module()
    graph.graph.eliminate_dead_code()
    products_as_linear_calls(graph)
    if fold:
        fold_batch_norms(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph

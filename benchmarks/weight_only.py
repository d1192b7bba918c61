"""Weights alone in fewer bits on native, at batch 1, beside those of int8: ``python -m benchmarks.weight_only``.

All widths of a model are timed in one process, in turn; a ratio's interval is of the rounds that both were measured in.
The perceptron has random weights: speed doesn't depend on them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks._interleave import interleaved, ratio
from workbench import engines, models, precisions
from workbench.engines import Runner
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data, Inputs, Workload

SECONDS = 20.0
WIDE = "perceptron 2048-4096-4096-16"


def cases() -> Iterator[tuple[str, nn.Module, Context]]:
    """The models by name, with data for them."""
    torch.manual_seed(0)
    layers = [nn.Linear(2048, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 16)]
    inputs = torch.randn(8, 2048)
    yield WIDE, nn.Sequential(*layers).eval(), Context(train=Data(inputs, torch.zeros(8, dtype=torch.long)))
    workload = models.load(Workload("tinytext-lm"))
    yield workload.name, workload.module, Context.of(workload)


def prepared(module: nn.Module, context: Context, scheme: str) -> tuple[Runner, Inputs]:
    """A runner of the model with weights of this scheme, and an example for it."""
    example = context.train.at(slice(1)).inputs
    variant = Quantize(scheme=scheme).apply(Variant(module), context)
    return engines.find("native").prepare(variant, example, threads=torch.get_num_threads()), example


def main() -> None:
    """Print a table: the time of int8's weights over that of each other scheme's."""
    schemes = [name for name, each in precisions.registered().items() if each.weights_only]
    print("| model | weights | times as fast as int8's |", "|---|---|---|", sep="\n")
    for name, module, context in cases():
        ready = {scheme: prepared(module, context, scheme) for scheme in schemes}
        times = interleaved({scheme: lambda pair=pair: pair[0](*pair[1]) for scheme, pair in ready.items()}, SECONDS)
        for scheme in schemes:
            faster = ratio(times["int8-weights"], times[scheme])
            print(f"| {name} | {scheme} | {faster.value:.2f} ({faster.low:.2f} to {faster.high:.2f}) |", flush=True)


if __name__ == "__main__":
    main()

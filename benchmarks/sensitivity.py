"""How long it takes to find which layer costs what: ``[model …]``, each in five schemes, on 1,000 test examples.

In seconds from the question, asked of a worker that holds the model: until a first layer is known in one scheme, until
each layer alone is known in every scheme on all examples, and until all but each are too.
"""

from __future__ import annotations

import argparse
import time

import workbench as wb
from benchmarks._report import those_here
from workbench.recipe import Recipe
from workbench.sensitivities import Sensitivity

MODELS = ("fashion-cnn", "fashion-resnet8", "cifar-resnet20")
SCHEMES = ("int8-static", "int8-dynamic", "int8-weights", "int4-weights", "binary-weights")
EXAMPLES = 1_000


def _each_alone(found: Sensitivity) -> bool:
    return all(cell.reason or (cell.only and cell.only.n == found.examples) for cell in found.cells)


def main() -> None:
    """Print a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="model")
    session = wb.Session()
    print("| model | layers | cells | first row, s | each alone, s | all, s |\n|" + "---|" * 6)
    for name in those_here(parser.parse_args().models):
        workload = wb.load(name)
        session.start(workload, Recipe.plain()).result()
        started, first, alone = time.perf_counter(), None, None
        for found in session.sensitivity(workload, Recipe(), SCHEMES, EXAMPLES):
            seconds = time.perf_counter() - started
            first = seconds if first is None else first
            alone = seconds if alone is None and _each_alone(found) else alone
        cells = sum(not cell.reason for cell in found.cells)
        print(f"| `{name}` | {len(found.layers)} | {cells} | {first:.1f} | {alone:.1f} | {seconds:.1f} |", flush=True)
    session.close()


if __name__ == "__main__":
    main()

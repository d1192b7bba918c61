"""``make bench-quantize``: every scheme on the embedded models, each run as the page runs it: ``[model …]``.

A row is a recipe on the engine that "auto" takes: what it loses on the whole test set, what it weighs on disk, and how
many times as fast it is as the strongest float32 baseline.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import workbench as wb
from benchmarks._report import spread, those_here
from workbench import precisions
from workbench.errors import WorkbenchError
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.techniques.quantize.schemes import by_groups

MODELS = ("fashion-mlp", "fashion-cnn", "fashion-resnet8", "fashion-mobilenet", "tinytext-lm", "cifar-resnet20")


def recipes() -> Iterator[Recipe]:
    """Each scheme as it comes, and those whose rounding is learned without that too."""
    for name, each in precisions.registered().items():
        if each.is_plain:
            continue
        for options in ({}, {"rounding": "nearest"}) if by_groups(each) else ({},):
            yield Recipe.parse(steps=[{"do": "quantize", "scheme": name, **options}])


def _row(recipe: Recipe, result: Result) -> str:
    [step] = recipe.steps
    scale = 100 if result.variant.quality.unit == "share" else 1
    kept = result.variant.size_bytes / result.baseline.size_bytes
    learned = ", to the nearest" if step.rounding == "nearest" else ""
    real = sum(row.reality == "real" for row in result.receipt)
    layers = sum(row.has_weight for row in result.receipt)
    cells = (
        step.scheme + learned,
        f"{scale * result.variant.quality.value:.4g}",
        spread(result.quality_loss, scale),
        f"{100 * kept:.1f} %",
        spread(result.speedup),
        result.variant.engine,
        f"{real} of {layers}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table for each model, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="model")
    for name in those_here(parser.parse_args().models):
        plain = wb.run(name, Recipe.plain()).result().baseline
        figure = 100 * plain.quality.value if plain.quality.unit == "share" else plain.quality.value
        print(f"\n`{name}`: {plain.quality.title} {figure:.4g}, {plain.size_bytes / 1e3:.0f} kB\n")
        print("| scheme | then | lost | of the size | times as fast | engine | layers real |")
        print("|" + "---|" * 7)
        for recipe in recipes():
            try:
                print(_row(recipe, wb.run(name, recipe).result()), flush=True)
            except WorkbenchError as error:
                print(f"| {recipe.summary()} | {error} | | | | | |", flush=True)


if __name__ == "__main__":
    main()

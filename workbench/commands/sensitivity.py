"""``workbench sensitivity``: which layer costs the model what, in which scheme."""

from __future__ import annotations

import argparse
import sys

from workbench.commands import asked
from workbench.sensitivities import Effect, Sensitivity
from workbench.session import Session


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``sensitivity`` to the command line."""
    command = commands.add_parser(
        "sensitivity",
        help="print what each layer costs the model in each scheme of quantization",
        epilog="Flags of other techniques say what is done to the model before; those of quantize give its options.",
    )
    command.set_defaults(command=_sensitivity)
    asked.add_workload(command)
    asked.add_steps(command)
    command.add_argument(
        "--schemes", default="", help="some of a layer's schemes, with commas; when absent all but those of 7 to 5 bits"
    )
    command.add_argument("--examples", type=int, default=1000, help="test examples that are looked at")
    command.add_argument("--json", action="store_true", help="print everything as one JSON object")
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")


def _sensitivity(chosen: argparse.Namespace) -> int:
    recipe, schemes = asked.recipe(chosen), [name.strip() for name in chosen.schemes.split(",") if name.strip()]
    session = Session()
    try:
        for found in session.sensitivity(asked.workload(chosen), recipe, schemes, chosen.examples, train=True):
            print(f"\r· {found.done:4.0%}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
    finally:
        session.close()
    print(found.model_dump_json(indent=1) if chosen.json else table(found))
    return 0


def table(found: Sensitivity) -> str:
    """The loss where a layer alone is in a scheme, a line for each layer; schemes that fit no layer are left out."""
    cells = {(cell.layer, cell.scheme): cell for cell in found.cells}
    schemes = [name for name in found.schemes if any(cells[layer, name].only for layer in found.layers)]
    rows = [["", *schemes]]
    rows += [[layer, *(_loss(cells[layer, name].only, found.unit) for name in schemes)] for layer in found.layers]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join((first.ljust(widths[0]), *map(str.rjust, rest, widths[1:]))).rstrip() for first, *rest in rows]
    unit = "percentage points" if found.unit == "share" else found.unit
    title = f"loss of {found.title}{', ' * bool(unit)}{unit}, where one layer alone is in the scheme"
    return "\n".join([f"{title}; {found.examples:,} test examples; · has no such form", *lines])


def _loss(effect: Effect | None, unit: str) -> str:
    if effect is None:
        return "·"
    if effect.loss is None:
        return "no number"
    return f"{100 * effect.loss.value:+.1f}" if unit == "share" else f"{effect.loss.value:+.3g}"

"""``workbench mixed-precision``: the fastest scheme for each layer within a loss of quality."""

from __future__ import annotations

import argparse
import json
import sys

from workbench.commands import asked
from workbench.mixtures import Candidate, Mixture
from workbench.recipe import Recipe
from workbench.session import Session
from workbench.workload import Workload


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add ``mixed-precision`` to the command line."""
    command = commands.add_parser(
        "mixed-precision",
        help="find the fastest scheme of quantization for each layer within a loss of quality",
        epilog="Training examples judge on the way, the test examples what was found. Ctrl-C takes the best so far.",
    )
    command.set_defaults(command=_mixed_precision)
    asked.add_workload(command)
    asked.add_steps(command)
    asked.add_place(command)
    command.add_argument(
        "--budget",
        type=float,
        default=0.005,
        help="the loss that is accepted, as a share: 0.005 is half a percentage point, or half a per cent of a metric "
        "that is no share",
    )
    command.add_argument(
        "--schemes",
        default="",
        help="what layers may have beside fp32 and int8-static, with commas; usual ones if absent",
    )
    command.add_argument("--examples", type=int, default=4000, help="training examples that judge")
    command.add_argument("--seconds", type=float, default=120.0, help="no further model is built after so long")
    command.add_argument("--json", action="store_true", help="print search and result as one JSON object")
    command.add_argument("--debug", action="store_true", help="print the traceback of an error")


def _mixed_precision(chosen: argparse.Namespace) -> int:
    recipe, workload = asked.recipe(chosen), asked.workload(chosen)
    session = Session()
    try:
        found = _searched(session, workload, recipe, chosen)
        print("· judging it on the test examples", file=sys.stderr)
        result = session.start(workload, Recipe.parse(found.recipe)).result()
    finally:
        session.close()
    if chosen.json:
        both = {"search": found.model_dump(mode="json"), "result": result.model_dump(mode="json")}
        print(json.dumps(both, indent=1))
    else:
        judged = f"on the test examples: loss {_loss(result.quality_loss.value, found.unit)}; {result.verdict}"
        print(table(found), judged, Recipe.parse(found.recipe).to_json(), sep="\n\n")
    return 0


def _searched(session: Session, workload: Workload, recipe: Recipe, chosen: argparse.Namespace) -> Mixture:
    schemes = [name.strip() for name in chosen.schemes.split(",") if name.strip()]
    more = {"examples": chosen.examples, "seconds": chosen.seconds, "train": True}
    best, shown = None, ""
    try:
        for found in session.mixed_precision(workload, recipe, chosen.budget, schemes, **more):
            best = found if found.recipe else best
            stage = found.doing.partition(",")[0]
            if stage and stage != shown:
                print(f"· {stage}", file=sys.stderr)
                shown = stage
    except KeyboardInterrupt:
        if best is None:
            raise
    return best


def table(found: Mixture) -> str:
    """A line for each model that was measured: what was estimated of it, what it came to, and its layers' schemes."""
    head = ["", "loss estimated", "measured", "speed estimated", "measured", ""]
    rows = [head, *(_row(each, found, each is found.chosen) for each in found.candidates)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    unit = "percentage points" if found.unit == "share" else found.unit
    title = f"loss of {found.title}{', ' * bool(unit)}{unit}, on {found.examples:,} training examples"
    limit = _loss(found.limit, found.unit).lstrip("+")
    return "\n".join([f"{title}, up to {limit}; speed beside {found.reference} on {found.engine}", *lines])


def _row(candidate: Candidate, found: Mixture, is_best: bool) -> list[str]:
    if candidate is found.plain:
        speed = "is the reference"
    elif candidate.speedup:
        speed = f"{candidate.speedup.value:.2f}× ({candidate.speedup.low:.2f} to {candidate.speedup.high:.2f})"
    else:
        speed = "" if candidate.reason else "loses too much"
    return [
        f"{'→' if is_best else ' '} {candidate.origin}",
        "" if candidate.estimated_loss is None else _loss(candidate.estimated_loss, found.unit),
        candidate.reason or (_loss(candidate.loss.value, found.unit) if candidate.loss else ""),
        f"{candidate.estimated_speedup:.2f}×",
        speed,
        in_words(candidate.schemes),
    ]


def in_words(schemes: dict[str, str]) -> str:
    """The schemes and how many layers have each; layers by name where they are few."""
    layers: dict[str, list[str]] = {}
    for layer, scheme in schemes.items():
        layers.setdefault(scheme, []).append(layer)
    told = sorted(layers.items(), key=lambda each: -len(each[1]))
    return ", ".join(f"{scheme}: {', '.join(named) if len(named) < 4 else len(named)}" for scheme, named in told)


def _loss(value: float, unit: str) -> str:
    return f"{100 * value:+.2f}" if unit == "share" else f"{value:+.3g}"

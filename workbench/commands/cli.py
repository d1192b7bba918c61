"""The command line: the same words as recipes and widgets, with flags made from the techniques' declarations."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable

import workbench
from workbench import models
from workbench.commands import asked, doctor, fetch, launch, mixed_precision, sensitivity
from workbench.commands.arguments import Parser
from workbench.core import offer
from workbench.core.report import figures
from workbench.core.saving import require_writable
from workbench.errors import WorkbenchError
from workbench.events import Event
from workbench.machine import devices
from workbench.receipt import Result
from workbench.recipe import Recipe
from workbench.session import Run, RunCancelled, Session


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 only when what was asked for was done."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        return chosen.command(chosen) or 0
    except WorkbenchError as error:
        print(f"workbench: {error}", file=sys.stderr)
        if getattr(chosen, "debug", False):
            print(getattr(error, "detail", "") or traceback.format_exc(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("workbench: interrupted", file=sys.stderr)
        return 130


# -- commands


def _run(chosen: argparse.Namespace) -> int:
    recipe = asked.recipe(chosen)
    if chosen.save:
        require_writable(chosen.save)  # before minutes are spent on what then couldn't be kept
    workload = asked.workload(chosen)
    session = Session()
    try:
        result = _followed(session.start(workload, recipe, baseline=chosen.baseline))
        if chosen.save:
            paths = session.save_model(workload, Recipe.parse(result.recipe), chosen.save, result)
            for path in paths:
                print(f"· wrote {path}", file=sys.stderr)
    except KeyboardInterrupt:
        raise RunCancelled("interrupted") from None
    finally:
        session.close()
    print(result.model_dump_json(indent=1) if chosen.json else _table(result))
    return 0


def _followed(run: Run) -> Result:
    """The result, once it is there; what goes on is told on stderr. Ctrl-C takes the best so far of a search."""
    shown, searches = "", False
    while True:
        try:
            for event in run:
                searches = event.kind == "search"
                if (words := _in_words(event)) and words != shown:
                    shown = words
                    print(f"· {shown}", file=sys.stderr)
            return run.result()
        except KeyboardInterrupt:
            if not searches:
                raise
            run.take_best()
            searches = False  # the next one ends it


def _in_words(event: Event) -> str:
    """What an event says of what goes on; "" where it says nothing of that."""
    if event.kind == "search":
        best = event.mixture.in_words
        return f"best so far: {best}" if best else event.mixture.doing
    return event.message if event.kind in ("progress", "notice") else ""


def _list(chosen: argparse.Namespace) -> int:
    rows = _LISTED[chosen.what]()
    if chosen.json:
        print(json.dumps(rows, indent=1))
    else:
        width = max(map(len, rows))
        print("\n".join(f"{name:<{width}}  {text}" for name, text in rows.items()))
    return 0


_LISTED: dict[str, Callable[[], dict[str, str]]] = {
    "workloads": lambda: models.available() | models.not_yet(),
    "techniques": lambda: {each.name: each.help for each in offer.technique_infos()},
    "engines": lambda: {each.name: each.unavailable or "available" for each in offer.engine_infos()},
    "metrics": lambda: {each.name: f"{each.title}, {each.better} is better" for each in offer.metric_infos()},
    "losses": lambda: {each.name: each.help for each in offer.loss_infos()},
    "devices": lambda: {each["name"]: each["unavailable"] or each["title"] for each in devices.devices()},
}
"""What there is of each kind, by name, and a line on each."""


def _show_machine(chosen: argparse.Namespace) -> int:
    for name, value in doctor.rows():
        print(f"{name:<18} {value}")
    return 0


def _table(result: workbench.receipt.Result) -> str:
    rows = figures(result)
    width = max(len(name) for name, *_ in rows) + 2
    lines = [f"{'':<{width}}{'baseline: ' + result.baseline.engine:<34}variant: {result.variant.engine}"]
    lines += [f"{name:<{width}}{before:<34}{after}" for name, before, after in rows]
    lines.append("")
    for row in workbench.receipt.weights_first(result.receipt):
        kernel = f"{row.kernel or '—'} ({row.reality})"
        lines.append(f"  {row.layer:<22}{kernel:<44}{row.reason}".rstrip())
    return "\n".join([*lines, "", result.verdict])


# -- the parser


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="workbench", description="Make neural networks faster, and see what it costs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run one recipe on one workload and print what it gave",
        epilog="Any flag of a technique turns it on; those of its options that aren't given take their defaults. "
        "Ctrl-C ends a search (--quantize auto) with the best so far, and anything else at once.",
    )
    run.set_defaults(command=_run)
    asked.add_workload(run)
    asked.add_steps(run)
    asked.add_place(run)
    run.add_argument(
        "--baseline", default="auto", help="fp32 engine to compare with; auto: the faster of eager and compiled"
    )
    run.add_argument("--save", metavar="PATH", help="take the variant away: a folder, or a .zip, to write it to")
    run.add_argument("--json", action="store_true", help="print the result as one JSON object")
    run.add_argument("--debug", action="store_true", help="print the traceback of an error")

    listing = commands.add_parser("list", help="list what there is")
    listing.set_defaults(command=_list)
    listing.add_argument("what", metavar="KIND", choices=list(_LISTED), help=f"one of {', '.join(_LISTED)}")
    listing.add_argument("--json", action="store_true")

    sensitivity.add_command(commands)
    mixed_precision.add_command(commands)
    commands.add_parser("doctor", help="show what this machine can do").set_defaults(command=_show_machine)
    fetch.add_command(commands)
    launch.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())

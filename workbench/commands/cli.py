"""The command line: the same words as recipes and widgets, with flags made from the techniques' declarations."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from pathlib import Path

import workbench
from workbench import models, techniques
from workbench.catalog import OptionInfo
from workbench.commands import doctor, fetch, launch
from workbench.commands.arguments import Parser
from workbench.core import offer
from workbench.core.report import figures
from workbench.core.saving import require_writable
from workbench.errors import WorkbenchError, unknown
from workbench.machine import devices
from workbench.recipe import Recipe
from workbench.session import RunCancelled, Session
from workbench.tasks import losses, metrics
from workbench.workload import CALLS


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
    recipe = _recipe(chosen)
    if chosen.save:
        require_writable(chosen.save)  # before minutes are spent on what then couldn't be kept
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # where the module of module:factory usually is
    workload = workbench.Workload(
        chosen.workload,
        data=chosen.data,
        weights=chosen.weights,
        metric=chosen.metric,
        loss=chosen.loss,
        output=int(chosen.output) if chosen.output.isdecimal() else chosen.output,
        call=chosen.call,
    )
    session = Session()
    try:
        run = session.start(workload, recipe, baseline=chosen.baseline)
        shown = ""
        for event in run:
            if event.kind in ("progress", "notice") and event.message != shown:
                shown = event.message
                print(f"· {shown}", file=sys.stderr)
        result = run.result()
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


def _list(chosen: argparse.Namespace) -> int:
    if chosen.what == "workloads":
        rows = [*models.available().items(), *fetch.not_yet()]
    elif chosen.what == "techniques":
        rows = [(info.name, info.help) for info in offer.technique_infos()]
    elif chosen.what == "engines":
        rows = [(info.name, info.unavailable or "available") for info in offer.engine_infos()]
    elif chosen.what == "metrics":
        rows = [(name, f"{metric.title}, {metric.better} is better") for name, metric in metrics.registered().items()]
    else:
        rows = [(device["name"], device["unavailable"] or device["title"]) for device in devices.devices()]
    if chosen.json:
        print(json.dumps(dict(rows), indent=1))
    else:
        width = max(len(name) for name, _ in rows)
        print("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    return 0


def _show_machine(chosen: argparse.Namespace) -> int:
    for name, value in doctor.rows():
        print(f"{name:<18} {value}")
    return 0


def _recipe(chosen: argparse.Namespace) -> Recipe:
    if chosen.recipe:
        path = Path(chosen.recipe)
        if not path.is_file():
            raise WorkbenchError(f"no recipe file at {chosen.recipe!r}")
        return Recipe.parse(path.read_text())
    steps = []
    for name, technique in techniques.registered().items():
        given = {
            field: value
            for field in technique.model_fields
            if field != "do" and (value := getattr(chosen, f"{name}_{field}", None)) is not None
        }
        if given:
            at = techniques.position(name, [step["do"] for step in steps])
            steps.insert(at, {"do": name, **given})
    place = {"engine": chosen.engine, "device": chosen.device, "threads": chosen.threads, "batch": chosen.batch}
    return Recipe.parse(steps=steps, place=place, seed=chosen.seed)


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
        epilog="Any flag of a technique turns it on; those of its options that aren't given take their defaults.",
    )
    run.set_defaults(command=_run)
    run.add_argument("workload", help="an embedded or fetched workload, a model's file or folder, or module:factory")
    run.add_argument("--data", help="an .npz with `inputs` and `targets`, for a model of your own")
    run.add_argument("--weights", help="a .safetensors or .pth file for a module:factory model")
    run.add_argument("--metric", default="auto", help="one of `workbench list metrics`; auto: by what the targets are")
    run.add_argument(
        "--loss", default="auto", help=f"what trains: {', '.join(losses.registered())}; auto: by the metric"
    )
    run.add_argument("--output", default="auto", help="key or number of the output that counts")
    run.add_argument("--call", default="auto", help=f"how inputs are passed: {', '.join(CALLS)}; auto: by their form")
    run.add_argument("--recipe", help="a JSON file; the technique and placement flags are then not used")
    for name, technique in techniques.registered().items():
        _add_technique(run, name, technique)
    place = run.add_argument_group("place")
    place.add_argument("--engine", default="auto", help="one of `workbench list engines`; auto: the best one here")
    place.add_argument("--device", default="cpu", help=devices.names())
    place.add_argument("--threads", type=int, help="CPU threads; all usable ones when absent")
    place.add_argument("--batch", type=int, default=1, help="inputs per call")
    run.add_argument(
        "--baseline", default="auto", help="fp32 engine to compare with; auto: the faster of eager and compiled"
    )
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--save", metavar="PATH", help="take the variant away: a folder, or a .zip, to write it to")
    run.add_argument("--json", action="store_true", help="print the result as one JSON object")
    run.add_argument("--debug", action="store_true", help="print the traceback of an error")

    listing = commands.add_parser("list", help="list what there is")
    listing.set_defaults(command=_list)
    kinds = ["workloads", "techniques", "engines", "metrics", "devices"]
    listing.add_argument("what", metavar="KIND", choices=kinds, help=f"one of {', '.join(kinds)}")
    listing.add_argument("--json", action="store_true")

    commands.add_parser("doctor", help="show what this machine can do").set_defaults(command=_show_machine)
    fetch.add_command(commands)
    launch.add_commands(commands)
    return parser


def _add_technique(parser: argparse.ArgumentParser, name: str, technique: type[techniques.Technique]) -> None:
    """Flags from the declaration: ``--prune 0.5`` for the main option, ``--prune-criterion l2`` for the others."""
    info = next(info for info in offer.technique_infos() if info.name == name)
    group = parser.add_argument_group(name, info.help)
    for option in info.options:
        flag = f"--{name}" if option.name == technique.main_option else f"--{name}-{option.name.replace('_', '-')}"
        kind = {"number": float, "integer": int, "flag": _flag, "text": _text}.get(option.type, str)
        choices = f" ({', '.join(option.choices)})" if option.choices else ""
        unit = f", {option.unit}" if option.unit else ""
        group.add_argument(
            flag,
            dest=f"{name}_{option.name}",
            type=kind,
            metavar="VALUE",
            help=f"{option.help}{choices}{unit}; default {_default_in_words(option)}".replace("%", "%%"),
        )
        if option.entry:
            group.add_argument(
                f"--{name}-{option.entry}",
                dest=f"{name}_{option.name}",
                action=_Entry,
                metavar=f"{option.entry.upper()}=VALUE",
                help=f"one {option.entry} of these; may be given several times",
            )


class _Entry(argparse.Action):
    """Adds ``NAME=VALUE`` to the mapping of an option."""

    def __call__(self, parser, chosen, text, flag=None) -> None:
        name, given, value = text.partition("=")
        if not (name and given and value):
            raise argparse.ArgumentError(self, f"{text!r} isn't of the form {self.metavar}")
        setattr(chosen, self.dest, {**(getattr(chosen, self.dest) or {}), name: value})


def _default_in_words(option: OptionInfo) -> str:
    others = [
        f"{value} for {choice}" for defaults in option.default_when.values() for choice, value in defaults.items()
    ]
    return ", ".join((str(option.default), *others))


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(unknown("value", text, ["true", "false"]))
    return text.lower() == "true"


def _text(text: str) -> object:
    """A plain string, or JSON where it is an object: ``--quantize-overrides '{"conv1": "fp32"}'``."""
    try:
        return json.loads(text) if text.startswith("{") else text
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON object: {error.msg} at character {error.pos}") from None


if __name__ == "__main__":
    sys.exit(main())

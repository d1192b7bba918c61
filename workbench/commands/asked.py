"""What is asked for on the command line: a workload and a recipe, with flags made from the techniques' declarations."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from workbench import models, techniques
from workbench.catalog import OptionInfo
from workbench.core import offer
from workbench.errors import WorkbenchError, unknown
from workbench.machine import devices
from workbench.recipe import Place, Recipe
from workbench.tasks import losses, metrics
from workbench.workload import CALLS, Workload


def add_workload(command: argparse.ArgumentParser) -> None:
    """Everything that tells a workload."""
    command.add_argument(
        "workload", help="an embedded or fetched workload, a model's file or folder, or module:factory"
    )
    command.add_argument("--data", help="an .npz with `inputs` and `targets`, for a model of your own")
    command.add_argument("--weights", help="a .safetensors or .pth file for a module:factory model")
    command.add_argument(
        "--metric",
        default="auto",
        help=f"what judges: {', '.join(metrics.registered())}; auto: by what the targets are",
    )
    command.add_argument(
        "--loss", default="auto", help=f"what trains: {', '.join(losses.registered())}; auto: by the metric"
    )
    command.add_argument("--output", default="auto", help="key or number of the output that counts")
    command.add_argument(
        "--call", default="auto", help=f"how inputs are passed: {', '.join(CALLS)}; auto: by their form"
    )


def add_steps(command: argparse.ArgumentParser) -> None:
    """Everything that tells what is done to a model."""
    command.add_argument("--recipe", help="a JSON file; the technique and placement flags are then not used")
    for name, technique in techniques.registered().items():
        _add_technique(command, name, technique)
    command.add_argument("--seed", type=int, default=0)


def add_place(command: argparse.ArgumentParser) -> None:
    """Everything that tells where a model runs and how."""
    place = command.add_argument_group("place")
    place.add_argument("--engine", default="auto", help="one of `workbench list engines`; auto: the best one here")
    place.add_argument("--device", default="cpu", help=devices.names())
    place.add_argument("--threads", type=int, help="CPU threads; all usable ones when absent")
    place.add_argument("--batch", type=int, default=1, help="inputs per call")


def workload(chosen: argparse.Namespace) -> Workload:
    """The workload that was asked for; modules are looked for where the command was given, too."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # where the module of module:factory usually is
    return Workload(
        models.named(chosen.workload),
        data=chosen.data,
        weights=chosen.weights,
        metric=chosen.metric,
        loss=chosen.loss,
        output=int(chosen.output) if chosen.output.isdecimal() else chosen.output,
        call=chosen.call,
    )


def recipe(chosen: argparse.Namespace) -> Recipe:
    """The recipe of the file that was given, else of the flags; :class:`WorkbenchError` where there is none."""
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
    place = {name: getattr(chosen, name) for name in Place.model_fields if hasattr(chosen, name)}
    return Recipe.parse(steps=steps, place=place, seed=chosen.seed)


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

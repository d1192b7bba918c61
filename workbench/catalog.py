"""What a page can offer here: workloads, techniques with their options, engines and devices.

What can't be used on this machine is offered too, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from workbench import engines, precisions, techniques


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class OptionInfo(_Frozen):
    """One option of a technique, as its declaration says."""

    name: str
    title: str
    help: str
    type: Literal["choice", "number", "integer", "flag", "text"]
    default: Any
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    when: dict[str, list] = {}
    maximum_when: dict[str, dict[str, float]] = {}
    trains: bool = False
    """Whether it counts the epochs that the step trains for."""
    precisions: dict[str, str] = {}
    """By choice the precision it asks for, where it asks for any."""


class TechniqueInfo(_Frozen):
    """A toggle and its options."""

    name: str
    title: str
    help: str
    works_on: str
    later: tuple[str, ...]
    """The techniques whose steps a new step of this one goes in front of."""
    options: tuple[OptionInfo, ...]


class EngineInfo(_Frozen):
    """An engine; ``refuses`` says by device and precision why it can't run that there."""

    name: str
    title: str
    unavailable: str | None
    refuses: dict[str, dict[str, str]]


class DeviceInfo(_Frozen):
    """A device kind or one device; ``unavailable`` is why it's greyed."""

    name: str
    title: str
    unavailable: str | None = None


class WorkloadInfo(_Frozen):
    """An embedded workload or the user's own."""

    name: str
    description: str


class Catalog(_Frozen):
    """Everything a page offers on this machine."""

    workloads: tuple[WorkloadInfo, ...]
    techniques: tuple[TechniqueInfo, ...]
    engines: tuple[EngineInfo, ...]
    devices: tuple[DeviceInfo, ...]
    students: tuple[str, ...]
    preferred: tuple[str, ...]
    """The engines that "auto" tries, in this order; the first that doesn't refuse the precision is shown for it."""
    threads: int
    """CPU threads a recipe may use: the cores of this process, within the container's quota."""


@cache
def technique_infos() -> tuple[TechniqueInfo, ...]:
    """The registered techniques, from their declarations alone."""
    return tuple(
        TechniqueInfo(
            name=name,
            title=technique.title,
            help=(technique.__doc__ or "").strip().splitlines()[0],
            works_on=technique.works_on,
            later=techniques.later(name),
            options=tuple(_options(technique.model_json_schema())),
        )
        for name, technique in techniques.registered().items()
    )


def engine_infos(devices: Sequence[str] = ("cpu",)) -> tuple[EngineInfo, ...]:
    """The registered engines and what each refuses on each of ``devices``."""
    return tuple(
        EngineInfo(
            name=name,
            title=engine.title,
            unavailable=engine.unavailable(),
            refuses={
                device: {p: reason for p in precisions.registered() if (reason := engine.refuses(p, device))}
                for device in devices
            },
        )
        for name, engine in engines.registered().items()
    )


def libraries() -> frozenset[str]:
    """The installed packages that figures depend on, as engines and techniques declare them."""
    declarations = (*engines.registered().values(), *techniques.registered().values())
    return frozenset().union(*(each.libraries for each in declarations))


def _options(schema: dict[str, Any]):
    for name, field in schema["properties"].items():
        if name == "do":
            continue
        kinds = {"number": "number", "integer": "integer", "boolean": "flag", "string": "text"}
        yield OptionInfo(
            name=name,
            title=field.get("title", name),
            help=field.get("description", ""),
            type="choice" if "enum" in field else kinds.get(field.get("type"), "text"),
            default=field.get("default"),
            choices=tuple(field.get("enum", ())),
            minimum=field.get("minimum"),
            maximum=field.get("maximum"),
            unit=field.get("unit", ""),
            when=field.get("when", {}),
            maximum_when=field.get("maximum_when", {}),
            trains=field.get("trains", False),
            precisions=field.get("precisions", {}),
        )

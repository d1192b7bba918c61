"""What a page can offer here: workloads, metrics and losses, techniques with their options, engines and devices.

What can't be used on this machine is offered too, with the reason.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from workbench.receipt import Direction


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
    default_when: dict[str, dict[str, Any]] = {}
    trains: bool = False
    """Whether it counts the epochs that the step trains for."""
    precisions: dict[str, str] = {}
    """By choice the precision it asks for, where it asks for any."""
    headings: dict[str, str] = {}
    """By choice what it stands under in a list, where it stands under anything."""
    choices_help: dict[str, str] = {}
    """By choice what it is in a few words, where its name doesn't say."""
    entry: str = ""
    """Of a mapping: what each entry is for ("layer"); the choices are its values then."""


class TechniqueInfo(_Frozen):
    """A toggle and its options."""

    name: str
    title: str
    help: str
    about: tuple[str, ...] = ()
    """What its file says of it, by paragraph; the first is its help."""
    family: str
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


class MetricInfo(_Frozen):
    """What may judge a model; ``unit`` and ``better`` are those of its figure."""

    name: str
    title: str
    help: str
    unit: str
    better: Direction


class LossInfo(_Frozen):
    """What training may make small."""

    name: str
    help: str


class Catalog(_Frozen):
    """Everything a page offers on this machine."""

    workloads: tuple[WorkloadInfo, ...]
    metrics: tuple[MetricInfo, ...] = ()
    losses: tuple[LossInfo, ...] = ()
    techniques: tuple[TechniqueInfo, ...]
    engines: tuple[EngineInfo, ...]
    devices: tuple[DeviceInfo, ...]
    preferred: tuple[str, ...]
    """The engines that "auto" tries, in this order; the first that doesn't refuse the precision is shown for it."""
    threads: int
    """CPU threads a recipe may use: the cores of this process, within the container's quota."""

"""What can be offered on this machine, as its parts declare it, each in a file of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import cleandoc
from typing import Any

from workbench import engines, models, precisions, techniques
from workbench.catalog import (
    Catalog,
    DeviceInfo,
    EngineInfo,
    LossInfo,
    MetricInfo,
    OptionInfo,
    TechniqueInfo,
    WorkloadInfo,
)
from workbench.machine import devices
from workbench.machine.limits import usable_threads
from workbench.plumbing import registry
from workbench.tasks import losses, metrics


def offered() -> Catalog:
    """Everything; takes the seconds that torch needs to look for devices."""
    found = tuple(DeviceInfo(**device) for device in devices.devices())
    return Catalog(
        workloads=tuple(WorkloadInfo(name=name, description=said) for name, said in models.available().items()),
        metrics=metric_infos(),
        losses=loss_infos(),
        techniques=technique_infos(),
        engines=engine_infos([device.name for device in found]),
        devices=found,
        preferred=engines.preferred(),
        threads=usable_threads(),
    )


def metric_infos() -> tuple[MetricInfo, ...]:
    """The registered metrics, from their declarations alone."""
    return tuple(
        MetricInfo(name=name, title=each.title, help=_help(each), unit=each.unit, better=each.better)
        for name, each in metrics.registered().items()
    )


def loss_infos() -> tuple[LossInfo, ...]:
    """The registered losses, from their declarations alone."""
    return tuple(LossInfo(name=name, help=_help(each)) for name, each in losses.registered().items())


@cache
def technique_infos() -> tuple[TechniqueInfo, ...]:
    """The registered techniques, from their declarations alone."""
    return tuple(
        TechniqueInfo(
            name=name,
            title=technique.title,
            help=_help(technique),
            about=_paragraphs(technique.__doc__ or ""),
            family=technique.family or technique.title,
            works_on=technique.works_on,
            later=techniques.later(name),
            options=tuple(_options(technique.model_json_schema())),
        )
        for name, technique in techniques.registered().items()
    )


def _help(declared: object) -> str:
    """The first line of what its file says of it."""
    return (declared.__doc__ or "").strip().partition("\n")[0]


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(paragraph.split()) for paragraph in cleandoc(text).split("\n\n"))


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
    """The installed packages that figures depend on: those declared by what computes them, and those that bring it."""
    from workbench.models import loaders  # imports torch

    declarations = (
        *engines.registered().values(),
        *techniques.registered().values(),
        *metrics.registered().values(),
        *losses.registered().values(),
        *loaders.registered(),
        *devices.kinds().values(),
    )
    return registry.bringers().union(*(each.libraries for each in declarations))


def _options(schema: dict[str, Any]) -> Iterator[OptionInfo]:
    for name, field in schema["properties"].items():
        if name == "do":
            continue
        field = {**field.get("anyOf", [{}])[0], **field}  # of one that may be absent
        asked = field.get("precisions", {})
        formats = {choice: precisions.find(precision) for choice, precision in asked.items()}
        kinds = {"number": "number", "integer": "integer", "boolean": "flag", "string": "text"}
        yield OptionInfo(
            name=name,
            title=field.get("title", name),
            help=field.get("description", ""),
            type="choice" if "enum" in field else kinds.get(field.get("type"), "text"),
            default=field.get("default"),
            choices=tuple(field.get("enum", field.get("additionalProperties", {}).get("enum", ()))),
            minimum=field.get("minimum", field.get("exclusiveMinimum")),
            maximum=field.get("maximum"),
            unit=field.get("unit", ""),
            when=field.get("when", {}),
            maximum_when=field.get("maximum_when", {}),
            default_when=field.get("default_when", {}),
            trains=field.get("trains", False),
            precisions=asked,
            headings={choice: each.kind for choice, each in formats.items()},
            choices_help={choice: each.help for choice, each in formats.items()},
            entry=field.get("entry", ""),
        )

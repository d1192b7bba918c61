"""Which toggles could do nothing to the very model that was loaded, and why."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch

from workbench import catalog, techniques
from workbench.events import Blocked
from workbench.techniques import Task, Technique
from workbench.workload import LoadedWorkload


def toggles(workload: LoadedWorkload) -> dict[str, Blocked]:
    """By technique: what of it could do nothing to this workload's model. Those that are free are left out.

    Each combination of an option's few choices is asked about; a choice is blocked where all
    combinations with it are, and the technique where all of them are.
    """
    found = {}
    for info in catalog.technique_infos():
        choices = {option.name: option.choices for option in info.options if option.choices}
        combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
        technique = techniques.find(info.name)
        reasons = [technique(**chosen).blocked(workload.module, task_of(workload)) for chosen in combinations]
        if all(reasons):
            found[info.name] = Blocked(reason=reasons[0])
        elif any(reasons):
            found[info.name] = Blocked(choices=_by_choice(choices, combinations, reasons))
    return found


def first_reason(steps: Iterable[Technique], module: torch.nn.Module, task: Task | None = None) -> str | None:
    """Why the first of ``steps`` that could do nothing to ``module`` can't; ``None`` when each can, as far as is known.

    Nothing is known of what follows a step that puts another architecture in the model's place.
    """
    for step in steps:
        if reason := step.blocked(module, task):
            return reason
        if step.replaces_model():
            break
    return None


def task_of(workload: LoadedWorkload) -> Task:
    """What the workload's model has to do."""
    return Task(tuple(workload.test.inputs.shape[1:]), workload.classes)


def _by_choice(
    choices: dict[str, tuple[str, ...]], combinations: list[dict[str, str]], reasons: list[str | None]
) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for option, values in choices.items():
        for value in values:
            with_it = [reason for chosen, reason in zip(combinations, reasons, strict=True) if chosen[option] == value]
            if all(with_it):
                found.setdefault(option, {})[value] = with_it[0]
    return found

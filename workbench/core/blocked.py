"""Which toggles could do nothing to the very model that was loaded, and why."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from workbench import techniques
from workbench.events import Blocked
from workbench.graph.layers import weighted
from workbench.techniques import Form, Technique
from workbench.workload import LoadedWorkload


def toggles(workload: LoadedWorkload) -> dict[str, Blocked]:
    """By technique: what of it could do nothing to this workload's model. Those that are free are left out.

    A technique is asked once for each choice of the option that decides, and blocked where all of them are.
    """
    found = {}
    for name, technique in techniques.registered().items():
        option = technique.deciding_option
        choices = technique.choices(option) if option else ()
        steps = {choice: technique(**{option: choice}) for choice in choices} or {"": technique()}
        asked = {choice: step.blocked(workload.module, form_of(workload)) for choice, step in steps.items()}
        reasons = {choice: reason for choice, reason in asked.items() if reason}
        kinds = _unfit(steps, workload.module)
        if len(reasons) == len(asked):
            found[name] = Blocked(reason=next(iter(reasons.values())))
        elif reasons or kinds:
            found[name] = Blocked(choices={option: reasons} if reasons else {}, kinds=kinds)
    return found


def _unfit(steps: dict[str, Technique], module: torch.nn.Module) -> dict[str, dict[str, str]]:
    """By the class of a layer the choices that could do nothing to one, and why."""
    found: dict[str, dict[str, str]] = {}
    for kind, layer in {type(layer).__name__: layer for layer in weighted(module).values()}.items():
        if reasons := {choice: reason for choice, step in steps.items() if (reason := step.unfit(layer))}:
            found[kind] = reasons
    return found


def first_reason(steps: Iterable[Technique], module: torch.nn.Module, form: Form | None = None) -> str | None:
    """Why the first of ``steps`` that could do nothing to ``module`` can't; ``None`` when each can, as far as is known.

    Nothing is known of what follows a step that puts another architecture in the model's place.
    """
    for step in steps:
        if reason := step.blocked(module, form):
            return reason
        if step.replaces_model():
            break
    return None


def form_of(workload: LoadedWorkload) -> Form:
    """What the workload's model takes and gives."""
    return Form.of(workload.test.inputs, workload.output_shape)

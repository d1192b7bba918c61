"""The embedded models, and the way in for a user's own: modules, ``.pt2``, ``.onnx`` and factories.

Nothing here imports torch until something is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.datasets import ModelCard, card_paths, model_card
from workbench.errors import WorkloadError, unknown
from workbench.workload import LoadedWorkload, Workload

if TYPE_CHECKING:
    import torch

DEFAULT = "fashion-cnn"

__all__ = ["DEFAULT", "build", "embedded", "load", "students"]


def embedded() -> dict[str, str]:
    """The embedded workloads and one line on each, the default first."""
    ordered = sorted(_names(), key=lambda name: (name != DEFAULT, name))
    return {name: _line(model_card(name)) for name in ordered}


def students() -> tuple[str, ...]:
    """The models a teacher can be distilled into, the smallest first."""
    return tuple(sorted(_names(), key=lambda name: model_card(name).parameters))


def build(name: str) -> torch.nn.Module:
    """The architecture of an embedded model with random weights, from torch's global generator.

    Raises
    ------
    WorkloadError
        If the name isn't known, with the nearest ones.
    """
    from workbench.models.zoo import ARCHITECTURES

    if name not in ARCHITECTURES:
        raise WorkloadError(unknown("model", name, ARCHITECTURES))
    return ARCHITECTURES[name]()


def load(workload: Workload) -> LoadedWorkload:
    """Bring a workload into memory and check that its model and data fit each other.

    Raises
    ------
    WorkloadError
        In one line: what can't be used, its value, and what to do.
    """
    from workbench.models._load import load_workload

    return load_workload(workload)


def _names() -> list[str]:
    return [path.stem for path in card_paths() if path.parent.name == "models"]


def _line(card: ModelCard) -> str:
    return f"{card.description}; {card.parameters:,} parameters, {100 * card.accuracy.value:.1f} % on Fashion-MNIST"

"""The embedded models, and the way in for a user's own: modules, files and folders, and factories.

Nothing here imports torch until something is loaded.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.datasets import ModelCard, card_paths
from workbench.datasets.cards import read
from workbench.errors import WorkloadError, as_known, unknown
from workbench.models import fetched
from workbench.plumbing.registry import brought
from workbench.workload import LoadedWorkload, Workload

if TYPE_CHECKING:
    import torch

DEFAULT = "fashion-cnn"

__all__ = ["DEFAULT", "available", "build", "embedded", "load", "named", "not_yet", "require", "students"]


def embedded() -> dict[str, str]:
    """The embedded workloads whose data are here and one line on each, the default first."""
    there = (card for card in _cards() if _has_data(card))
    return {card.name: _line(card) for card in sorted(there, key=lambda card: (card.name != DEFAULT, card.name))}


def available() -> dict[str, str]:
    """The workloads that a name stands for here and one line on each: the embedded ones and those that were fetched."""
    there = {each.name: each.description for each in fetched.registered().values() if each.workload and each.is_there()}
    return {**embedded(), **there}


def not_yet() -> dict[str, str]:
    """The workloads that a name stands for once something is fetched, and how it is."""
    missing = (each for each in fetched.registered().values() if each.workload and not each.is_there())
    waiting = (card for card in _cards() if not _has_data(card))
    return {
        **{each.name: each.how_to_get() for each in missing},
        **{card.name: f"without its data, {card.needs}, {fetched.find(card.needs).how_to_get()}" for card in waiting},
    }


def named(text: str) -> str:
    """The name of a workload, or of something to fetch, that ``text`` is in whatever case; itself if it is none.

    A file or folder that is called so is meant rather than a name that is written otherwise.
    """
    names = {*available(), *not_yet(), *fetched.registered()}
    return text if text in names or Path(text).exists() else as_known(text, names)


def require(name: str) -> None:
    """Raise :class:`WorkloadError` where no workload of this name is here: how it is got, or the nearest names."""
    known = available()
    if name in known:
        return
    if how := not_yet().get(name):
        raise WorkloadError(f"{name} is {how}")
    if name in fetched.registered():
        thing = fetched.find(name)
        thing.required()
        raise WorkloadError(f"{name} is no workload by itself; {thing.how_to_use()}")
    raise WorkloadError(unknown("workload", name, known))


def students() -> tuple[str, ...]:
    """The models a teacher can be distilled into, the smallest first: those that share their task with another."""
    cards = sorted(_cards(), key=lambda card: card.parameters)
    alike = Counter(map(_form, cards))
    return tuple(card.name for card in cards if alike[_form(card)] > 1)


def build(name: str) -> torch.nn.Module:
    """The architecture of an embedded model with random weights, from torch's global generator.

    Raises
    ------
    WorkloadError
        If the name isn't known, with the nearest ones.
    """
    from workbench.models import zoo

    if name not in zoo.registered():
        raise WorkloadError(unknown("model", name, zoo.registered()))
    return zoo.registered()[name].architecture()


def load(workload: Workload) -> LoadedWorkload:
    """Bring a workload into memory and check that its model and data fit each other.

    Raises
    ------
    WorkloadError
        In one line: what can't be used, its value, and what to do.
    """
    from workbench.models._load import load_workload

    return load_workload(workload)


def _form(card: ModelCard) -> tuple:
    """What a model takes and gives, as its card says."""
    return card.input_shape, card.input_dtype, card.classes, card.quality.metric


def _cards() -> list[ModelCard]:
    """Of all embedded models. Those of other packages are imported for theirs, which imports torch."""
    paths = [path for path in card_paths() if path.parent.name == "models"]
    if brought(f"{__name__}.zoo"):
        from workbench.models import zoo

        paths += [each.folder / f"{each.name}.json" for each in zoo.registered().values()]
    return [read(path) for path in dict.fromkeys(paths)]


def _has_data(card: ModelCard) -> bool:
    return not card.needs or fetched.find(card.needs).is_there()


def _line(card: ModelCard) -> str:
    return f"{card.description}; {card.parameters:,} parameters, {card.quality}"

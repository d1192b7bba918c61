"""The cards of embedded data and weights: where each file is from and what was measured on it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FOLDER = Path(__file__).resolve().parent


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Frozen):
    """One stored file, beside its card. ``sha256`` and ``size_bytes`` are of the file as stored."""

    name: str
    sha256: str
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> File:
        """Describe the file at ``path``."""
        return cls(name=path.name, sha256=file_sha256(path), size_bytes=path.stat().st_size)


class Figure(_Frozen):
    """How good the model was, by a metric, on the ``n`` test examples of ``data``.

    ``value`` is in ``unit``: "share" of 1, what the targets are measured in, or "" for a plain number. ``naive`` holds
    what answers that need no model get, in the same unit, each by its name.
    """

    metric: str
    title: str
    value: float
    unit: str
    n: int
    data: str
    naive: dict[str, float] = {}

    def __str__(self) -> str:
        """Such as "accuracy 92.5 % on Fashion-MNIST"."""
        figure = f"{100 * self.value:.1f} %" if self.unit == "share" else f"{self.value:.3g} {self.unit}".rstrip()
        return f"{self.title} {figure} on {self.data}"


class Training(_Frozen):
    """How weights came about. ``plan`` holds the settings by their names in the training script."""

    seed: int
    data: str
    examples: int
    plan: dict[str, int | float | bool]
    epoch_losses: tuple[float, ...]
    seconds: float
    threads: int
    torch: str
    date: str


class _Card(_Frozen):
    name: str
    description: str
    source: str
    licence: str
    made: str = Field(description="the command that made the files")
    files: tuple[File, ...]

    def write(self, path: Path) -> None:
        """Write the card as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


class DataCard(_Card):
    """The card of a data set. ``examples`` counts each part, ``per_class`` the same for one class.

    ``composed`` holds the sha256 of what is made of other data, part by part, where there is no file to tell it.
    """

    kind: Literal["data"] = "data"
    classes: tuple[str, ...] = ()
    input_shape: tuple[int, ...]
    input_dtype: str = "float32"
    examples: dict[str, int]
    per_class: dict[str, int] = {}
    composed: dict[str, str] = {}


class ModelCard(_Card):
    """The card of a model's weights. ``classes`` is ``None`` where its answers are numbers.

    ``needs`` is what has to be fetched to use it, "" where its data are here.
    """

    kind: Literal["model"] = "model"
    parameters: int
    classes: int | None
    input_shape: tuple[int, ...]
    input_dtype: str
    quality: Figure
    training: Training
    needs: str = ""


Card = Annotated[DataCard | ModelCard, Field(discriminator="kind")]
_READER: TypeAdapter[DataCard | ModelCard] = TypeAdapter(Card)


def read(path: Path) -> DataCard | ModelCard:
    """Read a card from its JSON file."""
    return _READER.validate_json(path.read_bytes())


def card_paths() -> tuple[Path, ...]:
    """Every embedded card."""
    return tuple(sorted(FOLDER.glob("*/*.json")))


def data_card(name: str) -> DataCard:
    """The card of an embedded data set."""
    return DataCard.model_validate_json((FOLDER / name / "card.json").read_bytes())


def model_card(name: str) -> ModelCard:
    """The card of an embedded model."""
    return ModelCard.model_validate_json((FOLDER / "models" / f"{name}.json").read_bytes())


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

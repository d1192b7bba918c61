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


class Accuracy(_Frozen):
    """A measured accuracy: ``correct`` of ``n`` examples of ``data``."""

    value: float
    correct: int
    n: int
    data: str


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
    """The card of a data set. ``examples`` counts each part, ``per_class`` the same for one class."""

    kind: Literal["data"] = "data"
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    examples: dict[str, int]
    per_class: dict[str, int]


class ModelCard(_Card):
    """The card of a model's weights."""

    kind: Literal["model"] = "model"
    parameters: int
    classes: int
    input_shape: tuple[int, ...]
    accuracy: Accuracy
    training: Training


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

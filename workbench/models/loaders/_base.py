"""What every loader is: a way to read a model from a path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch


class Tokenizer(ABC):
    """What makes a model's inputs of texts."""

    embeds: bool = False
    """Whether the model gives a vector for each text, so that the two of a pair are read apart."""

    @abstractmethod
    def __call__(self, columns: Sequence[list[str]], *, apart: bool) -> tuple[dict[str, torch.Tensor], str]:
        """The inputs by name, whole numbers [N, tokens], and in words how long they are.

        ``columns`` are N texts, or twice as many where each example is a pair: read as one, or ``apart``, which gives
        [N, 2, tokens]. What the model is to predict, where texts alone tell, is among the inputs as "targets".

        Raises
        ------
        WorkloadError
            In one line: what is wrong with it.
        """

    @abstractmethod
    def text(self, tokens: torch.Tensor) -> str:
        """What tokens, int64 [T], stand for, without those that only mark where a text begins, ends or is padded."""


class Loader(ABC):
    """One format. What it reads is a module in eval mode."""

    title: ClassVar[str]
    """What is given, with its article: "an .onnx file"."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages, beside torch, that what it reads depends on: their versions are part of a result's key."""

    @abstractmethod
    def reads(self, path: Path) -> bool:
        """Whether what lies there, or would, is of this format."""

    @abstractmethod
    def read(self, path: Path) -> torch.nn.Module:
        """The model there, without running code that comes with it.

        Raises
        ------
        WorkloadError
            In one line: what it can't be read for, and what to do.
        """

    def adopted(self, model: Any) -> Any:
        """A model given in Python, as plain layers of torch where it is of this format's library; else as it is."""
        return model

    def tokenizer(self, path: Path, module: torch.nn.Module) -> Tokenizer | None:
        """The tokenizer of ``module``, read from there; ``None`` where none lies there. Cheap until it is called."""
        return None


class FileLoader(Loader):
    """One that is known by its files' suffix."""

    suffix: ClassVar[str]
    """With the dot, in lower case."""

    def reads(self, path: Path) -> bool:
        return path.suffix.lower() == self.suffix and not path.is_dir()

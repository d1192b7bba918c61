"""What every loader is: a way to read a model from a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import torch


class Loader(ABC):
    """One file format. What it reads is a module in eval mode that takes float32 [N, …]."""

    suffix: ClassVar[str]
    """Of its files, with the dot, in lower case."""

    @abstractmethod
    def read(self, path: Path) -> torch.nn.Module:
        """The model in the file, without running code from it.

        Raises
        ------
        WorkloadError
            In one line: what it can't be read for, and what to do.
        """

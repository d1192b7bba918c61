"""Outputs and targets in the forms that tasks have them, for whatever metric or loss takes them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

N = 24


@dataclass(frozen=True)
class Form:
    """``perfect`` outputs are what a model gives that knows the ``targets``."""

    name: str
    perfect: torch.Tensor
    targets: torch.Tensor

    @property
    def guessed(self) -> torch.Tensor:
        return torch.randn(self.perfect.shape, generator=torch.Generator().manual_seed(1))


@dataclass(frozen=True)
class Probabilities(Form):
    """Its outputs lie between 0 and 1; with ``of_classes`` they are 1 together."""

    of_classes: bool = False

    @property
    def guessed(self) -> torch.Tensor:
        return super().guessed.softmax(1) if self.of_classes else super().guessed.sigmoid()


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _scored(name: str, count: int, *shape: int, dim: int) -> Form:
    """Scores of ``count`` classes along ``dim``, by class numbers [N, …]."""
    targets = torch.randint(count, (N, *shape), generator=_random())
    return Form(name, 20 * torch.nn.functional.one_hot(targets, count).float().movedim(-1, dim), targets)


def _known(name: str, targets: torch.Tensor) -> Form:
    return Form(name, targets.float(), targets)


def _sure(name: str, targets: torch.Tensor, classes: int | None = None) -> Form:
    perfect = torch.nn.functional.one_hot(targets, classes) if classes else targets
    return Probabilities(name, perfect.float(), targets, of_classes=classes is not None)


def _pairs() -> Form:
    similarity = 2 * torch.rand(N, generator=_random()) - 1
    turned = torch.stack([similarity, (1 - similarity**2).sqrt()], dim=1)
    return Form("pairs", torch.stack([turned, torch.tensor([1.0, 0.0]).expand(N, 2)], dim=1), similarity)


_MASKS = torch.randint(2, (N, 1, 6, 5), generator=_random())

FORMS = (
    _scored("classes", 8, dim=1),
    _scored("pixels", 4, 6, 5, dim=1),
    _scored("bytes", 256, 7, dim=2),
    _known("labels", torch.randint(2, (N, 3), generator=_random())),
    Form("masks", 2.0 * _MASKS - 1, _MASKS),
    _known("numbers", torch.randn(N, 3, generator=_random())),
    _known("a number", torch.randn(N, generator=_random())),
    _pairs(),
    _sure("yes or no", torch.randint(2, (N, 3), generator=_random())),
    _sure("shares of classes", torch.randint(8, (N,), generator=_random()), classes=8),
)

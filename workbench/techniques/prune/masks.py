"""Single weights set to zero and kept there."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Masks:
    """For each weight tensor, by name, True where its values stay."""

    module: torch.nn.Module
    keep: dict[str, torch.Tensor]

    @torch.no_grad()
    def apply(self) -> None:
        """Set what is masked to exactly zero, in place."""
        for name, mask in self.keep.items():
            self.module.get_parameter(name).mul_(mask)


def smallest(module: torch.nn.Module, amount: float) -> Masks:
    """Mask the ``amount`` (0…1) of all weights of ``module`` that are smallest in magnitude.

    One threshold serves all layers (Han et al., "Learning both Weights and Connections for Efficient
    Neural Networks", 2015): a layer with larger weights keeps more of them. Exactly
    ``round(amount · number of weights)`` are masked.

    Raises
    ------
    WorkbenchError
        There are no weights, or ``amount`` is less than one of them.
    """
    named = weights(module)
    if not named:
        raise WorkbenchError("this model has no weight matrices or convolution kernels to prune")
    magnitudes = torch.cat([weight.detach().abs().flatten() for weight in named.values()])
    count = round(amount * len(magnitudes))
    if count == 0:
        raise WorkbenchError(f"{amount:g} of {len(magnitudes)} weights is less than one weight; raise the amount")
    keep = torch.ones(len(magnitudes), dtype=torch.bool)
    keep[magnitudes.argsort(stable=True)[:count]] = False
    parts = keep.split([weight.numel() for weight in named.values()])
    return Masks(module, {name: part.view_as(named[name]) for name, part in zip(named, parts, strict=True)})


def weights(module: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The weight matrices and convolution kernels by name: no biases, normalisations or embeddings."""
    embeddings = {id(layer.weight) for layer in module.modules() if isinstance(layer, torch.nn.Embedding)}
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.ndim >= 2 and name.endswith("weight") and id(parameter) not in embeddings
    }

"""Which layers of a model quantization has to do with, by their classes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch

    from workbench.precisions import Precision
else:
    torch = lazy("torch")


def quantizable_layers(module: torch.nn.Module, formats: Precision) -> list[str]:
    """The names of the layers that have a form in these integers."""
    nn = torch.nn
    kinds = (nn.Linear, nn.MultiheadAttention)
    if formats.is_calibrated:
        kinds += _convolutions()
    by_groups = formats.weights and formats.weights.scales == "group"
    if formats.weights and formats.weights.bits == 8 and not by_groups:
        kinds += (nn.GRU, nn.LSTM)
    if formats.weights_only and not by_groups:
        kinds += (nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)
    return [name for name, layer in module.named_modules() if isinstance(layer, kinds)]


def is_convolution(layer: torch.nn.Module) -> bool:
    """Whether it is a convolution, of those that have a form in int8."""
    return isinstance(layer, _convolutions())


def _convolutions() -> tuple[type[torch.nn.Module], ...]:
    nn = torch.nn
    return nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d


def own_layers(module: torch.nn.Module) -> list[str]:
    """The names of the layers that have parameters and aren't torch's: only the graph tells what they compute."""
    nn = torch.nn
    found = []
    for name, layer in module.named_modules():
        if any(True for _ in layer.parameters(recurse=False)):
            if isinstance(layer, nn.ParameterList | nn.ParameterDict):
                found.append(name.rpartition(".")[0])
            elif type(layer) is nn.Module or not type(layer).__module__.startswith("torch.nn."):
                found.append(name)
    return found

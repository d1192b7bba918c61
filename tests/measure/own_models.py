"""Models as people have them, whose parameters lie in other places than ``weight`` and ``bias`` of a called layer."""

from __future__ import annotations

import torch
from torch import nn

from workbench import engines
from workbench.engines import Runner
from workbench.measure.layers import receipt
from workbench.receipt import LayerReceipt
from workbench.techniques import Context
from workbench.techniques.prune import Prune
from workbench.techniques.quantize import Quantize
from workbench.variant import Variant
from workbench.workload import Data

SEQUENCES = torch.randn(16, 8, 32, generator=torch.Generator().manual_seed(2))
IMAGES = torch.randn(16, 1, 8, 8, generator=torch.Generator().manual_seed(3))
TOKENS = torch.randint(0, 50, (16, 8), generator=torch.Generator().manual_seed(4)).float()


class Headed(nn.Module):
    """``body`` between the inputs and a linear layer on the mean over the positions."""

    def __init__(self, body: nn.Module, width: int = 32) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, 10)

    def forward(self, inputs):
        outputs = self.body(inputs)
        return self.head((outputs[0] if isinstance(outputs, tuple) else outputs).mean(1))


class SelfAttention(nn.Module):
    """What it asks with is its own, what it looks at the inputs: torch then multiplies with two parts of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = nn.Parameter(torch.randn(1, 4, 32))
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, inputs):
        asked = self.asked.expand(inputs.shape[0], -1, -1)
        return self.attention(asked, inputs, inputs)


class UnequalAttention(nn.Module):
    """Keys and values of widths of their own, and no biases to tell the weights by."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, kdim=16, vdim=24, batch_first=True, bias=False)

    def forward(self, inputs):
        return self.attention(inputs, inputs[..., :16], inputs[..., :24], need_weights=False)


class Positioned(nn.Module):
    """Parameters and a stored buffer of the model itself; a buffer and a constant that aren't stored."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(8, 32))
        self.register_buffer("mean", torch.randn(32))
        self.register_buffer("mask", torch.ones(8, 1), persistent=False)
        self.head = nn.Linear(32, 10)

    def forward(self, inputs):
        return self.head(((inputs + self.position - self.mean) * self.mask).mean(1) * torch.tensor(2.0))


class Tied(nn.Module):
    """An embedding whose table is the weight of the last layer too."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 32)
        self.norm = nn.LayerNorm(32)
        self.out = nn.Linear(32, 50, bias=False)
        self.out.weight = self.table.weight

    def forward(self, inputs):
        return self.out(self.norm(self.table(inputs.long())).mean(1))


class TiedTwins(nn.Module):
    """Two linear layers with one weight and a bias each, the first called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(32, 32), nn.Linear(32, 32)
        self.second.weight = self.first.weight

    def forward(self, inputs):
        return self.second(self.first(self.first(inputs.mean(1)).relu()).relu())


class TwoWeights(nn.Module):
    """A layer of one's own: two weights of one shape, one bias, multiplied by functions."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Parameter(torch.randn(32, 32) / 6), nn.Parameter(torch.randn(32, 32) / 6)
        self.bias = nn.Parameter(torch.randn(32))

    def forward(self, inputs):
        hidden = nn.functional.linear(inputs, self.inner, self.bias).relu()
        return nn.functional.linear(hidden, self.outer)


class Borrowed(nn.Module):
    """Multiplies with the weight of a layer it never calls; another it doesn't use at all."""

    def __init__(self) -> None:
        super().__init__()
        self.lender, self.spare, self.head = nn.Linear(32, 32), nn.Linear(3, 3), nn.Linear(32, 10)

    def forward(self, inputs):
        return self.head(nn.functional.linear(inputs.mean(1), self.lender.weight, self.lender.bias))


class Convolutions(nn.Module):
    """Normalisations after convolutions with and without bias; a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.head = nn.Linear(4, 10)

    def forward(self, inputs):
        features = self.norm1(self.conv1(inputs)).relu()
        features = self.norm2(self.conv2(features)).relu()
        return self.head(self.up(features).mean((2, 3)))


class Looked(nn.Module):
    """An embedding and a layer norm, neither of which multiplies with a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm, self.head = nn.Embedding(50, 8), nn.LayerNorm(8), nn.Linear(64, 10)

    def forward(self, inputs):
        return self.head(self.norm(self.table(inputs.long())).flatten(1))


OWN_MODELS = {
    "an encoder layer": (lambda: Headed(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)), SEQUENCES),
    "an attention that asks for itself": (lambda: Headed(SelfAttention()), SEQUENCES),
    "an attention with keys and values of other widths": (lambda: Headed(UnequalAttention()), SEQUENCES),
    "an LSTM": (lambda: Headed(nn.LSTM(32, 64, batch_first=True), 64), SEQUENCES),
    "a GRU in both directions": (lambda: Headed(nn.GRU(32, 16, 2, batch_first=True, bidirectional=True)), SEQUENCES),
    "an embedding and a layer norm": (Looked, TOKENS),
    "a tied embedding": (Tied, TOKENS),
    "tied linear layers": (TiedTwins, SEQUENCES),
    "parameters of the model itself": (Positioned, SEQUENCES),
    "a layer of one's own": (lambda: Headed(TwoWeights()), SEQUENCES),
    "a borrowed weight and a spare layer": (Borrowed, SEQUENCES),
    "convolutions, normalised and transposed": (Convolutions, IMAGES),
    "a one-dimensional convolution": (lambda: Headed(nn.Conv1d(8, 6, 3, padding=1)), SEQUENCES),
}


def own_model(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The model in eval mode, its normalisations with statistics of their own, and examples of its inputs."""
    make, inputs = OWN_MODELS[name]
    torch.manual_seed(0)
    model = make().train()
    with torch.no_grad():
        model(inputs)
    return model.eval(), inputs


RECIPES = {"fp32": (), "pruned": (Prune(amount=0.5, finetune_epochs=0),)} | {
    scheme: (Quantize(scheme=scheme, calibration_samples=8),)
    for scheme in ("bf16", "int8-static", "int8-dynamic", "int8-weights", "int4-weights")
}


def made(module: nn.Module, inputs: torch.Tensor, recipe: str) -> Variant:
    """What one of :data:`RECIPES` makes of a model."""
    variant = Variant(module)
    for step in RECIPES[recipe]:
        variant = step.apply(variant, Context(train=Data(inputs, torch.zeros(len(inputs), dtype=torch.int64))))
    return variant


def prepared(variant: Variant, inputs: torch.Tensor, engine: str) -> Runner:
    return engines.find(engine).prepare(variant, inputs[:4], threads=1)


def receipt_of(module: nn.Module, variant: Variant, runner: Runner, inputs: torch.Tensor) -> tuple[LayerReceipt, ...]:
    return receipt(module, variant, runner, inputs[:4])


def rows_of(module: nn.Module, inputs: torch.Tensor, recipe: str, engine: str = "eager") -> dict[str, LayerReceipt]:
    """The receipt of a recipe on an engine, by layer."""
    variant = made(module, inputs, recipe)
    return {row.layer: row for row in receipt_of(module, variant, prepared(variant, inputs, engine), inputs)}

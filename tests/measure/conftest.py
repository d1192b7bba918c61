from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.graph import export
from workbench.variant import Variant


def small_cnn(seed: int = 0) -> nn.Module:
    """Two convolutions, the first with a batch normalisation to fold, and two linear layers; for [batch, 1, 12, 12]."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 36, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )
    model.train()
    model(torch.randn(64, 1, 12, 12))  # gives the normalisation statistics that are not the identity
    return model.eval()


@pytest.fixture(scope="session")
def inputs() -> torch.Tensor:
    return torch.randn(32, 1, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model() -> nn.Module:
    return small_cnn()


@pytest.fixture(scope="session")
def int8_variant(inputs) -> Variant:
    """The small CNN quantized by torchao's PT2E flow, its last layer left in float32."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    module = small_cnn()
    quantizer = X86InductorQuantizer()
    quantizer.set_global(get_default_x86_inductor_quantization_config())
    quantizer.set_module_name_qconfig("9", None)
    graph = prepare_pt2e(export(module, inputs).module(), quantizer)
    graph(inputs)
    return Variant(module, "int8-static", convert_pt2e(graph), {"9": "the recipe keeps it in float32"})

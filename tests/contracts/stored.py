"""Small models as the libraries that they are of store them: each writes one into a folder and gives its path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def pt2(folder: Path) -> Path:
    batches = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(_model(), (torch.rand(2, 6),), dynamic_shapes=batches), folder / "m.pt2")
    return folder / "m.pt2"


def onnx(folder: Path) -> Path:
    pytest.importorskip("onnx")
    sizes = {"dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"]}
    torch.onnx.export(_model(), (torch.rand(2, 6),), folder / "m.onnx", dynamo=False, **sizes)
    return folder / "m.onnx"


def keras(folder: Path) -> Path:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    library = pytest.importorskip("keras")
    library.Sequential([library.Input((6,)), library.layers.Dense(3)]).save(folder / "m.keras")
    return folder / "m.keras"


def huggingface(folder: Path) -> Path:
    pytest.importorskip("transformers")
    from tests.models.huggingface import bert

    return bert(folder / "m")


WRITERS = (pt2, onnx, keras, huggingface)

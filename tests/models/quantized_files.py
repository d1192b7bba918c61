"""ONNX files that ONNX Runtime's own tools quantized, in each of the forms they have."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

IMAGES = torch.rand(60, 1, 12, 12, generator=torch.Generator().manual_seed(0))
FORMS = {
    "pairs, one scale for a tensor": {"format": "QDQ", "per_channel": False},
    "pairs, one scale for each channel": {"format": "QDQ", "per_channel": True},
    "pairs of signed bytes": {"format": "QDQ", "per_channel": True, "signed": True},
    "operators, one scale for a tensor": {"format": "QOperator", "per_channel": False},
    "operators, one scale for each channel": {"format": "QOperator", "per_channel": True},
    "ranges of what comes": {"format": "dynamic", "per_channel": False},
}
STATIC = [form for form in FORMS if FORMS[form]["format"] != "dynamic"]


class Small(nn.Module):
    """Convolutions around a pool and a sum, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(n, 8, 3, padding=1) for n in (1, 8, 8))
        self.hidden, self.head = nn.Linear(8 * 9, 16), nn.Linear(16, 5)

    def forward(self, images):
        features = torch.max_pool2d(torch.relu(self.first(images)), 2)
        features = features + torch.relu(self.second(features))
        features = torch.max_pool2d(torch.relu(self.third(features)), 2)
        return self.head(torch.relu(self.hidden(features.flatten(1))))


LAYERS = ["first", "second", "third", "hidden", "head"]


def float_file(folder: Path) -> Path:
    """The model before it is quantized."""
    torch.manual_seed(0)
    path = folder / "float.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Small().eval(), (IMAGES[:2],), path, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )
    return path


def quantized_file(folder: Path, form: str) -> Path:
    """The file in one of ``FORMS``; weights in seven bits, so that ONNX Runtime adds exactly on every processor."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(IMAGES[:32].split(8))

        def get_next(self):
            batch = next(self.left, None)
            return None if batch is None else {"x": batch.numpy()}

    how, path = FORMS[form], folder / "quantized.onnx"
    options = {"per_channel": how["per_channel"], "reduce_range": True, "weight_type": quantization.QuantType.QInt8}
    if how["format"] == "dynamic":
        quantization.quantize_dynamic(float_file(folder), path, **options)
        return path
    kind = quantization.QuantType.QInt8 if how.get("signed") else quantization.QuantType.QUInt8
    quantization.quantize_static(
        float_file(folder),
        path,
        Reader(),
        quant_format=quantization.QuantFormat[how["format"]],
        activation_type=kind,
        **options,
    )
    return path


def outputs_of(path: Path, images: torch.Tensor) -> torch.Tensor:
    """What ONNX Runtime makes of a file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(np.asarray(session.run(None, {"x": images.numpy()})[0]))

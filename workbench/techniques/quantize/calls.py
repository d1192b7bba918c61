"""The calls with weights that have a form in eight bits with activations: linear ones and convolutions."""

from collections.abc import Callable

import torch

Takes = Callable[[str | None], bool]
"""Whether a layer, or ``None`` for calls outside of any, is quantized."""

aten = torch.ops.aten
LINEAR = aten.linear.default
TRANSPOSED = (aten.conv_transpose1d.default, aten.conv_transpose2d.input)
"""Their weights have the output channels, those of one group, in the second dimension; others in the first."""
CONVOLUTIONS = (aten.conv1d.default, aten.conv2d.default, aten.conv3d.default, *TRANSPOSED)

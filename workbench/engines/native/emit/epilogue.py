"""The numbers a fused step ends with: scales, biases and bounds in the units of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.graph.fused.ir import Value
from workbench.graph.fused.ops import Activation, Conv, WeightOnly
from workbench.kernels.records import Epilogue
from workbench.plumbing.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


def epilogue_of(activation: Activation | None, output: Value, residual: Value | None = None) -> Epilogue:
    """The epilogue of a step that ends in ``output``.

    Clamps that end in u8 are done in output steps, where they cost nothing beyond the bounds that
    every u8 has; other activations are computed in real units and quantized after.
    """
    activation = activation or Activation()
    quant = output.quant
    residual_scale = 0.0
    if residual is not None:
        residual_scale = residual.quant.step if residual.quant else 1.0
    if quant is None:
        return Epilogue(activation.name, 0, residual_scale, activation.minimum, activation.maximum)
    low, high = -float(quant.zero_point), 255.0 - quant.zero_point
    if activation.name != "clamp":
        return Epilogue(
            activation.name, quant.zero_point, residual_scale, inverse_step=1 / quant.step, low=low, high=high
        )
    low, high = max(low, activation.minimum / quant.step), min(high, activation.maximum / quant.step)
    return Epilogue("clamp", quant.zero_point, residual_scale / quant.step, low=low, high=high)


def conv_arrays(op: Conv | WeightOnly) -> tuple[np.ndarray, np.ndarray]:
    """Scale and bias by output channel for the sums of a convolution or linear layer, float32."""
    quant = op.output.quant
    scale = np.ones(len(op.bias))
    if isinstance(op, Conv) and op.steps is not None:
        scale = op.steps.astype(np.float64) * (1.0 if op.own_range else op.inputs[0].quant.step)
    bias = op.bias.astype(np.float64)
    if op.residual is not None and op.residual.quant:
        bias = bias - op.residual.quant.zero_point * op.residual.quant.step
    if quant and (op.activation is None or op.activation.name == "clamp"):
        scale, bias = scale / quant.step, bias / quant.step
    return scale.astype(np.float32), bias.astype(np.float32)

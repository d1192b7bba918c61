"""All operators: importing a family registers its operators."""

from workbench.models.onnx_import import (  # noqa: F401
    activations,
    arranging,
    classical,
    convolution,
    elementwise,
    filling,
    images,
    normalization,
    picking,
    pooling,
    products,
    quantized,
    recurrent,
    reductions,
    signals,
)

"""Weights of linear layers that are −1 or 1 times a scale for each group of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

BINARY_WEIGHTS = Precision(
    name="binary-weights",
    help="linear layers, weights alone",
    order=80,
    dtype="int1",
    aliases=("binary",),
    weights=Integers(1, "group"),
)

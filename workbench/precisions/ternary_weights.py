"""Weights of linear layers that are −1, 0 or 1 times a scale for each group of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

TERNARY_WEIGHTS = Precision(
    name="ternary-weights",
    help="linear layers, weights alone",
    order=75,
    dtype="int2",
    aliases=("ternary",),
    weights=Integers(2, "group", levels=3),
)

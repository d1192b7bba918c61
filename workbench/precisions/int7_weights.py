"""Weights of linear layers in seven bits, by groups of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT7_WEIGHTS = Precision(
    name="int7-weights",
    help="linear layers, weights alone",
    order=42,
    dtype="int7",
    aliases=("int7",),
    weights=Integers(7, "group"),
)

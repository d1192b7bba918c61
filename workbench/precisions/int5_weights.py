"""Weights of linear layers in five bits, by groups of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT5_WEIGHTS = Precision(
    name="int5-weights",
    help="linear layers, weights alone",
    order=46,
    dtype="int5",
    aliases=("int5",),
    weights=Integers(5, "group"),
)

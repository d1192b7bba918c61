"""Weights of linear layers in two bits, by groups of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT2_WEIGHTS = Precision(
    name="int2-weights",
    help="linear layers, weights alone",
    order=70,
    dtype="int2",
    aliases=("int2",),
    weights=Integers(2, "group"),
)

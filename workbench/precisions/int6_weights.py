"""Weights of linear layers in six bits, by groups of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT6_WEIGHTS = Precision(
    name="int6-weights",
    help="linear layers, weights alone",
    order=44,
    dtype="int6",
    aliases=("int6",),
    weights=Integers(6, "group"),
)

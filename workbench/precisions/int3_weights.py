"""Weights of linear layers in three bits, by groups of inputs, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT3_WEIGHTS = Precision(
    name="int3-weights",
    help="linear layers, weights alone",
    order=60,
    dtype="int3",
    aliases=("int3",),
    weights=Integers(3, "group"),
)

"""Weights of linear layers in four bits, two of them in a byte, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT4_WEIGHTS = Precision(
    name="int4-weights",
    help="linear layers, weights alone",
    order=50,
    dtype="int4",
    aliases=("int4",),
    weights=Integers(4, "group"),
)

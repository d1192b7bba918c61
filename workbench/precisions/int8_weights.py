"""Weights in eight bits, activations in float32."""

from workbench.precisions._base import Integers, Precision

INT8_WEIGHTS = Precision(
    name="int8-weights",
    help="linear and recurrent layers, weights alone",
    order=40,
    dtype="int8",
    weights=Integers(8, "channel"),
)

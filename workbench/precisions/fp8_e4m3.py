"""Weights in floats of eight bits, activations in float32: four bits of exponent and three of fraction, up to 448."""

from workbench.precisions._base import eight_bit_floats

FP8_E4M3 = eight_bit_floats("fp8-e4m3", "float8_e4m3fn", order=41, aliases=("fp8",))

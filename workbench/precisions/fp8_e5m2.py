"""Weights in floats of eight bits, activations in float32: five bits of exponent and two of fraction, up to 57,344."""

from workbench.precisions._base import eight_bit_floats

FP8_E5M2 = eight_bit_floats("fp8-e5m2", "float8_e5m2", order=42)

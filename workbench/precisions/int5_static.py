"""Weights in five bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT5_STATIC = static("int5-static", 5, order=13, aliases=("w5a8",))

"""Weights in four bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT4_STATIC = static("int4-static", 4, order=14, aliases=("w4a8",))

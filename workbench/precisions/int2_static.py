"""Weights in two bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT2_STATIC = static("int2-static", 2, order=16, aliases=("w2a8",))

"""Weights and activations in two bits, a scale for each output channel, and ranges fixed beforehand."""

from workbench.precisions._base import static

INT2_INT2_STATIC = static("int2-int2-static", 2, activations=2, order=20, aliases=("w2a2",))

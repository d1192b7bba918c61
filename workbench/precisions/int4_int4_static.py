"""Weights and activations in four bits, a scale for each output channel, and ranges fixed beforehand."""

from workbench.precisions._base import static

INT4_INT4_STATIC = static("int4-int4-static", 4, activations=4, order=19, aliases=("w4a4",))

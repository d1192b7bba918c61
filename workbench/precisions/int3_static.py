"""Weights in three bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT3_STATIC = static("int3-static", 3, order=15, aliases=("w3a8",))

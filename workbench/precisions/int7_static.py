"""Weights in seven bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT7_STATIC = static("int7-static", 7, order=11, aliases=("w7a8",))

"""Weights in six bits, a scale for each output channel, and activations in eight, with ranges fixed beforehand."""

from workbench.precisions._base import static

INT6_STATIC = static("int6-static", 6, order=12, aliases=("w6a8",))

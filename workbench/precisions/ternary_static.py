"""Weights that are −1, 0 or 1 times a scale for each output channel, and activations in eight bits."""

from workbench.precisions._base import static

TERNARY_STATIC = static("ternary-static", 2, levels=3, order=17)

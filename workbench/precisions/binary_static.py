"""Weights that are −1 or 1 times a scale for each output channel, and activations in eight bits."""

from workbench.precisions._base import static

BINARY_STATIC = static("binary-static", 1, order=18)

"""Eight-bit integers, with ranges of activations that are fixed beforehand."""

from workbench.precisions._base import static

INT8_STATIC = static("int8-static", 8, order=10, aliases=("int8", "static"))

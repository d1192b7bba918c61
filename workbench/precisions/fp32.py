"""float32, as models are trained."""

from workbench.precisions._base import Precision

FP32 = Precision(
    name="fp32",
    help="as it is",
    order=0,
    dtype="float32",
    # float32 has 6e-8 a step; a thousand steps in a row, each amplified by the same factor as the signal, stay below a
    # tenth of this
    rounding=1e-3,
)

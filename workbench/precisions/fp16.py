"""float16: five bits of exponent, so numbers end at 65,504, and ten of fraction, three more than bf16's."""

from workbench.machine.identity import FP16_INSTRUCTIONS
from workbench.precisions._base import Precision

FP16 = Precision(
    name="fp16",
    help="half the bits",
    order=31,
    dtype="float16",
    cast="float16",
    instructions=FP16_INSTRUCTIONS,
    without_them="this processor has no fp16 instructions, so every value is widened to float32 and back",
)

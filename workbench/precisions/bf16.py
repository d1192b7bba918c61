"""bfloat16: float32 with the lower half of its bits cut off."""

from workbench.machine.identity import BF16_INSTRUCTIONS
from workbench.precisions._base import Precision

BF16 = Precision(
    name="bf16",
    help="half the bits",
    order=30,
    dtype="bfloat16",
    cast="bfloat16",
    instructions=BF16_INSTRUCTIONS,
    without_them="this processor has no bf16 instructions, so every value is widened to float32 and back",
)

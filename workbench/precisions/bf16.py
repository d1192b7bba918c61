"""bfloat16: float32 with the lower half of its bits cut off."""

from workbench.machine.identity import BF16_INSTRUCTIONS
from workbench.precisions._base import half

BF16 = half("bf16", "bfloat16", order=30, instructions=BF16_INSTRUCTIONS)

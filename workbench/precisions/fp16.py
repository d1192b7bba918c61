"""float16: five bits of exponent, so numbers end at 65,504, and ten of fraction, three more than bf16's."""

from workbench.machine.identity import FP16_INSTRUCTIONS
from workbench.precisions._base import half

FP16 = half("fp16", "float16", order=31, instructions=FP16_INSTRUCTIONS)

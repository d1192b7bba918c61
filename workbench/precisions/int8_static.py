"""Eight-bit integers, with ranges of activations that are fixed beforehand."""

from workbench.machine.identity import INT8_INSTRUCTIONS
from workbench.precisions._base import Integers, Precision

INT8_STATIC = Precision(
    name="int8-static",
    help="ranges fixed beforehand",
    order=10,
    dtype="int8",
    aliases=("int8", "static"),
    weights=Integers(8, "channel"),
    activations=Integers(8, "calibrated"),
    instructions=INT8_INSTRUCTIONS,
    without_them="this processor has no VNNI, AMX or dot-product instructions, so int8 costs about as much as float32",
)

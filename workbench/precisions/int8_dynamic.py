"""Eight-bit integers in linear and recurrent layers, with ranges of activations that each call has itself."""

from workbench.machine.identity import INT8_INSTRUCTIONS
from workbench.precisions._base import Integers, Precision

INT8_DYNAMIC = Precision(
    name="int8-dynamic",
    help="linear, GRU and LSTM layers, ranges of what comes",
    order=25,
    dtype="int8",
    aliases=("dynamic",),
    weights=Integers(8, "channel"),
    activations=Integers(8, "call"),
    instructions=INT8_INSTRUCTIONS,
    without_them="this processor has no VNNI, AMX or dot-product instructions, so int8 costs about as much as float32",
)

"""What every precision is: the number formats of weights and activations, and what others need to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.machine.identity import INT8_INSTRUCTIONS

STEPS = 0.01
"""A value that falls on the other side of a rounding step moves by that step, and so on through the layers. Of native,
ONNX Runtime and OpenVINO on eight models in int8 and bf16, none was further from its simulated graph than 0.7 %."""


KINDS = {
    "Weights and activations": "both in whole numbers, with ranges fixed beforehand (static) or of each call (dynamic)",
    "Floats": "of two bytes in place of four",
    "Weights alone": "stored smaller, multiplied as floats",
}
"""What a precision changes, and that in a line."""


@dataclass(frozen=True)
class Integers:
    """Whole numbers of ``bits`` bits times a scale; of one bit −1 and 1.

    ``scales``: of weights, one for each output channel ("channel"), for each group of its inputs ("group") or for the
    whole layer ("tensor"); of activations, one found beforehand from examples ("calibrated") or one for each call
    ("call"). ``levels``: how many numbers are used, symmetric about zero, where it isn't all.
    """

    bits: int
    scales: Literal["channel", "group", "tensor", "calibrated", "call"]
    levels: int | None = None


@dataclass(frozen=True)
class Floats:
    """Floats of eight bits times a scale; ``dtype`` is torch's name of them, ``scales`` as :class:`Integers` have."""

    dtype: str
    scales: Literal["channel", "tensor"] = "channel"
    bits: int = 8


@dataclass(frozen=True)
class Precision:
    """Number formats for a layer or a whole model.

    A precision is one of three: what the model has (neither ``cast`` nor ``weights``), floats of another size
    (``cast``), or numbers times scales (``weights``, and ``activations`` unless weights alone are smaller).
    """

    name: str
    help: str
    """A few words, beside its name in a list."""
    order: int
    """Where it stands among the others on the page."""
    dtype: str
    """What layers compute in, as receipts name it; where weights alone are smaller, what these are stored in."""
    aliases: tuple[str, ...] = ()
    """Shorter names that recipes may use."""
    cast: str | None = None
    """torch's name of the floats that weights and activations become."""
    weights: Integers | Floats | None = None
    activations: Integers | None = None
    rounding: float = STEPS
    """How far two engines' outputs may be apart, relative to their norm, for summing and rounding in another order."""
    instructions: frozenset[str] = frozenset()
    """The processor's instruction sets, as :func:`workbench.machine.identity.isa` names them, of which one makes its
    arithmetic faster than float32's."""
    without_them: str = ""
    """Why it is no faster where the processor has none of them: half a sentence."""
    multiplied_as: str = ""
    """The precision whose kernels run it, where that is another: what is stored in fewer bits is bytes by then."""

    @property
    def is_plain(self) -> bool:
        """Whether it leaves the model's numbers as they are."""
        return self.cast is None and self.weights is None

    @property
    def weights_only(self) -> bool:
        """Whether weights alone are stored in fewer bits, and become floats again where they are multiplied."""
        return self.weights is not None and self.activations is None

    @property
    def is_calibrated(self) -> bool:
        """Whether examples decide the ranges of activations beforehand."""
        return self.activations is not None and self.activations.scales == "calibrated"

    @property
    def is_imitated(self) -> bool:
        """Whether no engine here has a kernel for it."""
        return isinstance(self.weights, Floats)

    @property
    def few_bits(self) -> bool:
        """Whether weights have fewer bits than the byte as which they are multiplied."""
        return bool(self.weights and self.activations) and self.weights.bits < 8

    @property
    def kind(self) -> str:
        """What it changes, as a heading over such precisions: one of :data:`KINDS`."""
        if self.weights_only:
            return "Weights alone"
        return "Weights and activations" if self.weights else "Floats"

    @property
    def short(self) -> str:
        """Its name in a sentence: "int8"."""
        return self.name.partition("-")[0]


def half(name: str, dtype: str, *, order: int, instructions: frozenset[str]) -> Precision:
    """Floats of two bytes in place of four, which torch calls ``dtype``."""
    return Precision(
        name=name,
        help="half the bits",
        order=order,
        dtype=dtype,
        cast=dtype,
        instructions=instructions,
        without_them=f"this processor has no {name} instructions, so every value is widened to float32 and back",
    )


def eight_bit_floats(name: str, dtype: str, *, order: int, aliases: tuple[str, ...] = ()) -> Precision:
    """Weights in floats of one byte, which torch calls ``dtype``, activations in float32."""
    return Precision(
        name=name,
        help="linear and recurrent layers, weights alone",
        order=order,
        dtype=dtype,
        aliases=aliases,
        weights=Floats(dtype),
    )


def static(
    name: str,
    bits: int,
    *,
    order: int,
    activations: int = 8,
    levels: int | None = None,
    aliases: tuple[str, ...] = (),
) -> Precision:
    """Weights in ``bits`` bits, a scale for each output channel, activations in so many, in calibrated ranges."""
    few = bits < 8
    fewer = "weights in fewer bits, activations in 8" if activations == 8 else "weights and activations in fewer bits"
    return Precision(
        name=name,
        help=f"{fewer}, ranges fixed beforehand" if few else "ranges fixed beforehand",
        order=order,
        dtype="int8",
        aliases=aliases,
        weights=Integers(bits, "channel", levels),
        activations=Integers(activations, "calibrated"),
        instructions=INT8_INSTRUCTIONS,
        without_them=(
            "this processor has no VNNI, AMX or dot-product instructions, so int8 costs about as much as float32"
        ),
        multiplied_as="int8-static" if few else "",
    )

"""The schemes that a recipe may name, for the model or for a layer: names, short names, and what they are in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BeforeValidator

from workbench import precisions
from workbench.errors import RecipeError, unknown
from workbench.precisions import Precision

SCHEMES = {name: each for name, each in precisions.registered().items() if not each.is_plain}
KEPT = "fp32"
"""What a layer is asked to be that stays as it is."""
AUTO = "auto"
"""Of a model: a run searches the fastest scheme for each layer within a budget, and goes on with what it found."""
_SHORT = {alias: name for name, each in SCHEMES.items() for alias in each.aliases}


def _full_name(scheme: object, *others: str) -> object:
    if not isinstance(scheme, str):
        return scheme
    full = _SHORT.get(scheme, scheme)
    if full not in (*SCHEMES, *others):
        raise RecipeError(unknown("scheme", scheme, {*SCHEMES, *_SHORT, *others}))
    return full


def _full_name_or_auto(scheme: object) -> object:
    return _full_name(scheme, AUTO)


def full_name_for_a_layer(scheme: object) -> object:
    """The scheme's own name, where a single layer may have it; :class:`RecipeError` otherwise."""
    full = scheme if scheme == KEPT else _full_name(scheme)
    if isinstance(full, str) and full != KEPT and not SCHEMES[full].weights:
        raise RecipeError(f"a single layer can't have the scheme {scheme!r}: it is one of the whole model")
    return full


Scheme = Annotated[Literal[(*SCHEMES, AUTO)], BeforeValidator(_full_name_or_auto)]
OF_LAYERS = tuple(name for name, each in SCHEMES.items() if each.weights)
"""Those that a single layer may have."""
TELLING = tuple(
    name
    for name in OF_LAYERS
    if not 4 < SCHEMES[name].weights.bits < 8
    and not SCHEMES[name].is_imitated
    and not ((activations := SCHEMES[name].activations) and activations.bits < 8)
)
"""Those of them that tell layers apart: seven to five bits lose hardly more than eight, nor do floats of eight,
activations in few bits more in the layers where weights in few bits do; each takes as long to look at."""
TRIED = tuple(name for name in TELLING if SCHEMES[name].weights.bits >= 4 and not SCHEMES[name].multiplied_as)
"""Those of them with kernels of their own, so that they may be faster, in as many bits as most layers bear."""
LayerScheme = Annotated[
    Literal[tuple([KEPT, *OF_LAYERS])],
    BeforeValidator(full_name_for_a_layer),
]


def those(such: Callable[[Precision], bool]) -> list[str]:
    """The names of the schemes that are such."""
    return [name for name, each in SCHEMES.items() if such(each)]


def those_and_auto(such: Callable[[Precision], bool]) -> list[str]:
    """The same, and "auto", which tries some of them."""
    return [*those(such), AUTO]


def by_groups(formats: Precision) -> bool:
    """Whether groups of a layer's inputs have a scale each."""
    return formats.weights is not None and formats.weights.scales == "group"


def in_bytes(formats: Precision) -> bool:
    """Whether a weight takes a byte, so that channels may share a scale."""
    return formats.weights is not None and formats.weights.bits == 8


def with_one_scale(formats: Precision) -> Precision:
    """The same with one scale for all weights of a layer, where a weight takes a byte."""
    return replace(formats, weights=replace(formats.weights, scales="tensor")) if in_bytes(formats) else formats


def may_be_learned(formats: Precision) -> bool:
    """Whether its weights have so few bits that how each is rounded may be learned."""
    return by_groups(formats) or formats.few_bits


def all_in_words() -> str:
    """What each kind of schemes is: "Floats: of two bytes in place of four; …"."""
    told = [f"{kind}: {precisions.KINDS[kind]}" for kind in dict.fromkeys(each.kind for each in SCHEMES.values())]
    return "; ".join([*told, f"{AUTO}: the fastest for each layer within a budget of loss, found by measurement"])


def in_short(scheme: str) -> str:
    """How a recipe's summary calls it: "int8", "int4 weights", "int4 static"."""
    return "int8" if scheme == "int8-static" else scheme.replace("-", " ")


def takes_in_words(formats: Precision) -> str:
    """The layers that a scheme without calibration quantizes."""
    if not formats.weights or by_groups(formats):
        return "linear layers only"
    recurrent = "linear, GRU and LSTM layers"
    return f"{recurrent}, Conv3d and transposed convolutions" if formats.weights_only else recurrent


def names(name: str, layer: str) -> bool:
    """Whether ``name``, of a layer or of a block around it, or a pattern of such, names ``layer``."""
    return layer.startswith(f"{name}.") or fnmatchcase(layer, name)

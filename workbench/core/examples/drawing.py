"""How one input, target or answer is drawn: as a picture, a line, a row of numbers, or text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from workbench.examples import Shown
from workbench.plumbing import png
from workbench.workload import Inputs

PALETTE = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
"""The colours of Okabe and Ito, that of class 0 first; classes beyond them take them again, darker."""

_LARGEST_SIDE = 64
"""Pixels of a picture, along each side at most."""
_SMALLEST_SIDE = 8
"""Of what is taken for a picture."""
_LONGEST_LINE = 128
_LONGEST_ROW = 8
"""Of numbers that are written out."""
_LONGEST_TEXT = 120
"""Characters of a text."""
_NO_CLASS = "#808080"


def inputs_drawn(inputs: Inputs, decode: Callable[[torch.Tensor], str] | None) -> tuple[Shown, ...]:
    """The inputs of one example, each [1, …]. Beside a text, or the two of a pair, what masks it tells nothing."""
    first = inputs[0][0]
    if decode and not first.is_floating_point() and first.dim() in (1, 2):
        return tuple(drawn(each, decode) for each in first.reshape(-1, first.shape[-1]))
    return tuple(drawn(each[0]) for each in inputs)


def drawn(values: torch.Tensor, decode: Callable[[torch.Tensor], str] | None = None) -> Shown:
    """One example's tensor [...] of numbers; of whole numbers [T] the text where ``decode`` gives it."""
    values = values.detach().cpu()
    if decode and values.dim() == 1 and not values.is_floating_point():
        return Shown(text=_cut(" ".join(decode(values).split())))
    while values.dim() > 1 and values.shape[0] == 1:
        values = values[0]
    if values.is_complex():
        values = values.abs()
    if values.dim() == 3 or (values.dim() == 2 and min(values.shape) >= _SMALLEST_SIDE):
        return _picture(values.float())
    if values.dim() == 1 and values.is_floating_point() and len(values) > _LONGEST_ROW:
        return Shown(line=_line(values))
    if values.dim() == 2 and values.is_floating_point() and values.shape[0] > _LONGEST_ROW:
        note = f"the first of {values.shape[1]} series" if values.shape[1] > 1 else ""
        return Shown(line=_line(values[:, 0]), note=note)
    return _row(values)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 2]} …"


def classes_drawn(answers: torch.Tensor) -> Shown:
    """The classes of the pixels of one picture, int64 [H, W]; below zero is none."""
    colours = torch.tensor([_rgb(colour_of(each)) for each in range(int(answers.max().clamp(min=0)) + 1)])
    pixels = colours[answers.clamp(min=0)].masked_fill((answers < 0).unsqueeze(-1), int(_NO_CLASS[1:3], 16))
    return Shown(picture=png.data_uri(_nearest(pixels).numpy().astype(np.uint8)))


def colour_of(number: int) -> str:
    """That of a class in the pictures of classes: "#e69f00"."""
    darker = 2 ** (number // len(PALETTE))
    return "#" + "".join(f"{part // darker:02x}" for part in _rgb(PALETTE[number % len(PALETTE)]))


def named(number: int, classes: Sequence[str]) -> str:
    """What the class of this number is called: its name where that is known; "no answer" below zero."""
    if number < 0:
        return "no answer"
    return classes[number] if number < len(classes) else str(number)


def digits(value: float) -> str:
    """A number to four digits, with the minus sign that is as wide as a plus."""
    return f"{value:.4g}".replace("-", "−")


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def _picture(values: torch.Tensor) -> Shown:
    """Of float32 [H, W], [C, H, W] or [H, W, 3]: grey, or red, green and blue where there are three channels."""
    note = ""
    if values.dim() == 3 and values.shape[0] not in (1, 3) and values.shape[2] in (1, 3):
        values = values.movedim(2, 0)
    if values.dim() == 3 and values.shape[0] != 3:
        note = f"the first of {values.shape[0]} channels" if values.shape[0] > 1 else ""
        values = values[0]
    sides = [min(side, _LARGEST_SIDE) for side in values.shape[-2:]]
    channels = values if values.dim() == 3 else values.unsqueeze(0)
    pixels = torch.nn.functional.adaptive_avg_pool2d(_in_bytes(channels), sides).round().byte()
    return Shown(picture=png.data_uri((pixels.movedim(0, 2) if len(pixels) == 3 else pixels[0]).numpy()), note=note)


def _in_bytes(values: torch.Tensor) -> torch.Tensor:
    """Values in 0…1 and in 0…255 as they are meant; others from the least to the greatest of the picture."""
    values = values.nan_to_num(0.0, 0.0, 0.0)
    low, high = values.min(), values.max()
    if low >= 0 and high <= 1:
        return 255 * values
    if low >= 0 and high <= 255 and high > 2:
        return values
    return 255 * (values - low) / (high - low).clamp(min=1e-12)


def _nearest(pixels: torch.Tensor) -> torch.Tensor:
    """[H, W, 3] with pixels left out where there are more than a picture takes."""
    steps = [max(1, -(-side // _LARGEST_SIDE)) for side in pixels.shape[:2]]
    return pixels[:: steps[0], :: steps[1]]


def _line(values: torch.Tensor) -> tuple[float, ...]:
    step = max(1, -(-len(values) // _LONGEST_LINE))
    return tuple(float(f"{value:.4g}") for value in values[::step].nan_to_num().tolist())


def _row(values: torch.Tensor) -> Shown:
    numbers = values.flatten()
    told = ", ".join(map(digits, numbers[:_LONGEST_ROW].tolist()))
    more = len(numbers) - _LONGEST_ROW
    return Shown(text=told, note=f"and {more:,} more" if more > 0 else "")

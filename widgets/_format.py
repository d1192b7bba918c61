"""Figures as people read them: units, thin spaces where they belong, a true minus sign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from workbench.receipt import Interval, Throughput

ABSENT = "—"
_SHARE = "share"
_SMALL_SHARE = 0.001
_DIGITS_OF_STEPS = 3
"""After the first one of a figure: as many as of 91.62 %, of which a hundredth of a point is the last."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits and no exponent: 0.0214, 1.23, 123."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    whole_digits = len(str(int(abs(rounded)))) if abs(rounded) >= 1 else 0
    if whole_digits:
        return signed_text(f"{rounded:,.{max(0, digits - whole_digits)}f}")
    leading_zeros = -int(f"{rounded:e}".partition("e")[2])
    return signed_text(f"{rounded:.{leading_zeros + digits - 1}f}")


def latency(value_ms: float) -> str:
    """The time of a call: "1.23 ms", or "21.4 µs" below a tenth of one."""
    return f"{significant(1000 * value_ms)} µs" if value_ms < 0.09995 else f"{significant(value_ms)} ms"


def size(size_bytes: int) -> str:
    """Bytes in decimal units: "812 B", "81 kB", "1.1 MB"."""
    value, units = float(size_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    if units[0] == "B":
        return f"{size_bytes} B"
    return f"{value:.0f} {units[0]}" if value >= 10 else f"{value:.1f} {units[0]}"


def percent(fraction: float, decimals: int = 1) -> str:
    """A share: "91.6 %"."""
    return signed_text(f"{100 * fraction:.{decimals}f} %")


def change(before: float, after: float) -> str:
    """A relative change: "−90 %", "+3 %", "±0 %"."""
    if not before:
        return ABSENT
    rounded = round(100 * (after / before - 1))
    return signed_text(f"{rounded:+d} %") if rounded else "±0 %"


def points(fraction: float, decimals: int = 1) -> str:
    """A difference of shares in percentage points: "−0.2 pt"."""
    text = f"{100 * fraction:+.{decimals}f}"
    return "±0 pt" if float(text) == 0 else signed_text(f"{text} pt")


def quality(value: float, unit: str, digits: int = 3) -> str:
    """A figure of a metric, to so many digits: "91.6 %" of unit "share", "0.412 ppm", "12.3", "1.20·10⁻⁷"."""
    number = quality_number(value, unit, digits)
    return f"{number} {quality_unit(unit)}".rstrip() if math.isfinite(value) else number


def quality_number(value: float, unit: str, digits: int = 3) -> str:
    """The same without its unit."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else signed_text("∞" if value > 0 else "-∞")
    if unit == _SHARE:
        return _short_share(100 * value, digits)
    power = _power(value)
    return significant(value / 10**power, digits) + _times(power)


def quality_unit(unit: str) -> str:
    """The unit of :func:`quality_number`: "%", "ppm", ""."""
    return "%" if unit == _SHARE else unit


def quality_change(value: float, unit: str, *figures: float) -> str:
    """A difference of two ``figures`` of a metric: "−0.02 pt" of unit "share", "+0.004 ppm", "±0"."""
    text = quality_steps([value], unit, *figures)
    return text if unit == _SHARE or text == ABSENT else f"{text} {unit}".rstrip()


def quality_steps(values: Sequence[float], unit: str, *figures: float) -> str:
    """Differences of ``figures`` of a metric: "−0.10 – +0.20 pt" of unit "share", "+0.001 – +0.004".

    To the fourth digit of the largest figure. Units but percentage points are left out: they stand at the figure.
    """
    if not all(map(math.isfinite, values)):
        return ABSENT
    figure = max(map(abs, figures))
    if unit == _SHARE:
        decimals = max(2, _DIGITS_OF_STEPS - _magnitude(100 * figure)) if figure < _SMALL_SHARE else 2
        return " – ".join(points(value, decimals).removesuffix(" pt") for value in values) + " pt"
    power = _power(figure)
    decimals = max(0, _DIGITS_OF_STEPS - _magnitude(figure / 10**power))
    return " – ".join(_step(value / 10**power, decimals) for value in values) + _times(power)


def _short_share(per_cent: float, digits: int) -> str:
    """To one decimal where three digits are asked for, and to three digits where that would show hardly one."""
    small = 0 < abs(per_cent) < 100 * _SMALL_SHARE
    return significant(per_cent, digits) if small else signed_text(f"{per_cent:.{digits - 2}f}")


def _step(value: float, decimals: int) -> str:
    text = f"{value:+,.{decimals}f}"
    return signed_text(text) if text.strip("+-0.,") else "±0"


def _magnitude(value: float) -> int:
    """The power of ten of its first digit; 0 of what has none."""
    return math.floor(math.log10(abs(value))) if value and math.isfinite(value) else 0


def _power(figure: float) -> int:
    """Of ten, what figures as large as this are written with: none where that takes few zeros."""
    magnitude = _magnitude(figure)
    return 0 if -4 <= magnitude < 7 else magnitude


def _times(power: int) -> str:
    return f"·10{str(power).translate(_SUPERSCRIPTS)}" if power else ""


def throughput(rate: Throughput) -> str:
    """What is handled in a second: "48,000 images/s"."""
    return f"{significant(rate.value)} {rate.unit}/s"


def ratio(value: float) -> str:
    """A speed-up: "10.7×", "0.820×", with the digits of its interval beside it."""
    return f"{significant(value)}×"


def times(speedup: float) -> str:
    """A speed-up in words: "10.7× faster", "9.12× slower"."""
    return f"{ratio(speedup)} faster" if speedup > 1 else f"{ratio(1 / speedup)} slower"


def speed_difference(speedup: Interval, *, few: bool = False, done: bool = True) -> str:
    """A speed-up as far as its interval tells: "10.7×", "9.12× slower", "no difference", "too rough to tell".

    ``few``: it rests on too few calls for a verdict. ``done``: no more will come.
    """
    untold = "too rough to tell" if done else "not known yet"
    if few:
        return untold
    if decided(speedup, 1):
        return ratio(speedup.value) if speedup.value > 1 else times(speedup.value)
    return untold if speedup.vague else "no difference"


def speed_range(speedup: Interval, *, done: bool = True) -> str:
    """The interval of a speed-up alone: "8.5 – 13×", "1.2 – 3.4× slower", or words where it holds 1."""
    if not decided(speedup, 1):
        return speed_difference(speedup, done=done)
    ends = (speedup.low, speedup.high) if speedup.low > 1 else (1 / speedup.high, 1 / speedup.low)
    digits = 2 if ends[0] >= 1.1 else 3  # fewer would be no gain at all
    return " – ".join(significant(end, digits) for end in ends) + ("×" if speedup.low > 1 else "× slower")


def speed(speedup: Interval, *, rough: bool, few: bool = False, done: bool = True) -> str:
    """A speed-up as far as it is sure: its value, or its range where that is ``rough``."""
    return speed_range(speedup, done=done) if rough and not few else speed_difference(speedup, few=few, done=done)


def unbroken(*parts: str) -> str:
    """Parts of a line that is broken between them only."""
    kept = (part.replace(" ", "\N{NO-BREAK SPACE}").replace("–", "–\N{WORD JOINER}") for part in parts)
    return " · ".join(kept)


def signed_text(text: str) -> str:
    """With the minus sign that is as wide as a plus."""
    return text.replace("-", "−")


def decided(interval: Interval, at: float) -> int:
    """1 where the interval lies above ``at``, −1 below, 0 where it contains it: no difference shown."""
    return (interval.low > at) - (interval.high < at)


def when(finished_at: str) -> str:
    """An ISO time in the reader's zone: "22 Nov, 14:05"."""
    moment = datetime.fromisoformat(finished_at)
    if moment.tzinfo:
        moment = moment.astimezone()
    return f"{moment.day} {moment:%b, %H:%M}"

"""Figures as people read them: units, thin spaces where they belong, a true minus sign."""

from __future__ import annotations

from datetime import datetime

from workbench.receipt import Interval

ABSENT = "—"


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


def milliseconds(value: float) -> str:
    """A latency: "0.0214 ms"."""
    return f"{significant(value)} ms"


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


def ratio(value: float) -> str:
    """A speed-up: "10.7×", "0.820×", with the digits of its interval beside it."""
    return f"{significant(value)}×"


def speed_difference(speedup: Interval, *, few: bool = False) -> str:
    """A speed-up as far as its interval tells: "10.7×", "no difference", "not known yet".

    ``few``: it rests on too few calls for a verdict.
    """
    if few:
        return "not known yet"
    if decided(speedup, 1):
        return ratio(speedup.value)
    return "not known yet" if speedup.vague else "no difference"


def unbroken(*parts: str) -> str:
    """Parts of a line that is broken between them only."""
    return " · ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)


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

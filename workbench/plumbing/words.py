"""Exceptions, sizes and figures as messages have them."""

from __future__ import annotations

import textwrap

_MOST_CHARACTERS = 300


def one_line(error: BaseException) -> str:
    """What an exception says, its lines joined and shortened to one; its type where it says nothing."""
    return textwrap.shorten(str(error), _MOST_CHARACTERS, placeholder=" …") or type(error).__name__


def size(size_bytes: float) -> str:
    """A size: "812 B", "81 kB", "4.8 MB", "8,800 GB"."""
    units = ["B", "kB", "MB", "GB"]
    while size_bytes >= 999.5 and len(units) > 1:
        size_bytes, units = size_bytes / 1000, units[1:]
    return f"{size_bytes:.2g} {units[0]}" if size_bytes < 9.95 else f"{size_bytes:,.0f} {units[0]}"


def about(seconds: float) -> str:
    """A time to wait, as far as it matters: "about 4 s", "about 50 s", "about 3 min"."""
    if seconds < 9.5:
        return f"about {max(1, round(seconds))} s"
    if seconds < 55:
        return f"about {5 * round(seconds / 5)} s"
    return f"about {max(1, round(seconds / 60)):,} min"


def figure(value: float, unit: str) -> str:
    """A figure of a metric: "92.43 %" of "share", "0.445 ppm", "3.402"."""
    return f"{value:.2%}".replace("%", " %") if unit == "share" else f"{value:.4g} {unit}".rstrip()

"""``make bench``: measure every promise of the workbench, print a table, and keep it as JSON."""

from __future__ import annotations

from itertools import chain

from benchmarks import aa, faults, first_figure, kernel_memory, load, opening, page
from benchmarks._report import table, write


def main() -> None:
    """Run all; a figure that falls short is reported, not an error."""
    parts = (page, opening, first_figure, kernel_memory, faults, aa, load)
    rows = list(chain.from_iterable(part.measure() for part in parts))
    print(table(rows))
    print(f"\nwritten to {write('workbench', rows)}")


if __name__ == "__main__":
    main()

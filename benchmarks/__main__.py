"""``make bench``: measure every promise of the workbench, print a table, and keep it as JSON."""

from __future__ import annotations

from benchmarks import aa, faults, kernel_memory, load, page
from benchmarks._report import table, write


def main() -> None:
    """Run all; a figure that falls short is reported, not an error."""
    rows = [*page.measure(), *kernel_memory.measure(), *faults.measure(), *aa.measure(), *load.measure()]
    print(table(rows))
    print(f"\nwritten to {write('workbench', rows)}")


if __name__ == "__main__":
    main()

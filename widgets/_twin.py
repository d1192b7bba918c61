"""What a widget shows, told without a kernel: a table, as HTML for saved notebooks and as text for terminals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

HTML, TEXT = "text/html", "text/plain"


@dataclass(frozen=True)
class Twin:
    """A table of text; the first cell of each row names it."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, title: str, head: Iterable[object], rows: Iterable[Iterable[object]]) -> Twin:
        """With everything as text."""
        return cls(title, tuple(map(str, head)), tuple(tuple(map(str, row)) for row in rows))

    @classmethod
    def of_columns(cls, title: str, columns: dict[str, str], rows: Iterable[dict[str, object]]) -> Twin | None:
        """Of what is found in ``rows`` under the keys of ``columns``, headed by their values; ``None`` without rows."""
        cells = [[row[key] for key in columns] for row in rows]
        return cls.of(title, columns.values(), cells) if cells else None

    def bundle(self) -> dict[str, str]:
        """By mime type, as a notebook keeps it."""
        return {HTML: self._html(), TEXT: self._text()}

    def _html(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in self.head)
        rows = "".join(
            f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
            for name, *cells in self.rows
        )
        caption = f"<caption>{escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _text(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines if any(line))
        return "\n".join((self.title, *padded))

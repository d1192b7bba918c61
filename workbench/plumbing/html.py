"""Tables and text as HTML, for reports and for notebooks that are read without a kernel."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose first column names the rows. All text is escaped."""
    drawn = "".join(_row(cells, "td") for cells in rows)
    return f"<table><thead>{_row(head, 'th')}</thead><tbody>{drawn}</tbody></table>"


def folded(title: str, body: str) -> str:
    """HTML that opens by a click on its title."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def paragraph(text: str) -> str:
    """One paragraph of text."""
    return f"<p>{escape(text)}</p>"


def _row(cells: Iterable[str], kind: str) -> str:
    first, *others = cells
    return (
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<{kind}>{escape(each)}</{kind}>" for each in others)}</tr>'
    )

"""Blocks of a report as Markdown that reads well in 80 columns, and as one HTML file that prints well on A4.

Every text is taken as what it says: nothing in it becomes markup, whoever wrote it.
"""

from __future__ import annotations

import html
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_COLUMNS = 80
_MARKUP = re.compile(r"[\\`*\[\]<>|&~#$]|(?<![^\W_])_|_(?![^\W_])")
_BEGINS_A_BLOCK = re.compile(r"^([-+](?=[-\s]|$)|=|\d+(?=[.)](?:\s|$)))")


@dataclass(frozen=True)
class Heading:
    """The title of the report (level 1) or of a section."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A sentence or several; a strong one is the one to be read first."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Commands:
    """What a reader types, as it is."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows under titles; `numbers` are the columns that are read as such."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()


Block = Heading | Paragraph | Commands | Table


def markdown(blocks: Iterable[Block]) -> str:
    """The blocks as Markdown; a table that is wider than a terminal becomes a list."""
    return "\n\n".join("\n".join(_markdown(one)) for one in blocks) + "\n"


def _markdown(block: Block) -> Iterable[str]:
    match block:
        case Heading(text, level):
            return [f"{'#' * level} {_escaped(text)}"]
        case Paragraph(text, strong):
            lines = _wrapped(_escaped(text), "")
            return ["**" + "\n".join(lines) + "**"] if strong else lines
        case Commands(lines):
            return [f"    {line}" for line in lines]
        case Table(titles, rows, numbers):
            drawn = list(_drawn(titles, rows, numbers))
            fits = len(titles) > 1 and max(map(len, drawn)) <= _COLUMNS
            return drawn if fits else list(_listed(titles, rows, numbers))


def _escaped(text: str) -> str:
    r"""Text in which nothing is markup.

    >>> _escaped("a|b <script> token_ttl *x*")
    'a\\|b \\<script\\> token_ttl \\*x\\*'
    """
    return _MARKUP.sub(lambda found: f"\\{found[0]}", text)


def _wrapped(text: str, first: str) -> list[str]:
    """Lines of a terminal's width; none begins with what would begin a list or a heading."""
    rest = " " * len(first)
    lines = textwrap.wrap(text, _COLUMNS - len(first) - 1, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{rest if number else first}{_harmless(line)}" for number, line in enumerate(lines)]


def _harmless(line: str) -> str:
    return _BEGINS_A_BLOCK.sub(lambda found: f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}", line)


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int]) -> Iterator[str]:
    cells = [[_escaped(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(3, *(len(row[number]) for row in cells)) for number in range(len(titles))]
    rule = [f"{'-' * (width - 1)}{':' if number in numbers else '-'}" for number, width in enumerate(widths)]
    for row in (cells[0], rule, *cells[1:]):
        told = [
            cell.rjust(width) if number in numbers else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(told)} |"


def _listed(titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int]) -> Iterator[str]:
    for row in rows:
        told = [
            f"{titles[number]}: {cell}" if number in numbers and titles[number] else cell
            for number, cell in enumerate(row)
            if cell
        ]
        yield from _wrapped(_escaped((" · " if any(titles) else ": ").join(told)), "- ")


_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif } }
:root { color-scheme: light }
body { font: 9.5pt/1.4 "Liberation Sans", Arial, Helvetica, sans-serif; color: #000; background: #fff; max-width: 178mm;
  margin: 12mm auto; overflow-wrap: anywhere }
h1 { font-size: 17pt; margin: 0 0 2mm; border-bottom: 1.5pt solid #000; padding-bottom: 2mm }
h2 { font-size: 11pt; margin: 6mm 0 1.5mm; break-after: avoid }
p { margin: 0 0 2mm }
p.strong { font-weight: bold; font-size: 11pt; border: 1pt solid #000; padding: 2mm 3mm; margin: 3mm 0 }
table { border-collapse: collapse; width: 100%; margin: 0 0 2mm; font-variant-numeric: tabular-nums }
table.small { width: auto }
thead { display: table-header-group }
th { text-align: left; font-weight: bold; border-bottom: 0.8pt solid #000; vertical-align: bottom }
td { vertical-align: top; border-bottom: 0.3pt solid #999 }
th, td { padding: 0.8mm 3mm 0.8mm 0 }
th:last-child, td:last-child { padding-right: 0 }
tr { break-inside: avoid }
.number { text-align: right; white-space: nowrap }
.short { white-space: nowrap; overflow-wrap: normal }
pre { font: 8.5pt/1.45 "Liberation Mono", "DejaVu Sans Mono", monospace; white-space: pre-wrap; margin: 0 0 2mm;
  padding: 1.5mm 2mm; border: 0.3pt solid #999 }
table:last-of-type td { height: 11mm; border-bottom-color: #000 }
@media print { body { margin: 0; max-width: none } }
"""  # noqa: E501 - a rule of CSS stands on a line
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_NARROW = 24
_PAIR = 2
_STRONG, _SMALL = ' class="strong"', ' class="small"'


def page(title: str, blocks: Iterable[Block]) -> str:
    """The blocks as one HTML file: no script, nothing from elsewhere, and a policy that allows neither."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(_html(one) for one in blocks)
        + "\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text, strong):
            return f"<p{_STRONG if strong else ''}>{html.escape(text)}</p>"
        case Commands(lines):
            return f"<pre>{html.escape(chr(10).join(lines))}</pre>"
        case Table(titles, rows, numbers):
            return _html_table(titles, rows, numbers)


def _html_table(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: frozenset[int]) -> str:
    narrow = [max((len(row[number]) for row in rows), default=0) <= _NARROW for number in range(len(titles))]

    def drawn(tag: str) -> Callable[[Sequence[str]], str]:
        def row(cells: Sequence[str]) -> str:
            return "".join(
                f"<{tag}{_class(number, numbers, narrow)}>{html.escape(cell)}</{tag}>"
                for number, cell in enumerate(cells)
            )

        return row

    head = f"<thead><tr>{drawn('th')(titles)}</tr></thead>\n" if any(titles) else ""
    body = "\n".join(f"<tr>{drawn('td')(row)}</tr>" for row in rows)
    small = _SMALL if len(titles) == _PAIR and 1 in numbers else ""
    return f"<table{small}>\n{head}<tbody>\n{body}\n</tbody>\n</table>"


def _class(number: int, numbers: frozenset[int], narrow: Sequence[bool]) -> str:
    if number in numbers:
        return ' class="number"'
    return ' class="short"' if narrow[number] else ""

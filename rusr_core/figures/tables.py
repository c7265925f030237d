"""Tables of text and numbers as markup, which wraps and fits its page where printed columns are cut off."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from rusr_core.figures.interactive import Html
from rusr_core.figures.panels import FigureError
from rusr_core.limits import check_whole, shown

MOST_DIGITS = 17  # decimals; a float has no more
SLIM = 46  # characters in a row that a phone shows without stacking the cells; _static/rusr.css says the rest
WIDE = 7  # columns from which letters and gaps are smaller, or the last column would be cut off
UNITS = re.compile(  # as "12.5 %", "3 of 4", "-0.02 =" with a verdict
    r"[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?(?:[ \u00a0]?(?:%|dB|px|s|MB|bytes)| of \d+|/\d+)?(?:\u00a0[=+ -])?\*?"
)


def table(
    rows: Mapping[str, Sequence[object]] | Sequence[Sequence[object]],
    columns: Sequence[str],
    *,
    digits: int | Sequence[int] = 2,
    caption: str = "",
) -> Html:
    """An HTML table. `rows` are sequences of cells, or {name of the row: the cells after it}.

    `columns` names all columns, that of the row names included. Floats are written with `digits` decimals, one number
    for the table or one for each column; a float that rounds to zero has no sign. A column stands right if it holds
    numbers only, with or without units ("12.5 %"), "-", and None, which is an empty cell; everything else is text.
    Cells are escaped, except `Html`, which is taken as it is. Raises `FigureError` if a row, or `digits`, has another
    number of entries than there are columns, and for what is no number of decimals.
    """
    for name, given in (("rows", rows), ("columns", columns)):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise FigureError(f"{name} are {shown(given)}: expected a list of them")
    decimals = [digits] * len(columns) if isinstance(digits, int) or not isinstance(digits, Sequence) else list(digits)
    if len(decimals) != len(columns):
        raise FigureError(f"digits has {len(decimals)} entries, expected {len(columns)}: {', '.join(columns)}")
    for each in decimals or [digits]:
        check_whole("digits", each, 0, MOST_DIGITS, FigureError)
    cells = [(name, *row) for name, row in rows.items()] if isinstance(rows, Mapping) else [tuple(row) for row in rows]
    for row in cells:
        if len(row) != len(columns):
            raise FigureError(f"row {row[:1]} has {len(row)} cells, expected {len(columns)}: {', '.join(columns)}")
    columns_of = list(zip(*cells, strict=True)) or [()] * len(columns)
    kinds = [' class="number"' if _is_numeric(column) else "" for column in columns_of]
    head = "".join(f'<th scope="col"{kind}>{escape(str(name))}</th>' for name, kind in zip(columns, kinds, strict=True))
    names = ["", *(str(name) for name in columns[1:])]  # where rows are stacked, each cell says its column
    body = "".join(
        f"<tr>{''.join(map(_cell, row, [True] + [False] * len(row), decimals, names, kinds))}</tr>" for row in cells
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    look = " rusr-slim" if _width(columns, columns_of, decimals) <= SLIM else ""
    look += " rusr-wide" if len(columns) >= WIDE else ""
    return Html(f'<table class="rusr-table{look}">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _width(heads: Sequence[str], columns: Sequence[Sequence[object]], digits: Sequence[int]) -> int:
    """Characters of the widest row, two between columns; heads wrap between words."""
    width = 0
    for head, column, places in zip(heads, columns, digits, strict=True):
        words = [len(word) for word in str(head).split()]
        width += 2 + max([*words, *(len(_text(value, places)) for value in column)], default=0)
    return width


def _text(value: object, digits: int) -> str:
    return "" if value is None else f"{value:z.{digits}f}" if isinstance(value, float) else str(value)


def _cell(value: object, first: bool, digits: int, column: str, kind: str) -> str:
    text = _text(value, digits)
    text = text if isinstance(value, Html) else _breakable(escape(text).replace("\n", "<br>"))
    column = f' data-column="{escape(column)}"' if column and text else ""
    return f'<th scope="row"{kind}>{text}</th>' if first else f"<td{kind}{column}>{text}</td>"


def _breakable(text: str) -> str:
    """A line may end behind a comma that no space follows, as in "strokes:17,seed=0", not in "4 %", "[1, 2]", W-W+."""
    text = re.sub(r"(?<=\d) (?=%)|(?<=\d,) (?=[+−-]?\d[\d.]*\])", "\u00a0", text)
    text = re.sub(r"(?<=[W+]-)(?=W)", "\u2060", text)
    return re.sub(",(?=[A-Za-z])", ",<wbr>", text)


def _is_number(value: object) -> bool:
    """A number, or text that is one, with or without a unit."""
    if isinstance(value, str):
        return not isinstance(value, Html) and UNITS.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_numeric(column: Sequence[object]) -> bool:
    """Whether the cells of a column are numbers, or missing."""
    return any(value is not None for value in column) and all(
        value in (None, "-") or _is_number(value) for value in column
    )

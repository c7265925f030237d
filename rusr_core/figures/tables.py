"""Tables of text and numbers as markup, which wraps and fits its page where printed columns are cut off."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from rusr_core.figures.interactive import Html
from rusr_core.figures.panels import FigureError
from rusr_core.limits import check_whole

MOST_DIGITS = 17  # decimals; a float has no more


def table(
    rows: Mapping[str, Sequence[object]] | Sequence[Sequence[object]],
    columns: Sequence[str],
    *,
    digits: int = 2,
    caption: str = "",
) -> Html:
    """An HTML table. `rows` are sequences of cells, or {name of the row: the cells after it}.

    `columns` names all columns, that of the row names included. Floats are written with `digits` decimals and stand
    right like all numbers; everything else is text. Cells are escaped, except `Html`, which is taken as it is.
    Raises `FigureError` if a row has another number of cells than there are columns, and for no number of decimals.
    """
    check_whole("digits", digits, 0, MOST_DIGITS, FigureError)
    cells = [(name, *row) for name, row in rows.items()] if isinstance(rows, Mapping) else [tuple(row) for row in rows]
    for row in cells:
        if len(row) != len(columns):
            raise FigureError(f"row {row[:1]} has {len(row)} cells, expected {len(columns)}: {', '.join(columns)}")
    columns_of = list(zip(*cells, strict=True)) or [()] * len(columns)
    kinds = [' class="number"' if column and all(map(_is_number, column)) else "" for column in columns_of]
    head = "".join(f'<th scope="col"{kind}>{escape(str(name))}</th>' for name, kind in zip(columns, kinds, strict=True))
    names = ["", *(str(name) for name in columns[1:])]  # where rows are stacked, each cell says its column
    body = "".join(f"<tr>{_row(row, names, digits)}</tr>" for row in cells)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Html(f'<table class="rusr-table">{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _row(row: tuple[object, ...], names: Sequence[str], digits: int) -> str:
    return "".join(_cell(value, i == 0, digits, name) for i, (value, name) in enumerate(zip(row, names, strict=True)))


def _cell(value: object, first: bool, digits: int, column: str) -> str:
    number = _is_number(value)
    text = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    text = text if isinstance(value, Html) else _breakable(escape(text).replace("\n", "<br>"))
    kind = ' class="number"' if number else ""
    column = f' data-column="{escape(column)}"' if column and text else ""
    return f'<th scope="row"{kind}>{text}</th>' if first else f"<td{kind}{column}>{text}</td>"


def _breakable(text: str) -> str:
    """A line may end behind a comma that no space follows, as in "strokes:17,seed=0"."""
    return re.sub(",(?=[A-Za-z])", ",<wbr>", text)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

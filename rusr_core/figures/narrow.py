"""Figures once more, for a phone: pictures wrap, charts stand below each other, and letters keep their size.

A page is 7 inches wide on a desk and 3.6 on a phone. A figure that only shrinks has letters of a millimetre there. In
the book's build every wide figure is therefore drawn a second time, `NARROW` inches wide, and handed over beside the
first one under a type of its own, which notebooks overlook; `book/phone.py` puts both into the page.
"""

import base64
import io
import pickle
import sys
import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend

from rusr_core.figures.labels import label_again

MIME = "application/x-rusr-narrow-png"
NARROW = 3.6  # inches
DPI = 220  # a phone's screen has two or three points a CSS pixel
LETTER = 0.085  # inches: the mean width of a letter of 10 points
LINE = 0.19  # inches from one line of a title to the next
HEIGHT = 2.3  # inches of a chart that stands above another
LABEL = 0.28  # inches that the name of a row takes


def narrowed(figure: Figure) -> bytes | None:
    """The figure as a PNG for a phone, None if it is narrow enough as it is. The figure itself stays untouched."""
    if figure.get_figwidth() <= 1.1 * NARROW:
        return None
    buffer = io.BytesIO()
    copied(figure).savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.04)
    return buffer.getvalue()


def copied(figure: Figure) -> Figure:
    """A copy of the figure, laid out for a phone."""
    copy = pickle.loads(pickle.dumps(figure))  # our own bytes  # noqa: S301
    plt.close(copy)  # or pyplot would show it, too
    grid = _grid(copy)
    if grid and all(_is_picture(ax) for ax in grid.values()):
        _wrap_pictures(copy, grid)
    else:
        _stack_charts(copy, grid)
        for ax in copy.axes:
            label_again(ax)
    return copy


def offer() -> None:
    """From now on a notebook's outputs hold the narrow figure, too. Outside IPython nothing happens."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        shell.display_formatter.mimebundle_formatter.for_type(Figure, _bundle)


def _bundle(figure: Figure, **_: object) -> Mapping[str, str]:
    picture = narrowed(figure)
    return {} if picture is None else {MIME: base64.b64encode(picture).decode()}


def _grid(figure: Figure) -> dict[tuple[int, int], Axes]:
    """{(row, column): axes} of a figure with one full grid of axes; nothing for any other arrangement."""
    found = {}
    for ax in figure.axes:
        place = ax.get_subplotspec()
        if place is None:  # a colour bar
            continue
        if len(place.rowspan) > 1 or len(place.colspan) > 1:
            return {}
        found[place.rowspan.start, place.colspan.start] = ax
    grids = {ax.get_subplotspec().get_gridspec() for ax in found.values()}
    return found if len(grids) == 1 and not figure.subfigs else {}


def _is_picture(ax: Axes) -> bool:
    return not ax.axison or bool(ax.images) and not len(ax.get_xticks())


def _wrap_pictures(figure: Figure, grid: dict[tuple[int, int], Axes]) -> None:
    """At most three pictures side by side, each with the title of its column, the rows below each other."""
    if all(ax.get_title() for ax in grid.values()):  # no table of rows and columns, but pictures in a line
        grid = {(0, i): grid[place] for i, place in enumerate(sorted(grid))}
    rows, columns = (1 + max(place[axis] for place in grid) for axis in (0, 1))
    across = columns if columns <= 3 else 2 if columns == 4 else 3
    titles = [grid[0, column].get_title() if (0, column) in grid else "" for column in range(columns)]
    named = any(ax.get_ylabel() for ax in grid.values())
    width = (NARROW - (LABEL if named else 0)) / across
    lines = -(-columns // across)
    spec = GridSpec(rows * lines, across, figure=figure)
    height = 0.0
    for row in range(rows):
        for line in range(lines):
            places = [(row, column) for column in range(line * across, min((line + 1) * across, columns))]
            present = [grid[place] for place in places if place in grid]
            for place in places:
                if place in grid:
                    grid[place].set_subplotspec(spec[row * lines + line, place[1] - line * across])
                    own = grid[place].get_title()  # a wrapped row says again what its pictures are
                    grid[place].set_title(_filled(own or (titles[place[1]] if lines > 1 else ""), width))
            letters = max((1 + ax.get_title().count("\n") for ax in present if ax.get_title()), default=0)
            height += width * max(_aspect(ax) for ax in present) + LINE * letters + 0.03
    figure.set_size_inches(NARROW, height)


def _aspect(ax: Axes) -> float:
    """Height by width of the picture in some axes."""
    if not ax.images:
        return 1.0
    high, wide = ax.images[0].get_array().shape[:2]
    return high / wide


def _stack_charts(figure: Figure, grid: dict[tuple[int, int], Axes]) -> None:
    """Charts below each other, and two by two where there are more than two columns."""
    high = figure.get_figheight()
    rows, columns = (1 + max((place[axis] for place in grid), default=0) for axis in (0, 1))
    across = 1 if columns <= 2 else 2
    lines = -(-columns // across)
    if lines > 1:
        spec = GridSpec(rows * lines, across, figure=figure)
        for (row, column), ax in grid.items():
            ax.set_subplotspec(spec[row * lines + column // across, column % across])
            if not _is_picture(ax):
                ax.tick_params(labelleft=True, labelbottom=True)  # shared axes had theirs at the edge only
        high = min(high, HEIGHT * rows) * lines
    figure.set_size_inches(NARROW, high - _needless(figure))
    for legend in figure.legends[:]:
        _legend_below(figure, legend)
    if len(figure.axes) == 1 and (legend := figure.axes[0].get_legend()) and _covers(figure, legend):
        _legend_below(figure, legend)


def _needless(figure: Figure) -> float:
    """Inches by which a single drawing with one scale on both axes gets lower: what it loses as it becomes narrower,
    and the room of a legend below it, which `_legend_below` adds once more.
    """
    ax = figure.axes[0]
    if len(figure.axes) > 1 or ax.get_aspect() == "auto":
        return 0.0
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    legends = LINE * sum(-(-len(legend.get_texts()) // 2) for legend in figure.legends)
    return (figure.get_figwidth() - NARROW) * ax.get_aspect() * abs((high - low) / (right - left)) + legends


def _legend_below(figure: Figure, legend: Legend) -> None:
    """The same legend anew, below everything and in two columns: how many it has is settled when it is made."""
    names = [text.get_text() for text in legend.get_texts()]
    size = legend.get_texts()[0].get_fontsize()
    lines = -(-len(names) // 2)
    legend.remove()
    framed = legend.get_frame_on()  # the style of the book is not at hand here
    handles = legend.legend_handles
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=size, frameon=framed)
    wide, high = figure.get_size_inches()
    figure.set_size_inches(wide, high + LINE * lines)


def _covers(figure: Figure, legend: Legend) -> bool:
    """Whether a legend lies on the lines of its chart."""
    figure.draw_without_rendering()  # which places both; the canvas of a copy would draw nothing
    box = legend.get_window_extent()
    return any(
        line.get_path().transformed(line.get_transform()).intersects_bbox(box, False) for line in legend.axes.lines
    )


def _filled(title: str, width: float) -> str:
    """A title in lines that are no wider than its picture; formulas stay whole, and classical@tuned breaks after @."""
    if "$" in title or "\n" in title:
        return title
    return textwrap.fill(title.replace("@", "@ "), max(4, int(width / LETTER))).replace("@ ", "@")

"""Names beside the points of a chart, none upon another. They are placed once more where the chart has another size."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.transforms import Bbox

Label = tuple[str, tuple[float, float], str]  # a text, its point in data and its colour
PLACES = tuple(product((8, 16, 28, 42, 58), range(-45, 315, 45)))  # points of distance, degrees


def label_points(ax: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]]) -> None:
    """Each label beside its point: at the first of the places around it where it covers neither a label nor one of
    all `points`, and if there is none, at the last. Away from its point it stands at the end of a line, which crosses
    none of them either.
    """
    ax.rusr_labels = labels, points  # for `label_again`
    ax.figure.draw_without_rendering()  # the layout is known only then
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in ax.transData.transform(points)] if points else []
    for label, point, colour in labels:
        for distance, angle in PLACES:
            offset = distance * np.cos(np.radians(angle)), distance * np.sin(np.radians(angle))
            arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.5} if distance > 8 else None
            text = ax.annotate(
                label, point, offset, textcoords="offset points", fontsize=8, color=colour, arrowprops=arrow,
                ha="center", va="center",
            )  # fmt: skip
            text.get_window_extent()  # finds its place; what follows leaves out its line
            box = Text.get_window_extent(text).padded(4, 0)  # or two beside each other read as one word
            drawn = [box, *(_along(ax, point, offset) if arrow else ())]
            if (distance, angle) == PLACES[-1] or not any(one.overlaps(other) for one in drawn for other in taken):
                break  # no label is left out: where no place is free it stands at the last
            text.remove()
        taken += drawn


def _along(ax: Axes, point: tuple[float, float], offset: tuple[float, float]) -> list[Bbox]:
    """Small boxes on the line from a point to its label, but for its ends, which touch both."""
    begin, way = ax.transData.transform(point), np.array(offset) * ax.figure.dpi / 72
    return [Bbox.from_bounds(*(begin + way * part - 1), 2, 2) for part in np.linspace(0.3, 0.7, 5)]


def label_again(ax: Axes) -> None:
    """Place the labels of `label_points` for the size that the chart has now; nothing where there are none."""
    if not hasattr(ax, "rusr_labels"):
        return
    for text in tuple(ax.texts):
        text.remove()
    label_points(ax, *ax.rusr_labels)

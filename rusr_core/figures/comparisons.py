"""Charts of a comparison of methods: how far each ends from the truth against one of them, also when it is measured
again, and at what price.

All return a matplotlib `Figure` in the book's style, closed, so that a notebook draws it once. Chapters:
book/one_setting.ipynb, book/ablations.ipynb.
"""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rusr_core.figures.charts import kind_of
from rusr_core.figures.labels import label_points
from rusr_core.figures.panels import STYLE, FigureError, logarithmic, plain_numbers
from rusr_core.limits import is_number, shown
from rusr_core.metrics.report import NONE
from rusr_core.sweeps import factors
from rusr_core.sweeps.rivals import COLUMNS, OURS, Comparison, named, verdict

LOOKS = {"default": ("o", "#0072B2"), "one": ("s", "#009E73"), "tuned": ("D", "#D55E00")}  # marker, colour
NAMES = {"default": "as published", "one": "one setting", "tuned": "tuned for the task"}
AGAIN = (  # of the first measurement, the second and so on
    ("o", "#0072B2"),
    ("s", "#8C8C8C"),
    ("D", "#D55E00"),
    ("^", "#009E73"),
    ("v", "#CC79A7"),
)
GAP = 0.24  # between the columns of a method, in rows
WIDEST = 16  # times as far: the end of an axis of factors that were measured again


def forest(found: Comparison, *, ours: str = OURS, tasks: Sequence[str] | None = None) -> Figure:
    """How many times as far from the truth each method ends as `ours`: a panel a task, a row a method, with 95 %
    intervals, paired by portrait, in up to three columns each.

    `ours` has a row where it was run in another column, too: what it would gain if it were tuned. A marker is filled
    where the interval excludes "as far", and hollow for a tie. A method that cannot do a task has
    "n/a" at the end of its row, one that was not run has nothing there. The nearest methods stand at the top, by their
    mean over the tasks that they can do.

    Raises `FigureError` for a task that `ours` has not done, and if there is none.
    """
    known = found.shared(ours)
    tasks = known if tasks is None else list(tasks)
    if not tasks or not set(tasks) <= set(known):
        raise FigureError(f"tasks are {tasks}: expected some of those that {ours} has done, {', '.join(known)}")
    methods = _nearest_first(found, ours, tasks)
    high, wide = -(-len(tasks) // 2), min(2, len(tasks))
    with plt.style.context(STYLE):
        extent = (1.0 + 3.0 * wide, 0.6 + high * (0.6 + 0.27 * len(methods)))
        figure, axes = plt.subplots(
            high, wide, figsize=extent, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
        for ax in axes.flat[len(tasks) :]:
            ax.remove()
        drawn = set().union(
            *(_draw(ax, found, ours, task, methods) for ax, task in zip(axes.flat, tasks, strict=False))
        )
        axes[0, 0].set(yticks=range(len(methods)), yticklabels=methods, ylim=(len(methods) - 0.5, -0.5), xscale="log")
        for ax in figure.axes:
            ax.tick_params(axis="y", length=0)
            plain_numbers(ax.xaxis)
        for ax in figure.axes[-wide:]:
            ax.set_xlabel(f"times as far as {ours}")
        if len(drawn) > 1:
            marks = [_mark(look, NAMES[column]) for column, look in LOOKS.items() if column in drawn]
            figure.legend(handles=marks, loc="outside lower center", ncols=3)
        plt.close(figure)
    return figure


def _mark(look: tuple[str, str], name: str) -> Line2D:
    """A marker with its name, for a legend."""
    marker, colour = look
    return Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=5, label=name)


def _nearest_first(found: Comparison, ours: str, tasks: Sequence[str]) -> list[str]:
    """All methods, ordered by their factor over the tasks that they can do; those without one are last, but for `ours`,
    which has no row then.
    """
    order = {}
    for method in found.methods:
        values = [
            value[0]
            for column in COLUMNS
            for task in tasks
            if (value := _factor(found, method, column, ours, task)) is not None
        ]
        if method != ours or values:
            order[method] = sum(map(math.log, values)) / len(values) if values else math.inf
    return sorted(order, key=lambda method: order[method])


def _factor(found: Comparison, method: str, column: str, ours: str, task: str) -> tuple[float, float, float] | None:
    """A method in a column against `ours` on a task; None where it has no result there, or is `ours` itself."""
    name = named(method, column)
    return found.against(name, ours, [task]) if name != ours and found.distances(name, task) else None


def _draw(ax: Axes, found: Comparison, ours: str, task: str, methods: Sequence[str]) -> set[str]:
    """One panel; -> the columns that it shows."""
    drawn = set()
    ax.set_title(" ".join(kind_of(task)))
    ax.axvline(1, color="#BFBFBF", linewidth=0.8, zorder=0)
    for at, method in enumerate(methods):
        values = {column: _factor(found, method, column, ours, task) for column in LOOKS}
        there = [column for column in LOOKS if values[column] is not None]
        for i, column in enumerate(there):
            y, tied = at + GAP * (i - (len(there) - 1) / 2), verdict(values[column]) in ("tie", "not known")
            _with_ends(ax, values[column], y, LOOKS[column], not tied)
        if not there and (method, task) in found.reasons:
            style = {"color": "#4D4D4D", "fontsize": 8, "ha": "right", "va": "center"}
            ax.text(0.98, at, NONE, transform=ax.get_yaxis_transform(), **style)
        drawn |= set(there)
    return drawn


def _with_ends(ax: Axes, factor: tuple[float, float, float], y: float, look: tuple[str, str], filled: bool) -> None:
    """A factor with its interval at one height, in a marker and a colour."""
    (value, low, high), (marker, colour) = factor, look
    ax.plot([low, high], [y, y], color=colour, linewidth=1.4, alpha=0.6, solid_capstyle="butt")
    ax.plot(value, y, marker, color=colour, markerfacecolor=colour if filled else "white", markersize=4.5)


def repeated(
    rows: Mapping[str, Mapping[str, tuple[float, float, float]]], *, measurements: Sequence[str], xlabel: str
) -> Figure:
    """The same factors measured more than once, or of several methods: a row a variant.

    In a row is {measurement: (value, low, high)}.

    `measurements` names up to five, from top to bottom; a row that lacks one leaves its place empty. A marker is
    filled where the interval as it is printed excludes 1 (`factors.decided`). The axis is logarithmic and ends at 16
    and 1 / 16, since intervals of two or three values know no end. Raises `FigureError` for no row, another number of
    measurements, one that is not named, and a number that has no logarithm.
    """
    _check_rows(rows, measurements)
    looks = dict(zip(measurements, AGAIN, strict=False))
    with plt.style.context(STYLE):
        gap = min(GAP, 0.72 / len(looks))
        extent = (6.4, 0.9 + (0.13 + 0.13 * len(looks)) * len(rows))
        figure, ax = plt.subplots(figsize=extent, layout="constrained")
        ax.axvline(1, color="#BFBFBF", linewidth=0.8, zorder=0)
        for at, row in enumerate(rows.values()):
            for i, (name, look) in enumerate(looks.items()):
                if name in row:
                    y = at + gap * (i - (len(looks) - 1) / 2)
                    _with_ends(ax, row[name], y, look, factors.decided(*row[name]) != 0)
        ax.set(yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5), xscale="log", xlabel=xlabel)
        low, high = ax.get_xlim()
        ax.set_xlim(max(low, 1 / WIDEST), min(high, WIDEST))
        ax.tick_params(axis="y", length=0)
        plain_numbers(ax.xaxis)
        marks = [_mark(look, name) for name, look in looks.items() if any(name in row for row in rows.values())]
        figure.legend(handles=marks, loc="outside lower center", ncols=3)
        plt.close(figure)
    return figure


def _check_rows(rows: Mapping[str, Mapping[str, tuple[float, float, float]]], measurements: Sequence[str]) -> None:
    if not rows or not 1 <= len(measurements) <= len(AGAIN):
        raise FigureError(
            f"{len(rows)} rows of {len(measurements)} measurements: expected a row or more, one to {len(AGAIN)} "
            "measurements"
        )
    for variant, row in rows.items():
        for name, factor in row.items():
            if name not in measurements:
                raise FigureError(f"{variant} has {name!r}: expected one of {', '.join(measurements)}")
            if len(factor) != 3 or not all(is_number(number) and number > 0 for number in factor):
                raise FigureError(f"{variant} has {shown(factor)} in {name}: expected (value, low, high), all above 0")


def trade(
    points: Mapping[str, tuple[float, float]], *, xlabel: str, ylabel: str, ours: str = OURS, log: str = ""
) -> Figure:
    """One number against another: a dot a method with its name beside it, `ours` in another colour.

    `log` holds the letters of the logarithmic axes. Raises `FigureError` if there is no point, and for a number that
    such an axis cannot show.
    """
    if not points or not set(log) <= {"x", "y"}:
        raise FigureError(f"{len(points)} points, log {log!r}: expected one point or more, and letters of x and y")
    for name, point in points.items():
        if len(point) != 2 or not all(map(is_number, point)):
            raise FigureError(f"{name} lies at {shown(point)}: expected two finite numbers")
        if any(value <= 0 and axis in log for axis, value in zip("xy", point, strict=True)):
            raise FigureError(f"{name} lies at {point}: expected numbers above 0 on logarithmic axes")
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        colours = {name: LOOKS["tuned" if name == ours else "default"][1] for name in points}
        for name, point in points.items():
            ax.plot(*point, "o", color=colours[name], markersize=5)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        logarithmic(ax, log)
        ax.margins(0.12)
        label_points(ax, [(name, point, colours[name]) for name, point in points.items()], list(points.values()))
        plt.close(figure)
    return figure

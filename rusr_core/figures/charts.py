"""Charts of numbers: lines, bars with intervals, scores by task and level, and one score against another.

Every function returns a matplotlib `Figure` in the book's style, closed, so that a notebook draws it once.
Intervals are drawn wherever there are any; where there are none, nothing pretends to be one.
"""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import product
from numbers import Number

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rusr_core.figures.interactive import Html
from rusr_core.figures.labels import label_points
from rusr_core.figures.panels import MOST, STYLE, FigureError, check_extent, logarithmic, panel, plain_numbers
from rusr_core.limits import shown
from rusr_core.sweeps import recordings as recorded
from rusr_core.sweeps.recordings import Recording
from rusr_core.tasks import COMPOSED, EVERY, LEVELS, TASKS

MARKERS = "osD^v<>"
SIMPLE = {"nothing": "#8C8C8C", "classical": "#4D4D4D"}  # opponents without a prior are grey
LOG_FROM = 20  # a scatter plot whose values span more takes a logarithmic axis


def lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    log: str = "",
    size: tuple[float, float] = (6.4, 2.9),
) -> Figure:
    """One line a name over the common `x`; `log` holds the letters of the logarithmic axes ("x", "y", "xy").

    Markers tell the lines apart without colour. Raises `FigureError` for lines, axes or a size that do not fit.
    """
    check_extent(size)
    if not isinstance(log, str) or not set(log) <= {"x", "y"}:
        raise FigureError(f"log is {shown(log)}: expected the letters of logarithmic axes, x and y")
    for name, values in series.items():  # before there is a figure, which a notebook would show
        if len(values) != len(x):
            raise FigureError(f"line {name!r} has {len(values)} values for {len(x)} positions")
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        for i, (name, values) in enumerate(series.items()):
            every = max(1, len(x) // 12)
            ax.plot(x, values, label=name, marker=MARKERS[i % len(MARKERS)], markersize=4, markevery=every)
        ax.set(xlabel=xlabel, ylabel=ylabel)
        logarithmic(ax, log)
        if "x" not in log and len(x) < 10 and all(isinstance(v, Number) and v == int(v) for v in x):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))  # places in an order have nothing between them
        if len(series) > 1:
            ax.legend()
        plt.close(figure)
    return figure


def bars(
    values: Mapping[str, float | Sequence[float]],
    *,
    xlabel: str,
    reference: str | None = None,
    size: tuple[float, float] | None = None,
) -> Figure:
    """A dot a name, top to bottom, each value a number or (value, low, high), whose interval is drawn.

    `reference` names the row whose value is drawn as a vertical line through all. Raises `FigureError`.
    """
    if size is not None:
        check_extent(size)
    if not values or (reference is not None and reference not in values):
        raise FigureError(f"reference {reference!r}: expected one of {', '.join(values) or 'at least one value'}")
    rows = {name: tuple(np.atleast_1d(value)) for name, value in values.items()}
    for name, row in rows.items():
        if len(row) not in (1, 3) or not all(isinstance(number, int | float | np.number) for number in row):
            raise FigureError(
                f"the value of {name!r} is {shown(values[name])}: expected a number or (value, low, high)"
            )
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=size or (6.4, 0.5 + 0.27 * len(rows)), layout="constrained")
        for at, (name, row) in enumerate(rows.items()):
            colour = "#D55E00" if name == reference else "#0072B2"
            if len(row) == 3 and np.isfinite(row).all():
                ax.plot(row[1:], [at, at], color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="butt")
            ax.plot(row[0], at, "o", color=colour, markersize=5)
        if reference is not None:
            ax.axvline(rows[reference][0], color="#BFBFBF", linewidth=0.8, zorder=0)
        ax.set(yticks=range(len(rows)), yticklabels=list(rows), xlabel=xlabel)
        ax.invert_yaxis()
        ax.tick_params(axis="y", length=0)
        plt.close(figure)
    return figure


def by_level(recording: Recording, metric: str, *, tasks: Sequence[str] = tuple(TASKS), log: bool = False) -> Figure:
    """A recorded metric over the levels, a panel a task and a line a method, with 95 % intervals, which Frechet
    distances do not have. Doing nothing and the classical tool are dashed in grey.

    With `log` the axes are logarithmic and each panel has its own: a method that is twice as near stands equally far
    below in all of them. Below each level stands the number of portraits, which may differ along a line. Raises
    `FigureError` where a logarithm does not exist.
    """
    if log:  # before there is a figure, which a notebook would show
        _check_logarithms(recording, metric, [f"{task} {level}" for task in tasks for level in LEVELS])
    high, wide = -(-len(tasks) // 2), min(2, len(tasks))  # two side by side have letters that can be read
    methods = sorted(recording.methods, key=lambda method: method in SIMPLE)  # grey lines last
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(
            high, wide, figsize=(1.8 + 2.7 * wide, 0.3 + 2.7 * high), sharey=not log, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for ax in axes.flat[len(tasks) :]:
            ax.remove()
        for ax, task in zip(axes.flat, tasks, strict=False):
            ticks = [_with_number(recording, task, v) for v in LEVELS]
            ax.set(title=task, xticks=range(len(LEVELS)), xticklabels=ticks, yscale="log" if log else "linear")
            for i, method in enumerate(methods):
                _draw_method(ax, recording, task, method, metric, 0.1 * (i - (len(methods) - 1) / 2))
        for ax in axes[:, 0]:
            ax.set_ylabel(metric)
        for ax in figure.axes if log else ():
            plain_numbers(ax.yaxis)
            means = [y for container in ax.containers for y in container[0].get_ydata()]
            ax.set_ylim(bottom=0.5 * min(means) if means else None)  # an interval down to zero has no end here
        lines = {label: line for ax in figure.axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        if lines:
            figure.legend(lines.values(), lines, loc="outside lower center", ncols=5 if wide > 1 else 3)
        plt.close(figure)
    return figure


def recorded_by_level(
    name: str, metric: str, *, tasks: Sequence[str] = tuple(TASKS), log: bool = False
) -> Figure | Html:
    """`by_level` of the recording that goes by the name of a prior; a sentence where it holds none of it."""
    found = recorded.find(name)
    rows = product(tasks, LEVELS, found.methods) if found else ()
    if not any(found.has(f"{task} {level}", method, metric) for task, level, method in rows):
        return _sentence(f"{metric} of {', '.join(tasks)}", name)
    return by_level(found, metric, tasks=tasks, log=log)


def _sentence(what: str, name: str) -> Html:
    return Html(f"<p><em>No {escape(what)} is recorded with prior {escape(name)}.</em></p>")


def _check_logarithms(recording: Recording, metric: str, tasks: Sequence[str]) -> None:
    for task, method in product(tasks, recording.methods):
        if recording.has(task, method, metric) and (value := recording.score(task, method, metric)[0]) <= 0:
            raise FigureError(f"{metric} of {method} on {task} is {value:g}: expected no log, or values above 0")


def _draw_method(ax: Axes, recording: Recording, task: str, method: str, metric: str, shift: float) -> None:
    """One line with intervals, shifted so that those of different methods stand side by side."""
    found = [level for level in LEVELS if recording.has(f"{task} {level}", method, metric)]
    if not found:
        return
    rows = np.array([recording.score(f"{task} {level}", method, metric) for level in found])
    at = np.array([LEVELS.index(level) for level in found]) + shift
    ends = np.nan_to_num(np.abs(rows[:, 1:] - rows[:, :1]).T)  # nan where one image gives no interval
    if ax.get_yscale() == "log":
        ends[0] = np.minimum(ends[0], 0.99 * rows[:, 0])  # zero lies nowhere on such an axis
    style = {"color": SIMPLE[method], "linestyle": "--"} if method in SIMPLE else {}
    marker = _marker(recording, method)
    ax.errorbar(at, rows[:, 0], yerr=ends, label=method, marker=marker, markersize=4, elinewidth=1.0, **style)


def _with_number(recording: Recording, task: str, level: str) -> str:
    numbers = {int(row["images"]) for row in recording.scores if row["task"] == f"{task} {level}"}
    return f"{level}\n({'-'.join(map(str, sorted(numbers)))})" if numbers else level


def sheet(name: str, task: str) -> Figure | Html:
    """The recorded pictures of a task over its levels, or of all "composed" ones; a sentence where there are none."""
    found = recorded.sheet(name, task)
    if found is None:
        return _sentence(f"picture of {task}", name)
    across = min(MOST, len(found.columns)) if len(found.rows) == 1 else len(found.columns)  # a single row wraps
    return panel(*found.pictures.unbind(1), titles=found.columns, rows=found.rows, size=6.4 / across)


def scatter(recording: Recording, x: str, y: str, *, methods: Sequence[str] | None = None) -> Figure:
    """One recorded metric against another: a point a task and method, of `methods` or of all that are recorded.

    The colour says which task, the marker which method. The points of one task are joined, and beside the last stands
    its level, or what is composed. An axis whose values span a factor of more than `LOG_FROM` is logarithmic.
    """
    methods = recording.methods if methods is None else methods
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(7.0, 5.4), layout="constrained")
        values, labels, colours = [], [], {}
        cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
        for task in dict.fromkeys(row["task"] for row in recording.scores):
            found = [m for m in methods if recording.has(task, m, x, y)]
            if not found:
                continue
            kind, label = kind_of(task)
            colour = colours.setdefault(kind, cycle[len(colours) % len(cycle)])
            points = [(recording.score(task, m, x)[0], recording.score(task, m, y)[0]) for m in found]
            ax.plot(*zip(*points, strict=True), color=colour, alpha=0.4, linewidth=0.8, zorder=0)
            for method, point in zip(found, points, strict=True):
                ax.plot(*point, _marker(recording, method), color=colour, markersize=5, alpha=0.8)
            labels.append((label, points[-1], colour))
            values += points
        ax.set(xlabel=x, ylabel=y)
        along = zip("xy", zip(*values, strict=True), strict=True) if values else ()
        logarithmic(ax, "".join(letter for letter, each in along if 0 < min(each) < max(each) / LOG_FROM))
        for method in methods if values else ():
            ax.plot([], [], _marker(recording, method), color="#595959", label=method)
        for kind, colour in colours.items():
            ax.plot([], [], color=colour, linewidth=3, label=kind)
        if values:
            ax.legend(loc="upper left")
        label_points(ax, labels, values)
        plt.close(figure)
    return figure


def kind_of(task: str) -> tuple[str, str]:
    """What kind of task is recorded, and which of its kind: a level, the letters composed, or one's own task's name."""
    known = {str(each): ("composed", each.letters) for each in COMPOSED}
    known |= {f"{name} {level}": (name, level) for name in EVERY for level in LEVELS}
    return known.get(task, ("other", task))


def _marker(recording: Recording, method: str) -> str:
    return MARKERS[recording.methods.index(method) % len(MARKERS)]

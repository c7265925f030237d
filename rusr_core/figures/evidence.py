"""The claims of the title, drawn from recordings: against opponents at every level, and over learning rates.

Both draw what is recorded and leave out what is not; what is missing is said by `missing_rates` and in the legend.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rusr_core.figures.charts import MARKERS, kind_of
from rusr_core.figures.panels import STYLE, FigureError, plain_numbers
from rusr_core.sweeps import findings
from rusr_core.sweeps.ablations import FACTORS, RATES
from rusr_core.sweeps.recordings import Recording
from rusr_core.tasks import LEVELS, TASKS

SIMPLE = {"nothing": "#8C8C8C", "classical": "#4D4D4D"}  # opponents without a prior are grey
BASES = ("default", "cvpr2023")


def opponents(*recordings: Recording, metric: str, tasks: Sequence[str] = tuple(TASKS)) -> Figure:
    """A recorded metric over the five levels, a panel a task and a line a method, with 95 % intervals.

    The axes are logarithmic, and each panel has its own: a method that is twice as near stands equally far below in
    all of them. Methods come from all `recordings`; where two hold one, the first counts. Doing nothing and the
    classical tools are dashed in grey. Raises FigureError without a recording.
    """
    if not recordings:
        raise FigureError("opponents of no recording: expected one or more")
    methods = list(dict.fromkeys(method for each in recordings for method in each.methods))
    methods.sort(key=lambda method: method in SIMPLE)  # grey lines last
    with plt.style.context(STYLE):
        rows = -(-len(tasks) // 2)
        figure, axes = plt.subplots(
            rows, min(2, len(tasks)), figsize=(7.2, 2.7 * rows), squeeze=False, layout="constrained"
        )
        for ax, task in zip(axes.flat, tasks, strict=False):
            for i, method in enumerate(methods):
                _draw_method(ax, recordings, task, method, metric, i, len(methods))
            ax.set(title=task, xticks=range(len(LEVELS)), xticklabels=LEVELS, yscale="log", ylabel=metric)
            plain_numbers(ax.yaxis)
        for ax in axes.flat[len(tasks) :]:
            ax.set_visible(False)
        labels = {label: line for ax in axes.flat for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        if labels:
            figure.legend(labels.values(), labels, loc="outside lower center", ncols=min(5, len(labels)))
        plt.close(figure)
    return figure


def _draw_method(
    ax: Axes, recordings: Sequence[Recording], task: str, method: str, metric: str, i: int, num: int
) -> None:
    """One line with intervals, shifted a little so that intervals of different methods stand side by side."""
    found = {}
    for level in LEVELS:
        holders = [each for each in recordings if each.has(f"{task} {level}", method, metric)]
        if holders:
            found[level] = holders[0].score(f"{task} {level}", method, metric)
    if not found:
        return
    rows = np.array(list(found.values()))
    at = np.array([LEVELS.index(level) for level in found]) + 0.08 * (i - (num - 1) / 2)
    ends = np.nan_to_num(np.abs(rows[:, 1:] - rows[:, :1]).T)  # nan where one image gives no interval
    ends[0] = np.minimum(ends[0], 0.99 * rows[:, 0])  # zero lies nowhere on a logarithmic axis
    style = {"color": SIMPLE[method], "linestyle": "--"} if method in SIMPLE else {}
    marker = MARKERS[i % len(MARKERS)]
    ax.errorbar(at, rows[:, 0], yerr=ends, label=method, marker=marker, markersize=4, elinewidth=1.0, **style)


def sensitivity(recording: Recording, tasks: Sequence[str]) -> Figure:
    """How far the search ends from the truth as all its learning rates are multiplied, a panel a task.

    Across: the factor, 1 for the preset as it is. Up: the distance (LPIPS) relative to that, the geometric mean over
    portraits, with Student's interval (`findings.factor`). A line a preset; factors that are not recorded are left out,
    see `missing_rates`. Raises FindingError if a task is not recorded.
    """
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(1, len(tasks), figsize=(7.6, 2.7), sharey=True, squeeze=False, layout="constrained")
        for ax, task in zip(axes[0], tasks, strict=True):
            for i, base in enumerate(BASES):
                rows = rates(recording, base, task)
                values = np.array([row for _, row in rows])
                ends = np.abs(values[:, 1:] - values[:, :1]).T
                at = [factor * (0.97 if i == 0 else 1.03) for factor, _ in rows]
                ax.errorbar(at, values[:, 0], yerr=ends, label=base, marker=MARKERS[i], markersize=4, elinewidth=1.0)
            ax.axhline(1, color="#BFBFBF", linewidth=0.8, zorder=0)
            kind, label = kind_of(task)
            ax.set(xscale="log", title=f"{kind}\n{label}", xlabel="rates times")
            ticks = sorted({1.0, *FACTORS.values()})
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], rotation=90)  # or those of two panels meet
            ax.minorticks_off()
        axes[0, 0].set_ylabel("distance, relative")
        axes[0, 0].legend()
        plt.close(figure)
    return figure


def rates(recording: Recording, base: str, task: str) -> list[tuple[float, tuple[float, float, float]]]:
    """(factor of the rates, (value, low, high)) of each recorded variant of a preset, in the order of the factors."""
    factors = {f"{base}-lr{label}": factor for label, factor in FACTORS.items()} | {base: 1.0}
    found = [
        (factor, (1.0, 1.0, 1.0) if name == base else findings.factor(recording, name, base, [task]))
        for name, factor in factors.items()
        if recording.has(task, name)
    ]
    return sorted(found)


def missing_rates(recording: Recording, tasks: Sequence[str]) -> list[str]:
    """Variants of `ablations.RATES` that some of the tasks lack: what a sensitivity figure still waits for."""
    return [name for name in RATES if not all(recording.has(task, name) for task in tasks)]

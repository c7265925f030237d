"""The claim of the title, drawn from a recorded ablation: how far the learning rates may be off.

What is not recorded is left out, and `missing_rates` names it.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rusr_core.figures.charts import MARKERS, kind_of
from rusr_core.figures.panels import STYLE, logarithmic
from rusr_core.sweeps import factors
from rusr_core.sweeps.ablations import FACTORS, RATES
from rusr_core.sweeps.recordings import Recording

BASES = ("default", "cvpr2023")


def sensitivity(recording: Recording, tasks: Sequence[str]) -> Figure:
    """How far the search ends from the truth as all its learning rates are multiplied: a panel for all tasks together,
    if they are several, and one a task.

    Across: the factor, 1 for the preset as it is. Up: the distance (LPIPS) relative to that, the geometric mean over
    portraits, with Student's interval (`factors.factor`). A line a preset; presets and factors that are not recorded
    are left out, see `missing_rates`. Raises FactorError if no preset is recorded on a task.
    """
    panels = {"all of them": list(tasks)} if len(tasks) > 1 else {}
    panels |= {"\n".join(kind_of(task)): [task] for task in tasks}
    with plt.style.context(STYLE):
        size = (max(7.6, 1.3 * len(panels)), 2.9)
        figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained")
        for ax, (title, chosen) in zip(axes[0], panels.items(), strict=True):
            _lines(ax, recording, chosen)
            ax.axhline(1, color="#BFBFBF", linewidth=0.8, zorder=0)
            ax.set(xscale="log", title=title, xlabel="rates times")
            ticks = sorted({1.0, *FACTORS.values()})
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks], rotation=90)  # or those of two panels meet
            ax.minorticks_off()
        axes[0, 0].set_ylabel("distance, relative")
        logarithmic(axes[0, 0], "y")
        axes[0, 0].legend()
        plt.close(figure)
    return figure


def _lines(ax: Axes, recording: Recording, tasks: Sequence[str]) -> None:
    """A line with intervals for each preset that is recorded on all of the tasks."""
    drawn = [(base, rows) for base in BASES if (rows := rates(recording, base, tasks))]
    if not drawn:
        raise factors.FactorError(f"{recording.name!r} has none of {', '.join(BASES)} on {', '.join(tasks)}")
    for base, rows in drawn:
        i, values = BASES.index(base), np.array([row for _, row in rows])
        ends = np.abs(values[:, 1:] - values[:, :1]).T
        at = [factor * (0.97 if i == 0 else 1.03) for factor, _ in rows]
        ax.errorbar(at, values[:, 0], yerr=ends, label=base, marker=MARKERS[i], markersize=4, elinewidth=1.0)


def rates(recording: Recording, base: str, tasks: Sequence[str]) -> list[tuple[float, tuple[float, float, float]]]:
    """(factor of the rates, (value, low, high)) of each variant of a preset that is recorded on all of these tasks, in
    the order of the factors; nothing where the preset itself is not."""
    variants = {f"{base}-lr{label}": times for label, times in FACTORS.items()} | {base: 1.0}
    held = {name: all(recording.has(task, name) for task in tasks) for name in variants}
    found = [
        (times, (1.0, 1.0, 1.0) if name == base else factors.factor(recording, name, base, tasks))
        for name, times in variants.items()
        if held[name] and held[base]
    ]
    return sorted(found)


def missing_rates(recording: Recording, tasks: Sequence[str]) -> list[str]:
    """Variants of `ablations.RATES` that some of the tasks lack: what a sensitivity figure still waits for."""
    return [name for name in RATES if not all(recording.has(task, name) for task in tasks)]

"""The claim of the title, drawn from a recorded ablation: how far the learning rates may be off.

What is not recorded is left out, and `missing_rates` names it.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from rusr_core.figures.charts import MARKERS, kind_of
from rusr_core.figures.panels import STYLE
from rusr_core.sweeps import factors
from rusr_core.sweeps.ablations import FACTORS, RATES
from rusr_core.sweeps.recordings import Recording

BASES = ("default", "cvpr2023")


def sensitivity(recording: Recording, tasks: Sequence[str]) -> Figure:
    """How far the search ends from the truth as all its learning rates are multiplied, a panel a task.

    Across: the factor, 1 for the preset as it is. Up: the distance (LPIPS) relative to that, the geometric mean over
    portraits, with Student's interval (`factors.factor`). A line a preset; factors that are not recorded are left out,
    see `missing_rates`. Raises FactorError if a task is not recorded.
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
    variants = {f"{base}-lr{label}": times for label, times in FACTORS.items()} | {base: 1.0}
    found = [
        (times, (1.0, 1.0, 1.0) if name == base else factors.factor(recording, name, base, [task]))
        for name, times in variants.items()
        if recording.has(task, name)
    ]
    return sorted(found)


def missing_rates(recording: Recording, tasks: Sequence[str]) -> list[str]:
    """Variants of `ablations.RATES` that some of the tasks lack: what a sensitivity figure still waits for."""
    return [name for name in RATES if not all(recording.has(task, name) for task in tasks)]

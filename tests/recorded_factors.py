"""Factors of a recording another way, from its CSV file with SciPy's interval; recordings that say another thing."""

import csv
import dataclasses
import math
import statistics

from scipy import stats

from rusr_core.files import data_path
from rusr_core.presets import known_as
from rusr_core.sweeps import recordings
from rusr_core.sweeps.recordings import Recording

MAIN, TUNED, ABLATION = "portraits-128", "portraits-128-one-setting", "portraits-128-ablations"
AGAIN = "portraits-128-ablations-cpu"  # with the networks of today


def recomputed(recording, method, reference, tasks, level=0.95):
    """The factor from the CSV file, with SciPy's interval."""
    with data_path(f"results/{recording}/results.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] in tasks]
    lpips = {(known_as(row["method"]), row["image"], row["task"]): float(row["lpips"]) for row in rows}
    images = sorted({row["image"] for row in rows})
    means = [statistics.fmean(math.log(lpips[method, i, t] / lpips[reference, i, t]) for t in tasks) for i in images]
    low, high = stats.t.interval(level, len(means) - 1, statistics.fmean(means), stats.sem(means))
    return math.exp(statistics.fmean(means)), math.exp(low), math.exp(high)


def tasks_of(name):
    return sorted({unit["task"] for unit in recordings.load(name).units})


def changed(recording: Recording, method: str, by: float) -> Recording:
    """The recording with all distances of a method multiplied."""
    units = tuple(
        unit | {"lpips": unit["lpips"] * by} if unit["method"] == method else unit for unit in recording.units
    )
    return dataclasses.replace(recording, units=units)

"""Factors of recorded distances: their intervals, and how often these hold; refused where there is no comparison."""

import csv
import dataclasses
import statistics

import pytest
import torch
from recorded_factors import MAIN, changed, recomputed, tasks_of

from rusr_core.files import data_path
from rusr_core.metrics import mean_interval
from rusr_core.presets import known_as
from rusr_core.sweeps import factors, recordings
from rusr_core.sweeps.factors import FactorError


def test_two_recordings_agree_oppose_or_leave_it_open():
    main = recordings.load(MAIN)
    expected = factors.per_cent(*recomputed(MAIN, "default", "cvpr2023", tasks_of(MAIN)))
    assert factors.agreement((main, main), "default", "cvpr2023") == (expected, expected, "the same")
    other = changed(main, "cvpr2023", 0.5)
    assert factors.agreement((main, other), "default", "cvpr2023")[::2] == (expected, "the opposite")
    open_tasks = [f"deartifacting {v}" for v in ("XS", "S", "M", "L", "XL")]
    assert factors.agreement((main, main), "default", "cvpr2023", open_tasks)[2] == "undecided"
    assert factors.agreement((main, changed(main, "cvpr2023", 2)), "default", "cvpr2023", open_tasks)[2] == "undecided"


def test_who_is_nearer_is_counted_portrait_by_portrait():
    main = recordings.load(MAIN)
    with data_path(f"results/{MAIN}/results.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] == "deartifacting M"]
    lpips = {(known_as(row["method"]), row["image"]): float(row["lpips"]) for row in rows}
    images = sorted({row["image"] for row in rows})
    won = sum(lpips["default", i] < lpips["cvpr2023", i] for i in images)
    assert 0 < won < len(images)
    assert factors.nearer(main, "deartifacting M", "default", "cvpr2023") == (won, len(images))
    assert factors.nearer(main, "deartifacting M", "default", "pulse") == (0, 0)  # which is not recorded


@pytest.mark.parametrize("portraits", [4, 7, 10])  # of the repeated ablation, the benchmark, the first ablation
def test_intervals_of_factors_hold_the_true_factor_as_often_as_they_say(portraits):
    """Means of portraits as skewed as the recorded ones are; alone, and the six of `together` all at once.

    Over the variants of the recorded ablation the skewness of the ten means is 0.83 in the root mean square, where ten
    normal values have 0.69 by chance. Samples of ten gamma values of shape 8, as here, have 0.81.
    """
    draw = torch.Generator().manual_seed(0)
    rounds, methods = 600, 6
    exponential = -torch.rand(8, rounds * methods, portraits, generator=draw, dtype=torch.float64).log()
    means = 0.1 * (exponential.sum(0) - 8)  # the true factor is 1
    holds = {0.95: [], 1 - 0.05 / 6: []}
    for level, held in holds.items():
        for values in means:
            _, low, high = mean_interval(values, level=level)
            held.append(low <= 0 <= high)
    alone = statistics.fmean(holds[0.95])
    at_once = torch.tensor(holds[1 - 0.05 / 6]).reshape(rounds, methods).all(1).double().mean().item()
    assert 0.92 < alone < 0.97 and 0.91 < at_once < 0.98, (alone, at_once)


def test_a_comparison_that_is_not_recorded_is_refused():
    main = recordings.load(MAIN)
    with pytest.raises(FactorError, match="expected \\['haze M'\\]"):
        factors.factor(main, "default", "cvpr2023", ["haze M"])
    alone = dataclasses.replace(main, units=tuple(u for u in main.units if u["image"] == "000"))
    with pytest.raises(FactorError, match="1 portraits"):
        factors.factor(alone, "default", "cvpr2023")

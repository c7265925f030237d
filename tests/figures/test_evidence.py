"""Figures of evidence show the recorded numbers, and say what is not recorded."""

import numpy as np
import pytest

from rusr_core.figures import evidence
from rusr_core.sweeps import factors, recordings
from rusr_core.sweeps.ablations import FACTORS, RATES

MAIN, ABLATION = "portraits-128", "portraits-128-ablations"
LABEL = "LPIPS-portraits"


def lines(ax) -> dict[str, np.ndarray]:
    """{label: points [n, 2]} of a panel."""
    return {label: line[0].get_xydata() for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}


def test_sensitivity_shows_what_is_recorded_and_says_what_is_missing():
    ablation = recordings.load(ABLATION)
    task = "denoising M"
    figure = evidence.sensitivity(ablation, [task])
    shown = lines(figure.axes[0])
    assert figure.axes[0].get_title() == "denoising\nM"
    for base in evidence.BASES:
        held = [(f, name) for name, f in ((f"{base}-lr{label}", f) for label, f in FACTORS.items())
                if ablation.has(task, name)]  # fmt: skip
        measured = {factor: factors.factor(ablation, name, base, [task])[0] for factor, name in held} | {1.0: 1.0}
        assert shown[base][:, 1] == pytest.approx([measured[factor] for factor in sorted(measured)])
    missing = evidence.missing_rates(ablation, [task])
    assert missing == [name for name in RATES if not ablation.has(task, name)]
    assert evidence.missing_rates(ablation, ["haze M"]) == list(RATES)


def test_sensitivity_of_one_preset_and_of_all_tasks_together():
    """Once a recording without one of the two presets could not be drawn."""
    rates = recordings.load("portraits-128-rates")
    tasks = list(dict.fromkeys(unit["task"] for unit in rates.units))
    figure = evidence.sensitivity(rates, tasks)
    assert len(figure.axes) == 1 + len(tasks) and figure.axes[0].get_title() == "all of them"
    shown = lines(figure.axes[0])
    assert list(shown) == ["default"] and shown["default"][:, 0] == pytest.approx(
        [0.97 * f for f in (0.25, 0.5, 1, 2, 4)]
    )
    expected = [factors.factor(rates, f"default-lr{x}", "default")[0] for x in ("025", "05", "2", "4")]
    assert [*shown["default"][:2, 1], *shown["default"][3:, 1]] == pytest.approx(expected)
    with pytest.raises(factors.FactorError, match="'portraits-128-rates' has none of default, cvpr2023 on haze M"):
        evidence.sensitivity(rates, ["haze M"])

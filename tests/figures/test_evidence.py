"""Figures of evidence show the recorded numbers, and say what is not recorded."""

import dataclasses

import numpy as np
import pytest

from rusr_core.figures import FigureError, evidence
from rusr_core.presets import PRESETS
from rusr_core.sweeps import findings, recordings
from rusr_core.sweeps.ablations import FACTORS, RATES
from rusr_core.tasks import TASKS

MAIN, ABLATION = "portraits-128", "portraits-128-ablations"
LABEL = "LPIPS-portraits"


def lines(ax) -> dict[str, np.ndarray]:
    """{label: points [n, 2]} of a panel."""
    return {label: line[0].get_xydata() for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}


def of_presets() -> recordings.Recording:
    """What the recording holds of the two presets."""
    main = recordings.load(MAIN)
    return dataclasses.replace(main, scores=tuple(row for row in main.scores if row["method"] in PRESETS))


def of_nothing() -> recordings.Recording:
    """A recording that holds nothing but doing nothing, twice as far from the truth as the default preset."""
    main = recordings.load(MAIN)
    scores = tuple(
        row | {"method": "nothing", "value": 2 * row["value"]} for row in main.scores if row["method"] == "default"
    )
    return dataclasses.replace(main, scores=scores)


def test_opponents_of_all_recordings_stand_in_one_figure():
    main = of_presets()
    figure = evidence.opponents(main, of_nothing(), metric=LABEL)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == list(TASKS)
    for ax, task in zip(figure.axes, titles, strict=True):
        assert ax.get_yscale() == "log"
        shown = lines(ax)
        assert set(shown) == {"default", "cvpr2023", "nothing"}
        expected = [main.score(f"{task} {level}", "default", LABEL)[0] for level in ("XS", "S", "M", "L", "XL")]
        assert shown["default"][:, 1] == pytest.approx(expected)
        assert shown["nothing"][:, 1] == pytest.approx([2 * value for value in expected])
        for container in ax.containers:  # every interval stays on the logarithmic axis
            (bars,) = container[2]
            assert all(path[:, 1].min() > 0 for path in bars.get_segments())


def test_no_recording_is_refused():
    with pytest.raises(FigureError, match="expected one or more"):
        evidence.opponents(metric=LABEL)


def test_sensitivity_shows_what_is_recorded_and_says_what_is_missing():
    ablation = recordings.load(ABLATION)
    task = "denoising M"
    figure = evidence.sensitivity(ablation, [task])
    shown = lines(figure.axes[0])
    assert figure.axes[0].get_title() == "denoising\nM"
    for base in evidence.BASES:
        held = [(f, name) for name, f in ((f"{base}-lr{label}", f) for label, f in FACTORS.items())
                if ablation.has(task, name)]  # fmt: skip
        measured = {factor: findings.factor(ablation, name, base, [task])[0] for factor, name in held} | {1.0: 1.0}
        assert shown[base][:, 1] == pytest.approx([measured[factor] for factor in sorted(measured)])
    missing = evidence.missing_rates(ablation, [task])
    assert missing == [name for name in RATES if not ablation.has(task, name)]
    assert evidence.missing_rates(ablation, ["haze M"]) == list(RATES)

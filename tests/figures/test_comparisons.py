"""The forest plot and the trade of two numbers: what is drawn where, told from the figure's own lines."""

import math

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.text import Text

from rusr_core.figures import FigureError, comparisons
from rusr_core.figures.comparisons import LOOKS
from rusr_core.sweeps.recordings import Recording
from rusr_core.sweeps.rivals import Comparison

TASK, OTHER = "upsampling L", "upsampling+denoising+deartifacting M"
FACTORS = {  # of each of three portraits
    "default": (1, 1, 1),
    "far": (3.0, 3.1, 2.9),
    "tie": (0.5, 1.0, 2.2),
    "near@tuned": (0.5, 0.52, 0.48),
    "near": (0.8, 0.7, 0.9),
}


@pytest.fixture
def found() -> Comparison:
    units = tuple(
        {"method": name, "task": task, "image": f"00{i}", "seed": 0.0, "lpips": 0.3 * (1 + i) * value}
        for task in (TASK, OTHER)
        for name, values in FACTORS.items()
        for i, value in enumerate(values)
        if (name, task) not in (("near", OTHER), ("near@tuned", OTHER), ("far", OTHER))
    )
    reasons = [["near", OTHER, "not linear"], ["near@tuned", OTHER, "not linear"]]
    return Comparison.of_recording(Recording("x", units, (), {"not_applicable": reasons}))


def test_a_forest_has_every_method_with_its_interval(found):
    figure = comparisons.forest(found)
    ax, other = figure.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["near", "tie", "far"], "the nearest stands at the top"
    assert [ax.get_title(), other.get_title()] == [TASK, "composed UNA"]
    dots = {tuple(line.get_xydata()[0]): line for line in ax.lines if len(line.get_xdata()) == 1}
    intervals = [line.get_xydata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    expected = {"near": -0.12, "near@tuned": 0.12, "tie": 1, "far": 2}
    assert len(dots) == len(intervals) == len(expected)
    for name, y in expected.items():
        value, low, high = found.against(name, "default", [TASK])
        (dot,) = (line for at, line in dots.items() if at == pytest.approx((value, y)))
        assert any(np.allclose(ends, [[low, y], [high, y]]) for ends in intervals)
        hollow = same_color(dot.get_markerfacecolor(), "white")
        assert hollow == (low < 1 < high)
        assert dot.get_marker() == LOOKS["tuned" if "@" in name else "default"][0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["as published", "tuned for the task"]


def test_what_a_method_cannot_do_is_said_and_what_was_not_run_is_empty(found):
    other = comparisons.forest(found).axes[1]
    assert [(text.get_text(), text.get_position()) for text in other.texts] == [("n/a", (0.98, 0))]
    rows = {round(line.get_ydata()[0]) for line in other.lines if len(line.get_xdata()) == 1}
    assert rows == {1}, "far was not run there"


def test_a_forest_of_some_tasks(found):
    assert [ax.get_title() for ax in comparisons.forest(found, tasks=[TASK]).axes] == [TASK]
    for tasks in (["denoising L"], [], [TASK, "denoising L"]):
        with pytest.raises(FigureError, match=r"tasks are \[.*those that default has done, upsampling"):
            comparisons.forest(found, tasks=tasks)
    with pytest.raises(FigureError, match="those that pulse has done, $"):
        comparisons.forest(found, ours="pulse")


ROWS = {
    "W": {"today": (1.4, 1.1, 1.8), "earlier": (1.2, 0.9, 1.6)},
    "ngd": {"earlier": (0.9, 0.8, 0.95)},
    "sgd": {"today": (4.0, 0.1, 90.0)},
}


def test_factors_that_were_measured_again_stand_below_each_other():
    """Filled where 1 is outside, the place of what was not measured is empty, and the axis ends."""
    figure = comparisons.repeated(ROWS, measurements=("today", "earlier"), xlabel="times as far")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == list(ROWS)
    dots = {
        (line.get_xdata()[0], round(line.get_ydata()[0], 2)): not same_color(line.get_markerfacecolor(), "white")
        for line in ax.lines
        if len(line.get_xdata()) == 1
    }
    assert dots == {(1.4, -0.12): True, (1.2, 0.12): False, (0.9, 1.12): True, (4.0, 1.88): False}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["today", "earlier"]
    low, high = ax.get_xlim()
    assert (ax.get_xscale(), low >= 1 / 16, high) == ("log", True, 16)
    alone = comparisons.repeated({"ngd": ROWS["ngd"]}, measurements=("today", "earlier"), xlabel="")
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["earlier"]
    (dot,) = (line for line in alone.axes[0].lines if len(line.get_xdata()) == 1)
    assert (dot.get_marker(), dot.get_color()) == comparisons.AGAIN[1], "a measurement keeps its look and its place"


def test_a_marker_is_filled_by_the_bounds_that_are_printed():
    """+0 % is "as far" to the reader."""
    rows = {"W-W+": {"today": (1.06, 1.004, 1.12)}, "W": {"today": (1.06, 1.006, 1.12)}}
    (ax,) = comparisons.repeated(rows, measurements=("today",), xlabel="").axes
    hollow = [same_color(line.get_markerfacecolor(), "white") for line in ax.lines if len(line.get_xdata()) == 1]
    assert hollow == [True, False]


@pytest.mark.parametrize(
    "rows, message",
    [
        ({}, "0 rows of 1 measurements: expected a row or more, one to 5 measurements"),
        ({"W": {"tomorrow": (1.0, 1.0, 1.0)}}, "W has 'tomorrow': expected one of today"),
        ({"W": {"today": (1.0, 0.0, 2.0)}}, r"W has \(1.0, 0.0, 2.0\) in today: expected \(value, low, high\)"),
        ({"W": {"today": (1.0, math.nan, 2.0)}}, "expected .value, low, high., all above 0"),
    ],
)
def test_factors_that_cannot_be_drawn(rows, message):
    with pytest.raises(FigureError, match=message):
        comparisons.repeated(rows, measurements=("today",), xlabel="")


def test_factors_of_too_many_measurements():
    with pytest.raises(FigureError, match="3 rows of 6 measurements: expected a row or more, one to 5"):
        comparisons.repeated(ROWS, measurements="abcdef", xlabel="")


def test_a_trade_names_every_point(found):
    points = {"default": (1.0, 2.0), "far": (3.0, 20.0)}
    (ax,) = comparisons.trade(points, xlabel="a", ylabel="b", log="y").axes
    assert [tuple(line.get_xydata()[0]) for line in ax.lines] == list(points.values())
    assert {text.get_text(): text.xy for text in ax.texts} == points
    assert (ax.get_xscale(), ax.get_yscale(), ax.get_xlabel(), ax.get_ylabel()) == ("linear", "log", "a", "b")
    stands_out = [same_color(line.get_color(), LOOKS["tuned"][1]) for line in ax.lines]
    assert stands_out == [True, False]


@pytest.mark.parametrize(
    ("points", "log", "told"),
    [
        ({}, "", "0 points"),
        ({"a": (1, 1)}, "z", "log 'z': expected .* letters of x and y"),
        ({"a": (1, 0)}, "y", r"a lies at \(1, 0\): expected numbers above 0"),
        ({"a": (1, 2, 3)}, "", r"a lies at \(1, 2, 3\): expected two finite numbers"),
        ({"a": "xy"}, "", r"a lies at 'xy': expected two finite numbers"),
        ({"a": (math.nan, 1)}, "", r"a lies at \(nan, 1\): expected two finite numbers"),
    ],
)
def test_a_point_that_cannot_be_drawn(points, log, told):
    with pytest.raises(FigureError, match=told):
        comparisons.trade(points, xlabel="a", ylabel="b", log=log)


def test_each_column_counts_once_in_the_order():
    """A method that is far as published and near when tuned: 0.95 in the mean, before one that is 1.03."""
    factors = {"default": 1.0, "tie": 1.03, "mixed": 1.5, "mixed@tuned": 0.6}
    units = tuple(
        {"method": name, "task": TASK, "image": image, "seed": 0.0, "lpips": size * value}
        for name, value in factors.items()
        for image, size in (("000", 0.3), ("001", 0.5))
    )
    (ax,) = comparisons.forest(Comparison.of_recording(Recording("x", units, (), {}))).axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["mixed", "tie"]


def test_our_own_tuned_column_has_a_row():
    """Against our one setting: what it would gain by knowing the task."""
    values = {"default": (1.0, 1.2), "default@tuned": (0.8, 0.9), "pulse": (2.0, 2.6)}
    units = tuple(
        {"task": TASK, "method": method, "image": str(i), "lpips": value}
        for method, each in values.items()
        for i, value in enumerate(each)
    )
    (ax,) = comparisons.forest(Comparison.of_recording(Recording("x", units, (), {}))).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["default", "pulse"]
    ours = [line for line in ax.get_lines() if line.get_marker() == "D"]
    assert [round(float(line.get_xdata()[0]), 4) for line in ours] == [round((0.8 * 0.75) ** 0.5, 4)]


def test_the_line_to_a_name_crosses_no_name():
    """As that of a name that stands away from its point did, through the next point's name."""
    points = {
        "brgm": (1.38, 1.47), "classical": (2.07, 0.005), "classical@one": (2.43, 0.005), "cvpr2023": (1.1, 1.47),
        "classical@tuned": (1.95, 0.005), "daps": (1.97, 1.8), "ddrm": (0.86, 0.022), "ddrm@tuned": (0.73, 0.094),
        "default": (1.0, 1.0), "default@tuned": (1.03, 1.13), "dps": (1.52, 2.65), "lbrgm": (1.36, 5.6),
        "na_nhmc": (1.57, 2.1), "pti": (1.76, 3.5), "pulse": (1.68, 0.24),
    }  # fmt: skip
    figure = comparisons.trade(points, xlabel="a", ylabel="b", log="xy")
    figure.draw_without_rendering()
    (ax,) = figure.axes
    for text in (text for text in ax.texts if text.arrow_patch is not None):
        begin, end = ax.transData.transform(text.xy), Text.get_window_extent(text).get_points().mean(0)
        line = [begin + part * (end - begin) for part in np.linspace(0.2, 0.8, 30)]
        others = [Text.get_window_extent(other) for other in ax.texts if other is not text]
        assert not any(other.contains(*place) for other in others for place in line), text.get_text()

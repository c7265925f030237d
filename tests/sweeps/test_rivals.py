"""Three columns: means, paired differences and the price of one setting, against SciPy's; "n/a" is never left out."""

import math

import pytest
from scipy import stats

from rusr_core.sweeps import rivals
from rusr_core.sweeps.factors import FactorError, factor
from rusr_core.sweeps.recordings import Recording
from rusr_core.sweeps.rivals import Comparison

PORTRAITS = ("000", "001", "002", "003")
TASKS = ("upsampling L", "denoising L")
# how far each method ends from the truth on each portrait, as multiples of default's
FACTORS = {
    "default": (1, 1, 1, 1),
    "default@tuned": (0.9, 0.8, 0.9, 0.85),
    "brgm": (2.0, 2.1, 1.9, 2.2),
    "brgm@one": (1.2, 0.8, 1.1, 0.9),
    "brgm@tuned": (0.7, 0.75, 0.72, 0.69),
}


@pytest.fixture
def found() -> Comparison:
    def unit(method, task, i):
        base = (0.1 if task == TASKS[0] else 0.4) * (1 + 0.2 * i)
        return {"method": method, "task": task, "image": PORTRAITS[i], "seed": 0.0, "lpips": base * FACTORS[method][i]}

    units = tuple(unit(method, task, i) for method in FACTORS for task in TASKS for i in range(4))
    reasons = [["ddrm", task, "no denoiser"] for task in TASKS]
    return Comparison.of_recording(Recording("x", units, (), {"not_applicable": reasons}))


def interval(method: str, other: str) -> tuple[float, float, float]:
    logs = [math.log(a / b) for a, b in zip(FACTORS[method], FACTORS[other], strict=True)]
    low, high = stats.t.interval(0.95, 3, sum(logs) / 4, stats.sem(logs))
    return math.exp(sum(logs) / 4), math.exp(low), math.exp(high)


def test_the_price_of_one_setting_is_paired_and_has_an_interval(found):
    assert found.price("default") == pytest.approx(interval("default", "default@tuned"))
    assert found.price("brgm") == pytest.approx(interval("brgm@one", "brgm@tuned"))
    assert found.price("ddrm") is None
    assert [row[:3] for row in rivals.prices(found).rows] == [("default", "as it is", "2"), ("brgm", "one", "2")]


def test_a_win_is_one_whose_interval_excludes_as_far(found):
    rows = {row[:3]: row[3:] for row in rivals.differences(found).rows}
    assert rows["brgm", "default", "all 2"][1] == "farther" and rows["brgm", "tuned", "all 2"][1] == "nearer"
    assert rows["brgm", "one", "all 2"][1] == "tie" and rows["brgm", "one", "count"][0] == "0 nearer, 2 tie, 0 farther"
    value, low, high = (round(100 * (x - 1)) for x in interval("brgm", "default"))
    assert rows["brgm", "default", "denoising L"][0] == f"+{value} % [+{low}, +{high}]"
    assert not any(key[:2] == ("default", "default") for key in rows), "nothing is compared with itself"
    assert rivals.verdict((0.9, math.nan, math.nan)) == rivals.verdict(None) == "not known"
    assert rivals.verdict((1.25, 1.004, 1.55)) == "tie", "printed as [+0, +55]"


def test_every_method_has_a_line_for_every_task(found):
    grid = rivals.distances(found)
    rows = {row[:2]: row[2:] for row in grid.rows}
    assert list(rows) == [(task, name) for task in TASKS for name in ("default", "brgm", "ddrm")]
    assert rows["upsampling L", "ddrm"] == ("4", "n/a", "-", "-")
    values = [0.1 * (1 + 0.2 * i) * FACTORS["brgm@one"][i] for i in range(4)]
    low, high = stats.t.interval(0.95, 3, sum(values) / 4, stats.sem(values))
    assert rows["upsampling L", "brgm"][2] == f"{sum(values) / 4:.4f} [{low:.4f}, {high:.4f}]"
    assert rows["upsampling L", "default"][2] == "-", "default@one was not run"
    assert "n/a: ddrm on denoising L: no denoiser" in grid.below
    assert "| upsampling L | ddrm | 4 | n/a |" in grid.to_markdown() and grid.to_csv().count("\n") == 7


def test_means_rest_on_the_portraits_that_all_methods_have(found):
    units = [u for u in found.recording.units if not (u["method"] == "brgm" and u["image"] == "003")]
    short = Comparison(Recording("x", tuple(units), (), {}), {})
    assert short.portraits("upsampling L") == ["000", "001", "002"]
    assert short.mean("default", "upsampling L")[0] == pytest.approx(0.12)


def test_a_choice_among_variants_is_tested_on_other_portraits():
    """ "a" wins on the first two portraits of one task and loses on the others; on the second task nothing wins."""
    nearer = {"default": (1, 1, 1, 1), "a": (0.5, 0.6, 1.5, 1.2), "b": (0.9, 0.8, 0.7, 0.8)}
    units = [
        {"method": name, "task": task, "image": PORTRAITS[i], "seed": 0.0, "lpips": 0.3 * (value if j == 0 else 2 - i)}
        for name, values in nearer.items()
        for j, task in enumerate(TASKS)
        for i, value in enumerate(values)
        if j == 0 or (name, i) != ("a", 3)
    ]
    recording = Recording("x", tuple(unit for unit in units if unit["lpips"] > 0), (), {})
    found, chosen = rivals.tuned_among(recording, ("a", "b"), PORTRAITS[:2])
    assert chosen == {TASKS[0]: "a", TASKS[1]: "default"}
    assert found.portraits(TASKS[0]) == ["002", "003"]
    logs = [-math.log(value) for value in nearer["a"][2:]]
    low, high = stats.t.interval(0.95, 1, sum(logs) / 2, stats.sem(logs))
    expected = [math.exp(value) for value in (sum(logs) / 2, low, high)]
    assert found.against("default", "default@tuned", [TASKS[0]]) == pytest.approx(expected)
    assert rivals.tuned_among(recording, ("b",), PORTRAITS[:2])[1][TASKS[0]] == "b"


@pytest.mark.parametrize(
    ("variants", "portraits", "told"),
    [
        (("a",), ("000", "009"), "upsampling L: default lacks 009"),
        (("c",), ("000",), "upsampling L: c lacks 000"),
        (("a",), (), "no portraits to choose on"),
    ],
)
def test_a_choice_needs_all_variants_on_its_portraits(variants, portraits, told):
    units = tuple({"method": m, "task": TASKS[0], "image": "000", "seed": 0.0, "lpips": 0.3} for m in ("default", "a"))
    with pytest.raises(FactorError, match=told):
        rivals.tuned_among(Recording("x", units, (), {}), variants, portraits)


def test_a_distance_of_zero_has_no_factor():
    """A restoration that is its truth, bit for bit: no comparison, and no error of arithmetic."""
    rows = [("a", "000", 0.0), ("a", "001", 0.5), ("default", "000", 0.1), ("default", "001", 0.2)]
    units = tuple({"method": m, "task": TASKS[0], "image": i, "seed": 0.0, "lpips": v} for m, i, v in rows)
    recording = Recording("x", units, (), {})
    for pair in (("a", "default"), ("default", "a")):
        with pytest.raises(FactorError, match="is 0.0: expected a positive number"):
            factor(recording, *pair)
        assert Comparison(recording, {}).against(*pair, [TASKS[0]]) is None
    with pytest.raises(FactorError, match="the distance of 000 is 0.0"):
        rivals.tuned_among(recording, ("a",), ("000",))

"""What restorations cost, by their recorded steps and the measured price of a step."""

import pytest

from rusr_core import baselines
from rusr_core.sweeps import costs
from rusr_core.sweeps.recordings import Recording, RecordingError, load


def recording(prior="mine", **steps):
    units = [{"task": "denoising L", "method": m, "steps": n} for m, each in steps.items() for n in each]
    return Recording("x", tuple(units), (), {"prior": prior})


def test_a_portrait_costs_its_steps(monkeypatch):
    rows = {
        "default": {"steps": 450, "seconds": 46.0, "per step": 0.1},
        "ddrm": {"steps": 20, "seconds": 1.0, "per step": 0.05},
        "classical": {"steps": 0, "seconds": 0.1, "per step": None},
    }
    monkeypatch.setattr(costs, "measured", lambda prior: rows if prior == "mine" else {})
    held = recording(default=[200, 300], classical=[0, 0], other=[7])
    assert costs.seconds(held, "default", "denoising L") == pytest.approx(46 - 0.1 * 200)  # two stopped early
    assert costs.seconds(held, "classical", "denoising L") == 0.1
    tuned = Recording("x", ({"task": "denoising L", "method": "ddrm@tuned", "steps": 100},), (), {"prior": "mine"})
    assert costs.seconds(tuned, "ddrm@tuned", "denoising L") == pytest.approx(1 + 80 * 0.05)
    with pytest.raises(RecordingError, match="no 'steps' with .*inpainting"):
        costs.seconds(held, "default", "inpainting L")
    with pytest.raises(RecordingError, match="no cost of 'other' with 'mine'; measured are .*ddrm"):
        costs.seconds(held, "other", "denoising L")
    with pytest.raises(RecordingError, match="no cost of 'default' with 'yours'"):
        costs.seconds(recording(prior="yours", default=[9]), "default", "denoising L")


def test_every_method_was_measured_in_one_run():
    rows = costs.measured("portraits-128")
    assert set(rows) == set(baselines.names())
    assert len({(row["commit"], row["device_name"], row["threads"]) for row in rows.values()}) == 1
    assert all(row["seconds"] >= 0 and row["memory"] < 2048 for row in rows.values())  # none above 2 GB
    assert costs.measured("another") == {}
    held = load("portraits-128-one-setting")
    for task, method in {(unit["task"], unit["method"]) for unit in held.units}:
        assert costs.seconds(held, method, task) >= 0

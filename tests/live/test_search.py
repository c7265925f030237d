"""Whole searches in a real browser against `restore`: the same way, as near to the portrait, and stopped alike.

`benchmarks.live` measures longer ones, and the time that they take.
"""

import dataclasses
import hashlib
import re

import numpy as np
import pytest
from live_browser import ROOT
from live_search import STAGES, Pair, by_browser, by_library, shortened

from rusr_core import tasks
from rusr_core.files import data_path
from rusr_core.presets import PRESETS, Phase

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("letter", STAGES)
def test_a_search_goes_the_librarys_way(engine, embedded, letter):
    """In W and in W+: the losses of the first steps agree to rounding, all of them to a few percent, and the ends to
    0.3 dB. What lies between is Adam's, which divides small gradients by themselves, and JPEG's, which rounds."""
    preset = shortened(10)
    both = Pair(by_browser(engine, letter, preset), by_library(embedded, letter, preset))
    assert both.found["left"] == 0
    assert [phase["steps"] for phase in both.found["phases"]] == [phase.steps[0] for phase in both.expected.phases]
    assert abs(both.difference) < 0.3
    assert both.off[:3].max() < 1e-3 and np.median(both.off) < 0.05


def test_early_stopping_comes_at_the_same_step(engine, embedded):
    """With steps so long that the search overshoots, patience ends the phase."""
    preset = dataclasses.replace(PRESETS["default"], phases=(Phase("W", 3.0, 20),), patience=2)
    found, expected = by_browser(engine, "U", preset), by_library(embedded, "U", preset)
    assert expected.steps[0] < 20
    assert found["phases"] == [{"space": "W", "steps": expected.steps[0], "reason": "patience"}]


def test_the_notes_tell_of_todays_networks_and_of_what_the_page_promises():
    """As `python -m benchmarks.live` found them."""
    notes = (ROOT / "book/live/NOTES.md").read_text(encoding="utf-8")
    for name in ("generator", "features_a"):
        found = hashlib.sha256(data_path(f"portraits/{name}.safetensors").read_bytes()).hexdigest()[:16]
        assert f"{name} {found}" in notes, f"measure again: {name} is {found}"
    ends = dict(re.findall(r"^\| (\w+) \| 60, 60 \| ([-+\d.]+) dB \|", notes, re.MULTILINE))
    costs = dict(re.findall(r"^\| (\w+) \| \d+ \| \d+ \| ([\d.]+) \|$", notes, re.MULTILINE))
    assert set(ends) == set(costs) == set(tasks.TASKS)
    promised = " ".join((ROOT / "book/restore_now.md").read_text(encoding="utf-8").split())
    apart = sorted(abs(float(value)) for value in ends.values())
    assert apart[-1] <= 0.3 and "ended within 0.3 dB of the library's" in promised
    assert apart[2] <= 0.01 < apart[3] and "three of them within 0.01 dB" in promised
    times = sorted(map(float, costs.values()))
    assert f"cost {times[0]} to {times[-1]} times the processor's time" in promised

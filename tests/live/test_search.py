"""Whole searches in a real browser against `restore`: the same way, as near to the portrait, and stopped alike.

All four tasks at sixty steps, and the time they take, are in `benchmarks.live`.
"""

import dataclasses

import numpy as np
import pytest
from live_search import STAGES, Pair, by_browser, by_library, shortened

from rusr_core.presets import PRESETS, Phase

pytestmark = pytest.mark.slow


def goes_the_same_way(engine, prior, letter: str, steps: int) -> None:
    """The losses of the first steps agree to rounding, all of them to a few percent, and the ends to 0.3 dB. What lies
    between is Adam's, which divides small gradients by themselves, and JPEG's, which rounds."""
    preset = shortened(steps)
    both = Pair(by_browser(engine, letter, preset), by_library(prior, letter, preset))
    assert both.found["left"] == 0
    assert [phase["steps"] for phase in both.found["phases"]] == [phase.steps[0] for phase in both.expected.phases]
    assert abs(both.difference) < 0.3
    assert both.off[:3].max() < 1e-3 and np.median(both.off) < 0.05


@pytest.mark.parametrize("letter", STAGES)
def test_a_short_search_goes_the_librarys_way(engine, embedded, letter):
    goes_the_same_way(engine, embedded, letter, 5)


def test_a_search_of_sixty_steps_goes_the_librarys_way(engine, embedded):
    goes_the_same_way(engine, embedded, "U", 30)  # in W and in W+


def test_early_stopping_comes_at_the_same_step(engine, embedded):
    """With steps so long that the search overshoots, patience ends the phase."""
    preset = dataclasses.replace(PRESETS["default"], phases=(Phase("W", 3.0, 20),), patience=2)
    found, expected = by_browser(engine, "U", preset), by_library(embedded, "U", preset)
    assert expected.steps[0] < 20
    assert found["phases"] == [{"space": "W", "steps": expected.steps[0], "reason": "patience"}]

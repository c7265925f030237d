"""Strong noise and the search: what two draws of the forward operator a step are for."""

import dataclasses

import pytest
import torch

from rusr_core import presets
from rusr_core.degradations import PoissonBernoulliNoise
from rusr_core.priors import load_prior, portraits
from rusr_core.restore import restore


@pytest.mark.slow
def test_strong_noise_does_not_darken_the_picture():
    """With one draw a step the search leaves for a dark picture (rusr_core.losses.energy_score).

    Brightness against the truth of portraits 1, 4 and 7, with the weights of this test's first day: -0.18, -0.21 and
    -0.14 with one draw, 0.01, -0.07 and -0.04 with two; the mean squared errors of two draws are 0.27 of those of one.
    """
    prior, f = load_prior(), PoissonBernoulliNoise(3, 0.8)
    short = presets.get("default").shortened(12)
    brighter, errors = {}, {}
    for draws in (1, 2):
        preset = dataclasses.replace(short, phases=short.phases[:1], draws=draws)
        away = []
        for number in (1, 4, 7):
            x = portraits([number])
            y = f.degrade(x, torch.Generator().manual_seed(3))
            away.append(restore(prior, y, f, preset=preset).image - x)
        brighter[draws] = torch.stack([v.mean() for v in away]).mean().item()
        errors[draws] = torch.stack([v.square().mean() for v in away]).mean().item()
    assert brighter[1] < -0.1 < 2 * brighter[2] < 0.1
    assert errors[2] < 0.5 * errors[1]

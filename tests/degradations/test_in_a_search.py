"""Operators of every kind inside `restore`: a batch gets what each image gets alone, whoever draws the noise."""

import dataclasses

import pytest
import torch
from conftest import seeded, slow_if

from rusr_core import presets
from rusr_core.degradations import JPEG, Compose, Downsample, PoissonBernoulliNoise, Strokes, degrade, for_image
from rusr_core.latents import sample_w
from rusr_core.restore import restore


class Grain:
    def forward(self, x, generator=None):
        return x + 0.1 * torch.randn(x.shape, generator=generator)


class BeginnersGrain(torch.nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


OPERATORS = {
    "ours": PoissonBernoulliNoise(24, 0.16),
    "generator": Grain(),
    "randn_like": BeginnersGrain(),
    "lambda": lambda x: x.mean(1, keepdim=True).expand_as(x),
    "composed": Compose(BeginnersGrain(), Downsample(2), lambda x: x + 0.05 * torch.rand_like(x), JPEG(20)),
    "strokes of each image": Compose(Strokes(2, seed=(1, 2, 3)), Grain()),
}
CONTAINED = ("ours", "generator", "randn_like")  # what the compositions hold, too


@pytest.mark.slow
@pytest.mark.parametrize("name", [slow_if(name in CONTAINED, name) for name in OPERATORS])
def test_a_batch_gives_each_image_what_it_gets_alone(name, prior):
    f = OPERATORS[name]
    x = prior.generator.image(sample_w(prior.generator, 3, generator=seeded(5))).clamp(0, 1)
    y = degrade(f, x, seeded(1))
    preset = presets.get("default").shortened(4)
    preset = dataclasses.replace(preset, phases=preset.phases[:2])
    together = restore(prior, y, f, preset=preset).image
    assert torch.equal(together, restore(prior, y, f, preset=preset).image)
    for i in range(3):
        alone = restore(prior, y[i : i + 1], for_image(f, i), preset=preset).image
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-4, rtol=0)

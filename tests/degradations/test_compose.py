"""Compositions: their order, their 8 bit, their masks."""

import torch
from conftest import seeded
from degradation_examples import SIZE, GrainAndCrop, Vignette, half_mask, images
from torch import Tensor

from rusr_core.degradations import JPEG, Compose, Downsample, Mask, PoissonBernoulliNoise, Resize
from rusr_core.images import quantize


def test_masks_travel_through_compositions():
    shape = (1, 3, SIZE, SIZE)
    early = Compose(Mask(half_mask()), Downsample(4))
    assert torch.equal(early.mask(shape)[0, 0], half_mask(16))
    resized = Compose(Mask(half_mask()), Resize(96, "bicubic"), JPEG(12)).mask(shape)
    assert torch.equal(resized[0, 0], half_mask(96))
    both = Compose(Mask(half_mask()), Downsample(2), Mask(half_mask(32).T.contiguous())).mask(shape)
    assert torch.equal(both[0, 0], half_mask(32) * half_mask(32).T)
    nested = Compose(Compose(Mask(half_mask()), Downsample(2)), Downsample(2))
    assert torch.equal(nested.mask(shape), early.mask(shape))
    cropped = Compose(Mask(half_mask()), GrainAndCrop()).mask(shape)
    assert torch.equal(cropped[0, 0], half_mask(48))
    assert Compose(Downsample(2), JPEG(12)).mask(shape) is None


def test_a_composition_applies_left_to_right_and_stores_8_bit_after_every_stage():
    x = images(1)
    a, b, c = Downsample(2, "bicubic"), PoissonBernoulliNoise(24, 0.16), JPEG(12)
    f = Compose(a, b, c)
    step = b.degrade(a.degrade(x), seeded(3))
    assert torch.equal(f.degrade(x, torch.Generator().manual_seed(3)), c.degrade(step))
    assert torch.equal(f(x, seeded(3)), c(b(a(x), seeded(3))))

    class Unrounded(Vignette):
        def degrade(self, x: Tensor, generator=None) -> Tensor:
            return self.forward(x)

    stored = quantize(Vignette().forward(x))
    assert torch.equal(Compose(Unrounded()).degrade(x), stored)
    grey = Mask(torch.full((SIZE, SIZE), 0.5))
    assert torch.equal(Compose(Unrounded(), grey).degrade(x), grey.degrade(stored))


def test_a_stage_may_overshoot():
    f = Compose(lambda x: 4 * x - 1.5, JPEG(90))
    y = f.degrade(torch.full((1, 3, 16, 16), 0.9), None)
    assert torch.equal(y, torch.ones_like(y))  # a file holds no more

"""What is done with anybody's operator: masks, shapes, randomness, and the errors."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import seeded
from degradation_examples import SIZE, Vignette, half_mask, images

from rusr_core.degradations import (
    JPEG,
    Compose,
    Degradation,
    DegradationError,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    Strokes,
    as_operator,
    degrade,
    is_random,
    mask_of,
    shape_after,
)
from rusr_core.randomness import RandomnessError


def test_what_draws_needs_a_generator():
    x = torch.full((1, 3, 8, 8), 0.5)
    for f in (PoissonBernoulliNoise(24, 0.5), Compose(JPEG(12), PoissonBernoulliNoise(24, 0.5))):
        for call in (f, f.forward, f.degrade):
            with pytest.raises(RandomnessError, match="need a generator, got None; expected torch.Generator"):
                call(x)
    with pytest.raises(RandomnessError, match="need a generator"):
        Downsample(4).degrade(x)
    assert Downsample(4, "bicubic").degrade(x).shape == Downsample(4)(x).shape == (1, 3, 2, 2)


def test_randomness_that_is_denied_is_refused():
    """Before the search, which would find no generator to draw from."""

    class Denies:
        random = False

        def forward(self, x, generator=None):
            return x + 0.1 * torch.randn(x.shape, generator=generator)

    with pytest.raises(DegradationError, match="Denies draws random numbers, but its random is False; expected True"):
        is_random(Denies(), images(1))
    Denies.forward = lambda self, x: x + 0.1 * torch.from_numpy(np.random.default_rng().random(x.shape)).to(x)
    with pytest.warns(match="which no seed repeats"), pytest.raises(DegradationError, match="gives another image each"):
        is_random(Denies(), images(1))


def test_a_mask_of_a_wrong_form_is_an_error_in_a_degradation_and_not_used_elsewhere():
    @dataclass
    class Own(Vignette):
        mask: object

    @dataclass
    class Inherits(Own, Degradation):
        pass

    x = torch.empty(2, 3, SIZE, SIZE)
    for mask in (torch.ones(3, 3, SIZE, SIZE), "left", torch.ones(5, 1, SIZE, SIZE), torch.full((SIZE, SIZE), 2.0)):
        with pytest.raises(DegradationError, match="a mask must be"):
            mask_of(Inherits(mask), x)
        with pytest.warns(UserWarning, match=r"is not used; a mask is \[64, 64\] or \[2 or 1, 1, 64, 64\]"):
            assert mask_of(Own(mask), x) is None


def test_ours_are_taken_as_they_are():
    for f in (JPEG(12), Compose(JPEG(12)), Strokes(1), Mask(half_mask())):
        assert as_operator(f, images(1)) is f


def test_a_mask_may_be_an_attribute():
    class Own(Vignette):
        mask = half_mask()

    assert torch.equal(mask_of(Own(), torch.empty(2, 3, SIZE, SIZE))[0, 0], half_mask())
    both = mask_of(Compose(Own(), Strokes(3), Downsample(2)), torch.empty(2, 3, SIZE, SIZE))
    assert both.shape == (1, 1, SIZE // 2, SIZE // 2)


def test_a_mask_of_equal_channels_is_one_and_of_others_none():
    class Own(Vignette):
        mask = half_mask().bool().expand(1, 3, -1, -1)

    x = images(1)
    assert torch.equal(mask_of(Own(), x)[0, 0], half_mask())
    Own.mask = torch.rand(1, 3, SIZE, SIZE, generator=seeded())
    with pytest.warns(UserWarning, match="its mask, .* is not used"):
        assert mask_of(Own(), x) is None


def test_a_mask_that_is_moved_to_another_size_is_an_error():
    class Crops(Vignette):
        def transform_mask(self, mask):
            return mask[..., 1:]

    with pytest.raises(
        DegradationError, match=r"transform_mask gives \[1, 1, 64, 63\] .*; expected \[1, 1, 64, 64\] in"
    ):
        mask_of(Compose(Mask(half_mask()), Crops()), images(1))


def test_shapes_after_a_batch():
    f = Compose(Vignette(), Downsample(4), lambda x: x[..., 2:])
    assert shape_after(f, torch.empty(5, 3, SIZE, SIZE)) == (5, 3, 16, 14)


def test_without_degrade_the_surrogate_is_rounded():
    x = images(2)
    y = degrade(lambda x: x / 3, x)
    assert torch.equal(y, (255 * x / 3).round() / 255) and not y.requires_grad


def test_true_operations_refuse_another_range():
    for f in (JPEG(12), Downsample(2), Strokes(1), PoissonBernoulliNoise(24, 0.1), Compose(), Compose(JPEG(12))):
        with pytest.raises(DegradationError, match=r"expected an image with values in \[0, 1\], got \[0, 255\]"):
            f.degrade(torch.tensor([0.0, 255]).repeat(1, 3, 8, 4), seeded())


@dataclass
class Plain(Degradation):
    strength: float = 0.5

    def forward(self, x, generator=None):
        return self.strength * x


class Bare(Degradation):
    def forward(self, x, generator=None):
        return x / 2


def test_every_degradation_can_be_printed():
    assert f"{Bare()}" == "Bare" and str(Compose(Bare(), JPEG(3))) == "Bare | jpeg:3"
    assert str(Plain()) == "Plain:" and str(Plain(0.25)) == "Plain:strength=0.25"
    assert str(Compose(lambda x: x, torch.nn.Identity())) == "<lambda> | Identity"


def test_a_degradation_that_inherits_is_one_too():
    x = images(2)
    for f in (Bare(), Plain()):
        assert torch.equal(degrade(f, x), (255 * x / 2).round() / 255)
        assert mask_of(f, x) is None and shape_after(f, x) == (2, 3, SIZE, SIZE)
    with pytest.raises(DegradationError, match="a function of x or has a method forward"):
        as_operator(type("Empty", (Degradation,), {})())

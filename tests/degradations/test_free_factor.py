"""A free factor of `Downsample`: equal to the known one where that is whole, smooth between, and found by a search."""

import json

import pytest
import torch
from conftest import seeded
from degradation_examples import half_mask, images, psnr

import rusr_core
from rusr_core.degradations import JPEG, Compose, DegradationError, Downsample, Free, Mask, Resize, free, mask_of, parse
from rusr_core.degradations.fractional import KERNELS, resampling
from rusr_core.degradations.free import bound, starts
from rusr_core.degradations.resampling import Enlarged
from rusr_core.restore import RestorationError, restore


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    return rusr_core.portraits([0, 5])


@pytest.mark.parametrize("size", ["128+128", "80+48", "40+60"])  # enlarged; smaller than what it was reduced to
@pytest.mark.parametrize("mode", KERNELS)
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_whole_factor_is_nearly_the_known_reduction_and_resize(factor, mode, size, portraits):
    """Up to where the pixels of the small picture lie: the surrogate is the mean over that, see its docstring."""
    unknown = parse(f"downsample:1.5..20@{factor} | resize:{size},{mode}")
    known = parse(f"downsample:{factor} | resize:{size},{mode}")
    (u,) = starts([unknown])
    assert psnr(unknown.forward(portraits), known.forward(portraits)) > 35
    torch.testing.assert_close(bound(unknown, u).forward(portraits), unknown.forward(portraits), atol=1e-5, rtol=0)


def test_without_a_resize_it_comes_back_at_its_own_size():
    x = images(2, 48, 64)
    unknown = Compose(free(Downsample(4), factor=(2, 8)), Resize((48, 64)))
    assert torch.equal(free(Downsample(4), factor=(2, 8)).forward(x), unknown.forward(x))


@pytest.mark.parametrize("mode", KERNELS)
@pytest.mark.parametrize("factor", [1.3, 3.3, 9.7])
def test_the_factor_has_its_gradient(factor, mode):
    """Against differences of float64; and each pixel of the result is a mean of the image."""
    factor = torch.tensor(factor, dtype=torch.float64, requires_grad=True)
    for length, size in ((16, 16), (20, 6)):
        rows = resampling(length, size, factor, mode)
        torch.testing.assert_close(rows.sum(1), torch.ones_like(rows[:, 0]))
        weights = torch.rand(size, length, generator=seeded(2), dtype=torch.float64)
        slope = torch.autograd.grad((rows * weights).sum(), factor)[0].item()
        ends = [(resampling(length, size, factor.detach() + d, mode) * weights).sum() for d in (1e-5, -1e-5)]
        assert slope == pytest.approx(float(ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-4)


def test_torchs_functional_transforms_pass_through():
    x, f = images(1), Enlarged(3.3, after=Resize(24))
    y, back = torch.func.vjp(f.forward, x)
    leaf = x.clone().requires_grad_()
    weights = torch.rand(y.shape, generator=seeded(2))
    (gradient,) = torch.autograd.grad((f.forward(leaf) * weights).sum(), leaf)
    torch.testing.assert_close(back(weights)[0], gradient)


def test_flat_pictures_stay_flat_and_sharp_ones_lose_with_the_factor():
    flat = torch.full((1, 3, 30, 50), 0.3)
    lost = []
    for factor in (1.0, 1.5, 2.0, 3.0, 5.0, 9.0, 40.0):
        torch.testing.assert_close(Enlarged(factor).forward(flat), flat)
        lost.append(float(Enlarged(factor).forward(images(1)).var()))
    assert lost == sorted(lost, reverse=True)


@pytest.mark.parametrize("factor", [2.0, 3.2, 5.33])
@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
def test_the_true_operation_goes_to_whole_sides(name, factor):
    x = images(1)
    f = Enlarged(factor, name)
    y = f.degrade(x)
    small = round(64 / factor)
    if small == 32:
        assert torch.equal(y, Compose(Downsample(2, name), Resize(64)).degrade(x))
    assert y.shape == x.shape and psnr(y, Enlarged(64 / small, name).forward(x)) > 33


@pytest.mark.parametrize(
    "words", ["downsample:2..8@4", "downsample:2..8@2.5,filter=bicubic", "downsample:2..8@3 | resize:32,mode=lanczos"]
)
def test_words_and_back(words):
    f = parse(words)
    assert str(f) == words and parse(str(f)) == f and f.stages[0].ranges[0][0] == "factor"


def test_in_a_composition_the_resize_after_it_belongs_to_it():
    f = Compose(free(Downsample(3), factor=(2, 8)), Resize(32), JPEG(30))
    assert str(f) == "downsample:2..8@3 | resize:32 | jpeg:30" and len(f.stages) == 2 and parse(str(f)) == f
    assert isinstance(f.stages[0], Free) and f.for_image(0) == f
    assert f.forward(images(2)).shape == (2, 3, 32, 32)
    mask = mask_of(Compose(Mask(half_mask()), *f.stages), images(1))
    assert mask.shape == (1, 1, 32, 32) and mask[..., :10].min() > 0.99 and mask[..., -10:].max() < 0.01


@pytest.mark.parametrize(
    "words, message",
    [
        ("downsample:2..8 | jpeg:30", r"expected resize right after it, with mode bilinear, .* got 'jpeg:30'"),
        ("downsample:2..8 | resize:64,area", "got 'resize:64,mode=area'"),
        ("downsample:2..8 | resize:64,nearest", "got 'resize:64,mode=nearest'"),
        ("downsample:0.5..8", "a free factor must be a number from 1 to 8192, got 0.5"),
        ("downsample:8..2", "bounds of factor must be two numbers, the lower first"),
        ("downsample:2..8@9", "start of factor must be between 2 and 8, got 9"),
        ("downsample:2.5", "factor must be a whole number, got '2.5'"),
    ],
)
def test_what_cannot_be_is_one_line(words, message):
    with pytest.raises(DegradationError, match=message) as caught:
        parse(words)
    assert "\n" not in str(caught.value)


def test_a_free_factor_has_no_true_operation():
    with pytest.raises(DegradationError, match="has free numbers: expected a degradation that is known"):
        parse("downsample:2..8").degrade(images(1))


@pytest.mark.filterwarnings("ignore:y of 8x8 px")
def test_a_smaller_y_needs_its_size(prior, truth):
    y = Downsample(4).degrade(truth[:1], seeded(0))
    side = y.shape[2]
    with pytest.raises(RestorationError, match=rf"right after a free factor, resize:{side}\+{side} says its size"):
        restore(prior, y, parse("downsample:2..8"), preset="default@1")
    result = restore(prior, y, parse(f"downsample:2..8@3 | resize:{side}"), preset="default@1")
    assert result.info["degradation"] == f"downsample:2..8@3 | resize:{side}"


@pytest.mark.slow
def test_a_short_search_finds_the_factor_and_the_portrait():
    """From the mean face, with the embedded prior: measured 3.9 of 4 from 2.5, and as near as with the known factor."""
    prior, x = rusr_core.load_prior("portraits-128"), rusr_core.portraits([4])
    y = parse("downsample:4 | resize:128").degrade(x, seeded(0))
    result = restore(prior, y, parse("downsample:1.2..16@2.5 | resize:128"), preset="default@12")
    assert result.info["free"]["downsample.factor"]["found"][0] == pytest.approx(4, rel=0.15)


def test_each_image_of_a_batch_has_its_own_factor(prior, truth):
    f = parse("downsample:1.5..12@4")
    y = torch.cat([Enlarged(t, "bicubic").degrade(x) for t, x in zip((2.0, 8.0), truth[:2].split(1), strict=True)])
    together = restore(prior, y, f, preset="default@2")
    alone = [restore(prior, one, f, preset="default@2") for one in y.split(1)]
    assert torch.equal(together.image, torch.cat([one.image for one in alone]))
    facts = together.info["free"]["downsample.factor"]
    assert facts["found"] == [one.info["free"]["downsample.factor"]["found"][0] for one in alone]
    assert (facts["low"], facts["high"], facts["start"]) == (1.5, 12, 4) and len(set(facts["found"])) == 2
    json.dumps(together.info)

"""Free numbers of a degradation: within their bounds, with their gradient, in words, and found by a search."""

import json
import math

import pytest
import torch
from conftest import seeded
from degradation_examples import images

from rusr_core.baselines import METHODS
from rusr_core.degradations import (
    JPEG,
    Blur,
    Compose,
    DegradationError,
    Downsample,
    Fade,
    Free,
    Mask,
    PoissonBernoulliNoise,
    ReadNoise,
    free,
    is_random,
    mask_of,
    parse,
)
from rusr_core.degradations.free import Range, bound, found_numbers, starts
from rusr_core.degradations.resampling import Enlarged
from rusr_core.errors import RusrWarning
from rusr_core.restore import restore

KINDS = {
    "width": (Blur(1.5), {"width": (0.5, 4)}),
    "motion": (Blur(length=5.05, direction=20.0), {"length": (2, 12), "direction": (-90, 90)}),
    "fading": (Fade(0.8, 0.1, 1.2), {"gain": (0.3, 2), "offset": (-0.3, 0.3), "gamma": (0.5, 2)}),
    "photons": (PoissonBernoulliNoise(24.0, 0.1), {"photons": (4, 100)}),
    "read noise": (ReadNoise(0.1), {"sigma": (0.01, 0.5)}),
    "factor": (Enlarged(3.3), {"factor": (2, 8)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_start_is_the_degradation_itself_and_every_number_has_its_gradient(kind, monkeypatch):
    for module in ("noise", "fade"):  # whose clamp has a gradient of its own
        monkeypatch.setattr(f"rusr_core.degradations.{module}.soft_clamp", lambda x: x)
    f, bounds = KINDS[kind]
    x, unknown = images(1), free(f, **bounds)
    (u,) = starts([unknown])
    expected = f.forward(x, seeded(1))
    torch.testing.assert_close(bound(unknown, u).forward(x, seeded(1)), expected, atol=1e-5, rtol=0)
    assert torch.equal(unknown.forward(x, seeded(1)), expected) and is_random(unknown, x) == f.random
    weights = torch.rand(expected.shape, generator=seeded(2))

    def value(u):
        return (bound(unknown, u).forward(x, seeded(1)) * weights).double().sum()

    (gradient,) = torch.autograd.grad(value(leaf := u.clone().requires_grad_()), leaf)
    for i in range(len(u)):
        step = torch.zeros_like(u)
        step[i] = 0.02
        slope = (value(u + step) - value(u - step)) / 0.04
        assert gradient[i] == pytest.approx(slope.item(), rel=0.05, abs=0.02), i


@pytest.mark.parametrize("p", [0.05, 0.3, 0.6])
def test_the_share_of_dead_pixels_has_the_gradient_of_the_mean(p, monkeypatch):
    """Which pixels are dead is drawn, so no single draw has a slope: over draws, it is that of the expected picture."""
    monkeypatch.setattr("rusr_core.degradations.noise.soft_clamp", lambda x: x)
    x, unknown = images(1), free(PoissonBernoulliNoise(24.0, p), p=(0.01, 0.9))
    (u,) = starts([unknown])
    draws = bound(unknown, u).forward(x, seeded(1))
    torch.testing.assert_close(draws, unknown.forward(x, seeded(1)), atol=1e-5, rtol=0)
    assert abs(float((draws == 0).all(1).float().mean()) - p) < 0.03  # dead is black, nothing between
    weights = torch.rand(x.shape, generator=seeded(2))
    leaf, gradients = u.clone().requires_grad_(), []
    for seed in range(20):
        value = (bound(unknown, leaf).forward(x, seeded(seed)) * weights).sum()
        gradients.append(torch.autograd.grad(value, leaf)[0].item())

    def mean(step):
        return (bound(unknown, u + step).expected(x) * weights).double().sum()

    slope = float((mean(0.02) - mean(-0.02)) / 0.04)
    assert slope < 0 and sum(gradients) / 20 == pytest.approx(slope, rel=0.01)


@pytest.mark.parametrize("low, high, start", [(0.5, 4, 1.5), (-0.3, 0.3, 0.1), (0, 1, 0.25), (6, 96, None)])
def test_a_number_stays_within_its_bounds(low, high, start):
    one = Range(low, high, start).checked("it")
    assert float(one.at(torch.tensor(one.inverse()))) == pytest.approx(one.start, rel=1e-5)
    values = one.at(torch.linspace(-30, 30, 99))
    assert values.min() >= low - 1e-6 and values.max() <= high + 1e-5 and (values.diff() >= 0).all()
    if start is None:
        assert one.start == pytest.approx(math.sqrt(low * high))


@pytest.mark.parametrize(
    "words",
    ["blur:width=0.5..4@1.5", "noise:6..96@24,0.16", "noise:24,0.02..0.5@0.1", "fade:gain=0.5..1.5@0.9,offset=0.1"],
)
def test_words_and_back(words):
    f = parse(words)
    assert isinstance(f, Free) and str(f) == words and parse(str(f)) == f
    composed = parse(f"{words} | downsample:4")
    assert isinstance(composed, Compose) and composed.stages[0] == f and str(composed) == f"{words} | downsample:4"


def test_words_need_no_start():
    assert str(parse("blur:0.5..8")) == "blur:width=0.5..8@2"


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: free(Blur(1.5), width=(2, 4)), "start of width must be between 2 and 4, got 1.5"),
        (
            lambda: free(Blur(1.5), width=(4, 0.5)),
            r"bounds of width must be two numbers, the lower first",
        ),
        (lambda: free(JPEG(12), quality=(1, 50)), "quality cannot be free; expected another degradation"),
        (lambda: free(Blur(1.5), kernel=(1, 2)), "kernel cannot be free; expected width or length or direction"),
        (lambda: free(Blur(1.5)), "nothing cannot be free"),
        (lambda: parse("jpeg:10..50"), "quality must be a whole number"),
        (lambda: parse("blur:0.5..x"), "width must be a number, got '0.5..x'"),
        (lambda: parse("noise:24,0.1..1"), r"p must be a number in \[0, 1\), got 1"),
    ],
)
def test_what_cannot_be_free_is_one_line(make, message):
    with pytest.raises(DegradationError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_nobody_can_degrade_with_what_is_not_known():
    f = Compose(parse("blur:0.5..4"), Downsample(2))
    with pytest.raises(DegradationError, match="has free numbers: expected a degradation that is known"):
        f.degrade(images(1))


def test_the_rest_of_a_composition_is_as_it_was():
    mask = Mask((torch.arange(64) < 32).float().expand(64, 64))
    f, x = Compose(mask, free(Blur(1.0), width=(0.5, 4)), Downsample(2)), images(1)
    assert torch.equal(mask_of(f, x), mask_of(Compose(mask, Blur(1.0), Downsample(2)), x))
    again = bound(f, torch.tensor([9.0]))
    expected = Compose(mask, Blur(float(Range(0.5, 4).at(torch.tensor(9.0)))), Downsample(2))
    torch.testing.assert_close(again.forward(x), expected.forward(x), atol=1e-5, rtol=0)


CASES = {
    "blur": (Blur(2.0), free(Blur(0.9), width=(0.4, 5))),
    "fading": (Fade(0.6, 0.1), free(Fade(0.9, 0.0), gain=(0.3, 1.5), offset=(-0.3, 0.3))),
    "read noise": (ReadNoise(0.15), free(ReadNoise(0.04), sigma=(0.01, 0.5))),
    "dead pixels": (PoissonBernoulliNoise(60.0, 0.2), free(PoissonBernoulliNoise(60.0, 0.05), p=(0.01, 0.5))),
    "factor": (Enlarged(4.0, "bicubic"), free(Enlarged(2.5), factor=(1.2, 16))),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_search_finds_the_number_where_the_latent_is_known(prior, truth, case):
    """From the true latent, the search moves the free number towards the truth."""
    known, unknown = CASES[case]
    w = prior.generator.mapping.sample(4, torch.Generator().manual_seed(5))[:1]
    y = known.degrade(truth[:1], seeded(1))
    result = restore(prior, y, unknown, preset="default@12", start=w)
    for name, facts in result.info["free"].items():
        wanted = getattr(known, name.partition(".")[2])
        assert abs(facts["found"][0] - wanted) < 0.6 * abs(facts["start"] - wanted), (name, facts)
    json.dumps(result.info)


@pytest.mark.slow
def test_a_batch_finds_what_each_image_finds_alone(prior, truth):
    f = free(Blur(1.0), width=(0.4, 5))
    y = torch.cat([Blur(w).degrade(x) for w, x in zip((0.6, 2.5), truth[:2].split(1), strict=True)])
    together = restore(prior, y, f, preset="default@2")
    alone = [restore(prior, one, f, preset="default@2") for one in y.split(1)]
    assert torch.equal(together.image, torch.cat([one.image for one in alone]))
    found = together.info["free"]["blur.width"]["found"]
    assert found == [one.info["free"]["blur.width"]["found"][0] for one in alone] and found[0] != found[1]
    several = restore(prior, y[:1], f, preset="default@2", samples=2).info["free"]["blur.width"]
    assert several["found"][0] == found[0] and len(several["found"]) == 2
    assert several["spread"] == [pytest.approx(torch.tensor(several["found"]).std().item())]


def test_a_known_degradation_records_nothing_free(prior, truth):
    assert "free" not in restore(prior, truth[:1], Downsample(1), preset="default@1").info
    assert found_numbers(Downsample(1), []) == {}


def test_methods_that_find_no_numbers_say_where_these_stay(prior, truth):
    f = parse("blur:0.5..4 | fade:gain=0.5..1.5@0.9")
    assert str(f) == "blur:width=0.5..4@1.41421 | fade:gain=0.5..1.5@0.9"
    with pytest.warns(RusrWarning, match=r"found by presets only: they stay where they start, blur:width=1.41421 \| "):
        result = METHODS["brgm"].configured(steps=1).restore(prior, truth[:1], f)
    assert "free" not in result.info and any("presets only" in note for note in result.info["warnings"])

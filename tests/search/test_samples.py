"""Several answers: each is a restoration of its own, and together they say what the input decides."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import seeded

from rusr_core.degradations import Compose, Downsample, Mask, PoissonBernoulliNoise, Strokes
from rusr_core.latents import sample_w
from rusr_core.prior import Prior
from rusr_core.restore import RestorationError, Samples, restore
from rusr_core.results import Restoration
from rusr_core.search.sampling import PSI

HIDDEN = torch.ones(32, 32)
HIDDEN[:, 16:] = 0


def found(prior, y, f, **options) -> Samples:
    return restore(prior, y, f, preset="default@2", **options)


@pytest.fixture(scope="module")
def half(prior, truth) -> Samples:
    return found(prior, Mask(HIDDEN).degrade(truth[:2]), Mask(HIDDEN), samples=3)


NOISE = PoissonBernoulliNoise(96, 0.04)
OPERATORS = {
    "a mask of each image": Mask(torch.stack([HIDDEN, HIDDEN.flip(1)])[:, None]),
    "strokes of each image, noise": Compose(Strokes(1, seed=(1, 2)), NOISE),
    "somebody's": lambda x: x.flip(3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATORS)
def test_the_first_answer_is_what_one_answer_would_be(prior, truth, name):
    f = OPERATORS[name]
    y = Compose(f).degrade(truth[:2], seeded())
    several, one = found(prior, y, f, samples=2), found(prior, y, f)
    assert several.image.shape == (4, 3, 32, 32) and several.answers.shape == (2, 2, 3, 32, 32)
    assert torch.equal(several.answers[:, 0], one.image)
    assert not torch.equal(several.answers[:, 1], one.image)
    assert several.info["degradation"] == one.info["degradation"]


def test_an_answer_does_not_depend_on_the_batch(prior, truth, half):
    f = Mask(HIDDEN)
    alone = found(prior, f.degrade(truth[1:2]), f, samples=3)
    assert torch.equal(alone.answers[0], half.answers[1])


@pytest.mark.slow
def test_answers_of_a_random_f_draw_their_own_numbers(prior, truth):
    """From one start, the answers differ by their draws alone."""
    y = NOISE.degrade(truth[:1], seeded())
    start = prior.generator.w_mean.expand(3, -1)
    answers = found(prior, y, NOISE, samples=3, start=start).answers[0]
    assert (answers[0] - answers[1]).abs().max() > 1e-3 and (answers[1] - answers[2]).abs().max() > 1e-3
    quiet = Downsample(1)
    same = found(prior, quiet.degrade(truth[:1], seeded()), quiet, samples=2, start=start[:2]).answers[0]
    assert torch.equal(same[0], same[1])


def test_starts_are_the_mean_and_random_ones(prior, truth):
    f, seen = Downsample(1, "bilinear"), []
    restore(
        prior, f.degrade(truth[:2]), f, preset="default@1", samples=2, callback=lambda step: seen.append(step.image())
    )
    word = int(np.random.SeedSequence([0, 1]).generate_state(1)[0])
    w = sample_w(prior.generator, 1, PSI, generator=seeded(word))
    for i, expected in enumerate((prior.generator.w_mean[None], w) * 2):
        torch.testing.assert_close(seen[0][i : i + 1], prior.generator.image(expected).clamp(0, 1), atol=1e-6, rtol=0)


def test_mean_spread_and_what_was_invented(half):
    answers = half.answers.double().numpy()
    torch.testing.assert_close(half.mean.double(), torch.from_numpy(answers.mean(1)), atol=1e-6, rtol=0)
    spread = (answers.var(1, ddof=1).mean(1, keepdims=True)) ** 0.5
    torch.testing.assert_close(half.spread.double(), torch.from_numpy(spread), atol=1e-6, rtol=0)
    assert half.invented.shape == (2, 1, 32, 32) and 0 <= half.invented.min() and half.invented.max() <= 1
    assert half.misfit.shape == (2, 3) and half.misfit.isfinite().all()
    share = half.spread / half.prior_spread
    assert torch.equal(half.invented == 1, share >= 1)


def test_the_spread_of_the_prior_is_that_of_its_images(prior, half):
    images = prior.generator.image(sample_w(prior.generator, 400, generator=seeded(1))).clamp(0, 1)
    expected = images.var(0).mean(0).sqrt()
    assert half.prior_spread.shape == (1, 1, 32, 32)
    assert (half.prior_spread[0, 0] / expected).log().abs().median() < 0.2


def test_answers_come_back_whole(half, tmp_path):
    again = Restoration.load(half.save(tmp_path / "kept"))
    assert isinstance(again, Samples) and again.samples == 3 and repr(again).startswith("Samples(6 images")
    for name in ("answers", "mean", "spread", "invented", "misfit", "prior_spread", "latents"):
        assert torch.equal(getattr(again, name), getattr(half, name)), name


@pytest.mark.parametrize("samples", [0, -1, 1.5, True, "4"])
def test_samples_is_a_number_of_answers(prior, truth, samples):
    with pytest.raises(RestorationError, match="samples is .*: expected a whole number from 1"):
        found(prior, truth[:1], Downsample(1), samples=samples)


def test_a_start_is_one_for_each_answer(prior, truth):
    with pytest.raises(RestorationError, match=r"start is W \(2, 20\): expected W \[4, 20\]"):
        found(prior, truth[:2], Downsample(1), samples=2, start=prior.generator.w_mean.expand(2, -1))


def test_a_generator_that_cannot_be_sampled_is_refused(prior, truth):
    G = prior.generator
    bare = SimpleNamespace(resolution=32, w_mean=G.w_mean, w_std=1.0, widen=G.widen, image=G.image)
    mute = Prior.of(bare, prior.perceptual, prior.identity)
    with pytest.raises(RestorationError, match="2 answers need random latents: expected a generator with a mapping"):
        found(mute, truth[:1], Downsample(1), samples=2)

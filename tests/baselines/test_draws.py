"""Several draws of the methods that sample: runs of their own, of which the first is what one run gives."""

import pytest
import torch
from small_denoiser import METHODS, small_prior, truth

from rusr_core import randomness
from rusr_core.baselines import BaselineError, ddrm, nothing
from rusr_core.degradations import Downsample
from rusr_core.prior import DiffusionPrior
from rusr_core.results import ResultError


@pytest.fixture(scope="module")
def small() -> DiffusionPrior:
    return small_prior()


@pytest.mark.parametrize("name", METHODS)
def test_several_samples_are_runs_of_their_own(name, small):
    method, settings, passes = METHODS[name]
    y, configured = Downsample(4).forward(truth()), method.configured(**settings)
    seen = []
    one, several = (
        configured.restore(small, y, Downsample(4), seed=2, samples=samples, callback=seen.append) for samples in (1, 3)
    )
    phases = [step.phase for step in seen[one.steps[0] :: one.steps[0]]]
    assert phases == [seen[0].phase, f"{seen[0].phase}, draw 2", f"{seen[0].phase}, draw 3"]
    assert one.drawn is None and one.answers.shape == (2, 1, 3, 16, 16)
    assert several.drawn.shape == (2, 3, 3, 16, 16) and several.info["network_passes"] == 3 * passes
    assert torch.equal(several.image, one.image) and torch.equal(several.answers[:, 0], one.image)
    assert several.steps == one.steps and several.seconds > one.seconds / 3
    words = randomness.seeds(2, 2, 1)
    for word, sample in zip(words, several.drawn[:, 1:].unbind(1), strict=True):
        assert torch.equal(sample, configured.restore(small, y, Downsample(4), seed=word).image)
    assert several.spread.shape == (2, 1, 16, 16) and several.spread.mean() > 0.01
    torch.testing.assert_close(several.mean, several.drawn.mean(1))
    invented = several.invented_beside(torch.full((1, 1, 16, 16), 0.2))
    torch.testing.assert_close(invented, (several.spread / 0.2).square().clamp(max=1))
    with pytest.raises(ResultError, match="one answer to each image has no spread"):
        _ = one.spread
    for wrong in (0.2, "x", torch.ones(1, 1, 8, 8), torch.ones(2, 3, 16, 16)):
        with pytest.raises(ResultError, match=r"prior_spread is .*: expected a spread at each pixel, \[1, 1, 16, 16\]"):
            several.invented_beside(wrong)


@pytest.mark.parametrize("at, drawn, steps", [(3, 1, 4), (13, 1, 10), (23, 2, 10), (10, 1, 10)])
def test_interrupted_samples_are_those_that_were_finished(at, drawn, steps, small):
    seen = []

    def stop(step):
        seen.append(step)
        if len(seen) == at + 1:
            raise KeyboardInterrupt

    configured, y = ddrm.BASELINE.configured(steps=10), Downsample(4).forward(truth())
    result = configured.restore(small, y, Downsample(4), callback=stop, samples=3)
    assert result.interrupted and result.drawn.shape[1] == drawn and result.steps == [steps] * 2
    whole = configured.restore(small, y, Downsample(4), samples=3)
    assert at < 10 or torch.equal(result.drawn, whole.drawn[:, :drawn])


@pytest.mark.parametrize("samples, message", [(0, "samples is 0: expected a whole number from 1 to"), (2.0, "samples")])
def test_a_number_of_samples_that_cannot_be_is_refused(samples, message, small):
    with pytest.raises(BaselineError, match=message):
        ddrm.BASELINE.configured().restore(small, truth(), Downsample(1), samples=samples)


def test_a_method_that_draws_nothing_has_no_samples(prior):
    with pytest.raises(BaselineError, match="nothing draws no samples of a posterior: expected samples=1, got 2"):
        nothing.BASELINE.configured().restore(prior, truth(), Downsample(1), samples=2)

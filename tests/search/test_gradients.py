"""A search follows gradients, also where its caller has switched them off: in a loop of an evaluation, say."""

import pytest
import torch
from conftest import seeded

import rusr_core as rusr
from rusr_core import baselines
from rusr_core.degradations import parse
from rusr_core.search.stopping import RestorationError

MODES = (torch.no_grad, torch.inference_mode)
QUICK = {"pulse": {}, "brgm": {}, "mganprior": {"codes": 2}, "pti": {}, "lbrgm": {"starts": 2}}


@pytest.mark.parametrize("mode", MODES)
def test_the_search_finds_the_same(mode, prior, truth):
    f = parse("identity")
    y = f.degrade(truth[:1])
    usual = rusr.restore(prior, y, f, preset="default@1")
    with mode():
        found = rusr.restore(prior, y + 0, f, preset="default@1")
    assert torch.equal(found.image, usual.image) and torch.is_grad_enabled()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", QUICK)
def test_a_compared_method_finds_the_same(name, mode, prior, truth):
    f = parse("downsample:2,bilinear")
    y, method = f.degrade(truth[:1]), baselines.METHODS[name].configured(steps=2, **QUICK[name])
    usual = method.restore(prior, y, f, seed=1)
    with mode():
        found = method.restore(prior, y + 0, f, seed=1)
    assert torch.equal(found.image, usual.image)


@pytest.mark.parametrize("mode", MODES)
def test_the_function_itself_says_what_it_needs(mode, prior, truth):
    with mode(), pytest.raises(RestorationError, match="gradients are off.*expected them on"):
        baselines.METHODS["brgm"].function(prior, truth, parse("identity"), steps=1)


def test_a_prior_that_is_loaded_without_gradients_can_be_searched():
    with torch.inference_mode():
        prior = rusr.load_prior()
    y = torch.rand(1, 3, 128, 128, generator=seeded())
    assert rusr.restore(prior, y, parse("identity"), preset="default@1").steps == [3]

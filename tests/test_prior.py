"""What the search asks of a prior, and the one rule for its rates."""

import dataclasses

import pytest
import torch
from conftest import random_generator

from rusr_core.prior import LatentGenerator, Prior, PriorError, prior_shape


class Looks:
    """A network that knows nothing but has both methods."""

    def features(self, x):
        return [x]

    def embed(self, x):
        return torch.nn.functional.normalize(x.mean((2, 3)), dim=1)


def test_a_prior_needs_nothing_but_its_networks():
    G, net = random_generator(), Looks()
    prior = Prior.of(G, net)
    assert (prior.name, prior.generator, prior.perceptual, prior.identity) == ("Generator", G, net, None)
    assert Prior.of(G, net, net, name="mine").name == "mine"
    assert isinstance(G, LatentGenerator)
    assert prior.device == G.mapping.w_avg.device and prior_shape(prior, 2) == (2, 3, 32, 32)
    assert torch.equal(G.w_mean, G.mapping.w_avg)


def test_the_rates_follow_from_the_size_of_w():
    G = random_generator()
    assert G.w_std == G.mapping.measure_std()  # measured when nobody has set it
    G.w_std = 24
    prior = Prior.of(G)
    assert (prior.w_std, prior.lr_scale) == (24.0, 2.0)


def test_w_std_is_measured_once(monkeypatch):
    G = random_generator()
    first = G.w_std
    monkeypatch.setattr(type(G.mapping), "measure_std", None)
    assert G.w_std == first


@pytest.mark.parametrize("size", [0.0, float("nan"), float("inf"), -1.0])
def test_a_w_without_a_size_is_no_prior(size):
    G = random_generator()
    G.w_std = size
    with pytest.raises(PriorError, match=f"w_std of Generator is {size}: expected a positive number"):
        Prior.of(G)


def test_missing_parts_are_named():
    class Half:
        resolution, w_mean, w_std = 32, torch.zeros(4), 1.0

    with pytest.raises(PriorError, match="Half has no widen, image"):
        Prior.of(Half())
    with pytest.raises(PriorError, match=r"ReLU has no embed\(x\)"):
        Prior.of(random_generator(), Looks(), torch.nn.ReLU())
    with pytest.raises(PriorError, match=r"ReLU has no features\(x\)"):
        Prior.of(random_generator(), torch.nn.ReLU())


def test_a_prior_is_changed_by_replacing():
    prior = Prior.of(random_generator(), Looks())
    assert dataclasses.replace(prior, lr_scale=1.0).lr_scale == 1.0

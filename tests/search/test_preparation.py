"""What is refused before a search begins, and what is told because it does not act."""

import dataclasses
import sys
import warnings

import pytest
import torch
from conftest import seeded

from rusr_core import presets
from rusr_core.degradations import JPEG, Compose, Downsample, PoissonBernoulliNoise
from rusr_core.errors import RusrWarning
from rusr_core.images import quantize
from rusr_core.latents import sample_w, to_w_plus, to_w_plus_plus
from rusr_core.losses import RestorationLoss
from rusr_core.presets import Phase
from rusr_core.prior import Prior
from rusr_core.restore import RestorationError, restore

ONE = presets.get("default").shortened(1)
HALF = Downsample(2, "bilinear")


@pytest.fixture
def no_step(monkeypatch):
    """No search may have begun."""
    monkeypatch.setattr(sys.modules["rusr_core.restore"], "Objective", None)


@pytest.mark.parametrize(
    "y, message",
    [
        (torch.full((1, 3, 16, 16), 2.0), r"lies in \[2, 2\], with a mean of 2 in image 0: expected .* in \[0, 1\]"),
        (torch.full((2, 3, 16, 16), 127.0), r"lies in \[127, 127\].*\[0, 1\]"),
        (-torch.ones(1, 3, 16, 16), r"lies in \[-1, -1\], with a mean of -1"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), r"\(1, 3, 16, 16\), torch.uint8: expected floats"),
        (torch.zeros(3, 16, 16), r"\(3, 16, 16\), torch.float32: expected floats \[N, 3, h, w\]"),
        (torch.zeros(0, 3, 16, 16), r"\(0, 3, 16, 16\)"),
        ("a.png", "y is str: expected floats"),
        (torch.zeros(1, 3, 20, 20), r"f\(G\(w\)\) is \(1, 3, 16, 16\) but y is \(1, 3, 20, 20\)"),
        (torch.full((1, 3, 16, 16), float("nan")), "y holds 768 values of NaN or infinity: expected finite"),
    ],
)
def test_what_is_no_input(y, message, prior, no_step):
    with pytest.raises(RestorationError, match=message):
        restore(prior, y, HALF, preset=ONE)


def test_noise_may_leave_the_range(prior, truth):
    """As that of a sensor does; the mean of an image does not."""
    y = truth + 0.2 * torch.randn(truth.shape, generator=seeded())
    assert y.min() < 0 and y.max() > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restore(prior, y, Compose(), preset=ONE)
    with pytest.warns(RusrWarning, match=r"lies in \[-1, .*scaled to \[-1, 1\]"):
        restore(prior, torch.where(torch.arange(32) < 8, -1.0, 1.0).expand(1, 3, 32, 32), Compose(), preset=ONE)


@pytest.mark.parametrize("seed", [-1, 1.5, True, None, seeded()])
def test_a_seed_is_a_whole_number(seed, prior, truth, no_step):
    with pytest.raises(RestorationError, match="seed is .*: expected a whole number from 0"):
        restore(prior, truth, Compose(), preset=ONE, seed=seed)


class Rounds:
    def forward(self, x, generator=None):
        return (x * 255).round() / 255


class Codec:
    def forward(self, x, generator=None):
        return quantize(x)


class Root:
    """Its gradient is infinite at 0, which a probe reaches."""

    def forward(self, x, generator=None):
        return (x - x).abs().sqrt() + x


@pytest.mark.parametrize(
    "f, message",
    [
        (Rounds(), "f = .*Rounds.* is zero everywhere"),
        (Codec(), "f = .*Codec.* no gradient"),
        (Root(), "f = .*Root.* NaN"),
    ],
    ids=["rounding", "a true codec", "infinite"],
)
def test_f_without_a_gradient(f, message, prior, truth, no_step):
    with pytest.raises(RestorationError, match=message):
        restore(prior, truth, f, preset=ONE)


@pytest.mark.parametrize("f", [HALF, JPEG(5), PoissonBernoulliNoise(3, 0.8)], ids=str)
def test_our_surrogates_have_gradients(f, prior, truth):
    restore(prior, f.degrade(truth[:1], seeded()), f, preset=presets.get("cvpr2023").shortened(1))


def test_an_image_too_small_for_the_networks(prior, truth):
    y = HALF.degrade(truth)
    with pytest.warns(RusrWarning, match="y of 16x16 px is too small for lpips and identity: the search goes without"):
        result = restore(prior, y, HALF, preset=ONE)
    assert result.terms == {"l1": 0.1} and set(result.history) == {"l1", "total"}
    assert result.info["warnings"] == ["y of 16x16 px is too small for lpips and identity: the search goes without"]


def test_networks_that_the_prior_lacks(prior, truth):
    faceless = dataclasses.replace(prior, identity=None)
    with pytest.warns(RusrWarning, match="'default@1' asks for the term 'identity', but the prior 'random' has no net"):
        result = restore(faceless, truth, Compose(), preset=ONE)
    assert set(result.terms) == {"lpips", "l1"}
    with pytest.warns(RusrWarning, match="asks for the term 'lpips'"):
        bare = restore(Prior.of(prior.generator), truth, Compose(), preset=ONE)
    assert set(bare.terms) == {"l1"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a preset without identity does not miss it
        restore(faceless, truth, Compose(), preset=presets.get("cvpr2023").shortened(1))


def test_no_term_is_left(prior, truth, no_step):
    only = dataclasses.replace(ONE, l1_weight=0.0)
    with pytest.raises(RestorationError, match="no term of the loss can act on y of 16x16 px"):
        restore(prior, HALF.degrade(truth), HALF, preset=only)
    with pytest.raises(RestorationError, match="no term of the loss"):
        restore(prior, truth, Compose(), loss=RestorationLoss(()))
    with pytest.raises(RestorationError, match="loss is float: expected a RestorationLoss or a function of a Guess"):
        restore(prior, truth, Compose(), loss=0.1)


@pytest.mark.slow
def test_the_truth_is_not_used_unless_an_oracle_is_asked_for(prior, truth):
    f = Compose()
    blind = presets.get("default").shortened(3)
    oracle = dataclasses.replace(blind, identity_reference="clean")
    y = JPEG(20).degrade(truth)
    without = restore(prior, y, f, preset=blind)
    assert not without.oracle
    with pytest.warns(RusrWarning, match="clean= is not looked at: no term of preset 'default@3' is an oracle"):
        with_it = restore(prior, y, f, preset=blind, clean=truth)
    assert torch.equal(with_it.image, without.image) and not with_it.oracle
    result = restore(prior, y, f, preset=oracle, clean=truth)
    assert result.oracle and not torch.equal(result.image, without.image)


def test_an_oracle_without_the_truth(prior, truth, no_step):
    oracle = dataclasses.replace(ONE, identity_reference="clean")
    with pytest.raises(RestorationError, match="clean is .*expected an image for each y"):
        restore(prior, truth, Compose(), preset=oracle, clean=truth[..., :-1])
    with pytest.raises(RestorationError, match="oracle.*clean="):
        restore(prior, truth, Compose(), preset=oracle)


def test_an_oracle_sees_the_guess_of_a_tiny_input(prior, truth):
    oracle = dataclasses.replace(ONE, identity_reference="clean")
    with pytest.warns(RusrWarning, match="too small for lpips: "):
        result = restore(prior, HALF.degrade(truth), HALF, preset=oracle, clean=truth)
    assert set(result.terms) == {"l1", "identity"}


@pytest.mark.parametrize("first", ["W", "W+", "W++"])
@pytest.mark.parametrize("given", ["W", "W+", "W++"])
def test_a_start_may_lie_in_any_space_that_can_be_widened(first, given, prior, truth):
    G, spaces = prior.generator, ["W", "W+", "W++"]
    w = sample_w(G, 4, generator=seeded(5))  # the truth's
    start = {"W": w, "W+": to_w_plus(w, G), "W++": to_w_plus_plus(w, G)}[given]
    still = dataclasses.replace(presets.get("cvpr2023"), phases=(Phase(first, 1e-9, 1),))
    if spaces.index(given) <= spaces.index(first):
        result = restore(prior, truth, Compose(), preset=still, start=start)
        torch.testing.assert_close(result.image, truth, atol=1e-6, rtol=0)
        return
    with pytest.raises(RestorationError, match=r"start is W.* expected W \[4, 20\].*the first phase searches"):
        restore(prior, truth, Compose(), preset=still, start=start)


@pytest.mark.parametrize(
    "start, message",
    [
        (torch.zeros(4, 3), r"start is W \(4, 3\): expected W \[4, 20\], since the first phase searches W"),
        (torch.zeros(3, 20), r"start is W \(3, 20\): expected W \[4, 20\]"),
        (torch.zeros(20), r"start is \(20,\): expected W"),
        ("mean", "start is str: expected W"),
        (torch.zeros(4, 20, dtype=torch.long), "start is of torch.int64: expected floats"),
        (torch.zeros(4, 20) * 1j, "start is of torch.complex64: expected floats"),
        (torch.full((4, 20), float("inf")), "start holds NaN or infinity"),
    ],
)
def test_what_is_no_start(start, message, prior, truth, no_step):
    with pytest.raises(RestorationError, match=message):
        restore(prior, truth, Compose(), preset=ONE, start=start)

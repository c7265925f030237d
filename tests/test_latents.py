"""Latent spaces: shapes, seeding, the radius, and the way up only."""

import pytest
import torch
from conftest import random_generator, seeded
from stylegan3_examples import random_stylegan3

from rusr_core.errors import RusrError
from rusr_core.generator import LatentError
from rusr_core.latents import mean_w, sample_w, space, to_w_plus, to_w_plus_plus
from rusr_core.randomness import RandomnessError


def test_shapes_and_names(small_generator):
    G = small_generator
    w = mean_w(G, 3)
    assert (w.shape, space(w)) == ((3, 20), "W")
    wp = to_w_plus(w, G)
    assert (wp.shape, space(wp)) == ((3, G.num_ws, 20), "W+")
    wpp = to_w_plus_plus(wp, G)
    assert (wpp.shape, space(wpp)) == ((3, 1, sum(G.rows), 20), "W++")
    assert torch.equal(to_w_plus(wp, G), wp) and to_w_plus_plus(wpp, G) is wpp
    assert torch.equal(to_w_plus_plus(w, G), wpp)


def test_each_filter_gets_its_layers_vector(small_generator):
    G = small_generator
    wp = torch.randn(1, G.num_ws, 20, generator=seeded())
    parts = to_w_plus_plus(wp, G).squeeze(1).split(G.rows, dim=1)
    for k, part in enumerate(parts):
        assert part.shape[1] == G.rows[k]
        assert torch.equal(part, wp[:, k : k + 1].expand_as(part))


def test_no_way_down(small_generator):
    wpp = to_w_plus_plus(mean_w(small_generator), small_generator)
    with pytest.raises(LatentError, match=r"W\+\+ \(1, 1, .*cannot be turned into W\+, only into W\+\+"):
        to_w_plus(wpp, small_generator)


def test_mean_is_a_copy(small_generator):
    mean_w(small_generator).add_(1)
    assert small_generator.mapping.w_avg.abs().max() < 1


def test_sampling_is_seeded_and_truncated(small_generator):
    G = small_generator
    w = sample_w(G, 4, generator=seeded(1))
    assert torch.equal(w, sample_w(G, 4, generator=seeded(1)))
    half = sample_w(G, 4, psi=0.5, generator=seeded(1))
    torch.testing.assert_close(half - G.mapping.w_avg, 0.5 * (w - G.mapping.w_avg))


def test_conditional_sampling():
    G = random_generator(c_dim=4)
    assert sample_w(G, 5, generator=seeded()).shape == (5, 20)


@pytest.mark.parametrize("kind", ["stylegan2", "t", "xl"])
def test_one_class_of_a_conditional_generator(kind):
    """The mean and the size of its W, and its samples; None goes back to all of them."""
    G = random_generator(c_dim=4) if kind == "stylegan2" else random_stylegan3(kind=kind, c_dim=4)
    mean, std = G.w_mean.clone(), G.w_std
    assert mean.shape == (20,)
    z, c = torch.randn(2000, 16, generator=seeded(3)), torch.eye(4)[[2]].expand(2000, -1)
    w = G.mapping.to_w(z, c)
    if kind == "xl":  # whose files keep a mean for each class
        assert torch.equal(mean, G.mapping.w_avg.mean(0))
        G.mapping.w_avg[2] = w.mean(0)
    G.choose(2)
    torch.testing.assert_close(G.w_mean, w.mean(0), atol=0.1, rtol=0)
    spread = (w - w.mean(0)).square().sum(1).mean().sqrt().item()
    assert G.w_std == pytest.approx(spread, rel=0.05) and G.w_std != std
    assert torch.equal(mean_w(G), G.w_mean[None])
    expected = G.mapping.to_w(torch.randn(3, 16, generator=seeded()), c[:3])
    torch.testing.assert_close(sample_w(G, 3, generator=seeded()), expected)
    G.choose(None)
    assert G.w_std == pytest.approx(std, rel=0.2) and G.label is None
    assert kind == "xl" or torch.equal(G.w_mean, mean)


def test_classes_that_are_not_there(small_generator):
    with pytest.raises(RusrError, match="class 1: this generator has no classes, expected none"):
        small_generator.choose(1)
    for label in (4, -1, True, "cat"):
        with pytest.raises(RusrError, match=f"class {label!r}: expected a whole number from 0 to 3"):
            random_generator(c_dim=4).choose(label)


def test_radius_is_the_rms_distance(small_generator):
    G = small_generator
    w = sample_w(G, 1500, generator=seeded(7))
    first = sample_w(G, 1000, generator=seeded(7))  # measure_std draws in blocks of 1,000 from one seed
    assert torch.equal(first, w[:1000])
    expected = (w - G.mapping.w_avg).square().sum(1).mean().sqrt().item()
    assert G.mapping.measure_std(1500, seed=7) == pytest.approx(expected, rel=1e-5)
    assert G.mapping.measure_std(1500, seed=7) == G.mapping.measure_std(1500, seed=7)


def test_nothing_is_drawn_without_a_generator(small_generator):
    G = small_generator
    for call in (lambda: sample_w(G, 2), lambda: G.image(mean_w(G), noise_mode="random")):
        with pytest.raises(RandomnessError, match="need a generator, got None; expected torch.Generator"):
            call()
    assert G.image(mean_w(G)).shape == (1, 3, 32, 32)  # its stored noise is not drawn

"""Searches with StyleGAN3 and StyleGAN-XL as priors: the presets run as they are, and one class of several."""

import dataclasses
import itertools

import pytest
import torch
from conftest import random_generator, slow_if, small_portrait_net
from stylegan3_examples import random_stylegan3
from stylegan3_writers import write_stylegan3

from rusr_core import presets, restore
from rusr_core.checkpoints import save_generator
from rusr_core.degradations import Downsample
from rusr_core.errors import RusrError, RusrWarning
from rusr_core.latents import sample_w
from rusr_core.prior import Prior
from rusr_core.priors import load_prior


@pytest.mark.parametrize(
    "kind, preset",
    [slow_if(one == ("xl", "default"), *one) for one in itertools.product(("t", "r", "xl"), ("default", "cvpr2023"))],
)
def test_both_presets_come_closer_in_every_phase(kind, preset):
    """The network's own image, reduced four times: the loss ends below its start in W, W+ and W++.

    At 128 px, so that what is left is large enough for every term of the loss.
    """
    G, net = random_stylegan3(kind=kind, resolution=128, channels=8), small_portrait_net(8, 8)
    prior = Prior.of(G, net, net)
    assert prior.lr_scale == pytest.approx(G.mapping.measure_std() / 12)
    truth = G.image(sample_w(G, 1, 0.7, generator=torch.Generator().manual_seed(3))).clamp(0, 1)
    f = Downsample(4)
    y = f.degrade(truth, torch.Generator().manual_seed(0))
    result = restore(prior, y, f, preset=presets.get(preset).shortened(4))
    assert [phase.space for phase in result.phases] == ["W", "W+", "W++"]
    for phase in result.phases:
        losses = phase.history["total"][:, 0]
        assert losses[-1] < losses[0], (phase.space, losses)
        assert set(phase.history) == {"lpips", "l1", "total"} | ({"identity"} if preset == "default" else set())
    assert result.image.isfinite().all() and result.diverged == [None]
    expected = "sauer2022styleganxl" if kind == "xl" else "karras2021alias"
    assert expected in result.info["references"]
    assert result.latents.shape == (1, 1, sum(G.rows), 20)


@pytest.mark.parametrize("kind", ["stylegan2", "t", "xl"])
def test_a_class_of_a_file(kind, tmp_path, cache):
    G = random_generator(c_dim=3) if kind == "stylegan2" else random_stylegan3(kind=kind, c_dim=3)
    save_generator(G, tmp_path / "g.safetensors", {"w_std": "2.5"})
    net = small_portrait_net(8, 8)
    with pytest.warns(RusrWarning, match="g has 3 classes: a search begins at the mean of all of them; label= or"):
        everything = load_prior(tmp_path / "g.safetensors", perceptual=net)
    assert everything.w_std == 2.5 and everything.name == "g"
    G.choose(1)
    for _ in range(2):  # measured, then read again
        prior = load_prior(tmp_path / "g.safetensors", perceptual=net, label=1)
        assert prior.name == "g, class 1" and prior.w_std == pytest.approx(G.w_std)
        assert torch.equal(prior.generator.w_mean, G.w_mean)
        assert prior.lr_scale == prior.w_std / 12
    assert (tmp_path / "g.safetensors.class1.w_std.json").is_file()
    with pytest.raises(RusrError, match="class 3: expected a whole number from 0 to 2"):
        load_prior(tmp_path / "g.safetensors", perceptual=net, label=3)


def test_networks_without_classes_take_none(tmp_path, cache):
    write_stylegan3(random_stylegan3(layer_features=20), tmp_path / "n.pkl")
    with pytest.raises(RusrError, match="class 0: this generator has no classes, expected none"):
        load_prior(tmp_path / "n.pkl", perceptual=small_portrait_net(8, 8), label=0)
    prior = load_prior(tmp_path / "n.pkl", perceptual=small_portrait_net(8, 8))
    assert dataclasses.replace(prior, name="x").generator.resolution == 32

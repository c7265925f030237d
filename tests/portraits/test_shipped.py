"""What data/portraits ships: files as listed, the renderer's test portraits, a generator and nets that work."""

import json

import pytest
import torch

from rusr_core.checkpoints import load_denoiser, load_generator, load_portrait_net
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.latents import sample_w
from rusr_core.metrics import psnr
from rusr_core.networks.digests import weights_digest
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.priors import portraits
from tools.portraits import DATA, check, make_test
from tools.portraits.renderer import render, sample_z
from tools.portraits.sample_statistics import precision_recall
from tools.portraits.training import orders, shares
from tools.portraits.training.denoising import LEVELS, accuracy
from tools.portraits.training.render_training_set import factors, normalized
from tools.portraits.training.verification import held_out_faces, verify


@pytest.fixture(scope="module")
def nets() -> list[PortraitNet]:
    """Nets A and B as shipped."""
    return [load_portrait_net(DATA / f"features_{name}.safetensors") for name in "ab"]


def test_shipped_files_are_as_listed():
    assert check.problems() == []


def test_test_portraits_come_from_the_renderer():
    names = [name for name, _, _ in make_test.rows()]
    assert len(names) == 100 and sum(kind == "yes" for _, kind, _ in make_test.rows()) == 10
    expected = render(normalized(sample_z(make_test.SEED, make_test.IN_RANGE))[:4])
    for name, x in zip(names, expected, strict=False):
        shipped = load_image(DATA / "test" / name)
        assert (shipped - x).abs().max() < 1.5 / 255


def test_held_out_seeds_are_not_training_seeds():
    train = factors(50, 2).flatten(0, 1)
    test = normalized(sample_z(make_test.SEED, make_test.IN_RANGE))
    assert torch.cdist(train, test).min() > 1


@torch.no_grad()
def test_the_shipped_generator_makes_the_portraits_of_its_factors(nets):
    """It was taught to map factors to the portrait that the renderer paints for them: net B knows whose it is."""
    G, z = load_generator(DATA / "generator.safetensors"), normalized(sample_z(77, 12))
    made, painted = G.image(G.mapping.to_w(z)).clamp(0, 1), render(z)
    alike = nets[1].embed(made) @ nets[1].embed(painted).t()
    assert (alike.argmax(1) == torch.arange(12)).all()
    assert alike.diagonal().mean() > 0.6 and psnr(made, painted).mean() > 22


@torch.no_grad()
@pytest.mark.slow
def test_a_portrait_is_a_function_of_its_latent(nets):
    """Noise is hair, pores and weave. The first generator kept the face in its maps: 24 dB and 0.5 without them."""
    G, g = load_generator(DATA / "generator.safetensors"), torch.Generator().manual_seed(3)
    w = sample_w(G, 24, generator=g)
    stored, bare = (G.image(w, noise_mode=mode).clamp(0, 1) for mode in ("const", "none"))
    fresh = G.image(w, noise_mode="random", generator=g).clamp(0, 1)
    alike = [(nets[1].embed(stored) * nets[1].embed(x)).sum(1) for x in (bare, fresh)]
    assert psnr(bare, stored).mean() > 30 and alike[0].mean() > 0.95
    assert alike[1].mean() > 0.9 and not torch.equal(stored, fresh)


@pytest.mark.slow
@torch.no_grad()
def test_the_nets_see_blur_and_fine_dirt(nets):
    """A shift that nobody sees, a blur, a fine mesh, a face that is blurred away: what once fooled our judges."""
    x = render(normalized(sample_z(78, 24)))
    cases = orders.joined([orders.named_cases(x), orders.equal_l1(x, 5)])
    for net in nets:
        near, far = net.distance(cases.reference, cases.near), net.distance(cases.reference, cases.far)
        rows = {kind: [k == kind for k in cases.kinds] for kind in dict.fromkeys(cases.kinds)}
        right = {kind: (far > near)[row].float().mean().item() for kind, row in rows.items()}
        assert all(far[row].mean() > 1.3 * near[row].mean() for row in rows.values())
        assert min(right.values()) > 0.95 and len(right) == 4, right


@torch.no_grad()
def test_no_level_of_a_net_outweighs_the_others(nets):
    """A search by a distance that had 91 % in one level lost the colours: 23 dB of JPEG at M where these reach 28."""
    x = torch.cat([load_image(DATA / "test" / f"{i:03d}.png") for i in range(16)])
    for net in nets:
        levels = shares.of_levels(net, x)
        assert levels.min() > 0.1 and levels.max() < 0.5, levels
        assert shares.unevenness(shares.even(net, x), net.features(x)) < 0.3


def test_the_mean_latent_is_the_mean():
    G = load_generator(DATA / "generator.safetensors")
    w = sample_w(G, 2_000, generator=torch.Generator().manual_seed(0))
    assert ((w.mean(0) - G.mapping.w_avg) / w.std(0)).abs().max() < 0.1  # 4.5 standard errors of 2,000


def test_the_shipped_nets_know_people_and_are_two(nets):
    faces = held_out_faces(8, 2)
    assert all(verify(net, faces) > 0.9 for net in nets)
    assert nets[0].config.channels != nets[1].config.channels


def test_precision_and_recall_know_the_same_and_another_distribution():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(800, 4, generator=g), torch.randn(800, 4, generator=g)
    assert precision_recall(a, b)[0] > 0.9 and precision_recall(a, b + 30) == (0, 0)


@pytest.mark.slow
def test_the_shipped_denoiser_is_the_one_that_was_measured():
    """And knows more of portraits than a Gaussian does, at every noise level."""
    measured = json.loads(data_path("results/denoiser/measured.json").read_text(encoding="utf-8"))
    denoiser = load_denoiser(DATA / "denoiser.safetensors")
    assert weights_digest(denoiser) == measured["weights"]
    rows = [measured["levels"][f"{level:g}"] for level in LEVELS]
    assert all(row["gain"] > 0 for row in rows)
    found = accuracy(denoiser, 2 * portraits(range(8)) - 1)  # of Portraits-X, which no training saw either
    assert found == pytest.approx([row["denoiser"] for row in rows], abs=1.5)

"""The generator's training: repeatable, resumable, and noise that is noise."""

from pathlib import Path

import pytest
import torch
from conftest import random_generator

from rusr_core.checkpoints import load_generator, load_portrait_net
from rusr_core.generator import Generator
from tools.portraits import DATA
from tools.portraits.training import adversary, train_generator
from tools.portraits.training.distillation import cell_loss
from tools.portraits.training.path_length import PathLength
from tools.portraits.training.plan import Plan
from tools.portraits.training.trainer import FAINT, Trainer, mix_styles
from tools.portraits.training.training_set import TrainingSet, World

NET_A, CPU, WORLD = DATA / "features_a.safetensors", torch.device("cpu"), World()
TINY = (16, 16, 16, 12, 8, 8)


def noise_maps(G: Generator) -> list[torch.Tensor]:
    """The stored noise maps of all layers."""
    return [b.clone() for name, b in G.named_buffers() if name.endswith("noise_const")]


def run(folder: Path, stop: int | None = None) -> tuple[list[float], Trainer]:
    """Losses of two steps in each stage and the trainer; with `stop`, saved and restored after that many steps."""
    plan = Plan(TINY, images=(8, 8, 8, 8), batch=4, w_dim=16)
    data, net = TrainingSet(folder, 4, 0, WORLD, CPU), load_portrait_net(NET_A)
    trainer, losses = Trainer(plan, CPU, net.config.channels), []
    while trainer.seen < sum(plan.images):
        if stop == len(losses):
            state, trainer = trainer.state(), Trainer(plan, CPU, net.config.channels)
            trainer.restore(state)
        z, x, flat = data.batch(trainer.seen)
        adversarial = plan.stage(trainer.seen) == 3
        loss = trainer.sharpen(z, x, net, WORLD) if adversarial else trainer.distil(z, flat, net, WORLD)
        losses.append(loss.item())
    return losses, trainer


@pytest.mark.slow
def test_training_repeats_itself_and_resumes(small_set, monkeypatch):
    monkeypatch.setattr(PathLength, "EVERY", 1)  # also in the few adversarial steps
    first, trainer = run(small_set)
    assert len(first) == 8 and first == run(small_set)[0]
    assert first == run(small_set, stop=5)[0]
    fresh = Trainer(Plan(TINY, images=(8, 8, 8, 8), batch=4, w_dim=16), CPU, (8, 8))
    for maps in (noise_maps(trainer.G), noise_maps(trainer.G_ema)):  # one draw, which nothing trains
        assert all(torch.equal(a, b) for a, b in zip(maps, noise_maps(fresh.G), strict=True))


def test_distillation_does_not_touch_the_noise(small_set):
    plan, net = Plan(TINY, images=(0, 0, 8, 0), batch=4, w_dim=16), load_portrait_net(NET_A)
    trainer = Trainer(plan, CPU, net.config.channels)
    strengths = {n: p.item() for n, p in trainer.G.named_parameters() if n.endswith("noise_strength")}
    assert sorted({round(value, 6) for value in strengths.values()}) == [0.0, FAINT]  # coarse layers and fine ones
    z, _, flat = TrainingSet(small_set, 4, 0, WORLD, CPU).batch(0)
    trainer.distil(z, flat, net, WORLD)
    assert strengths == {n: p.item() for n, p in trainer.G.named_parameters() if n.endswith("noise_strength")}


@pytest.mark.slow
def test_noise_is_fresh_in_every_adversarial_step(small_set, monkeypatch):
    plan, net = Plan(TINY, images=(0, 0, 0, 16), batch=4, w_dim=16, mixing=0.0), load_portrait_net(NET_A)
    trainer, seen = Trainer(plan, CPU, net.config.channels), []
    judge = trainer.adversary.judge
    monkeypatch.setattr(trainer.adversary, "judge", lambda fake, *rest: (seen.append(fake), judge(fake, *rest)))
    monkeypatch.setattr(trainer, "_step", lambda world: setattr(trainer, "seen", trainer.seen + 4))  # weights stay
    z, x, _ = TrainingSet(small_set, 4, 0, WORLD, CPU).batch(0)
    for _ in range(2):
        trainer.sharpen(z[:1].expand(4, -1), x, net, WORLD)
    assert (seen[0] - seen[1]).abs().mean() > 1e-3  # in another step
    assert (seen[0][0] - seen[0][1]).abs().mean() > 1e-3  # and for another picture of the same latent


def test_mixed_styles_come_from_one_latent_and_then_from_the_other():
    w, other = torch.zeros(40, 5), torch.ones(40, 5)
    mixed = mix_styles(w, other, 12, torch.Generator().manual_seed(0))
    assert mixed.shape == (40, 12, 5) and (mixed.diff(dim=1) >= 0).all()
    crossovers = set((mixed[..., 0] == 0).sum(1).tolist())
    assert crossovers <= set(range(1, 12)) and len(crossovers) > 6


def test_cells_compare_the_amount_of_a_texture_and_not_its_course():
    g = torch.Generator().manual_seed(0)
    threads, others, more = torch.randn(2, 4, 64, 64, generator=g), torch.randn(2, 4, 64, 64, generator=g), 2.0
    texture, redrawn, stronger = ([x.relu()] for x in (threads, others, more * threads))
    assert cell_loss(redrawn, texture) < 0.5 * cell_loss(stronger, texture)
    assert cell_loss(texture, texture) == 0


def test_path_lengths_are_compared_with_their_mean():
    w = torch.tensor([[1.0], [3.0]], requires_grad=True)
    y = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)) / 2  # over sqrt(H W)
    lengths = (w[:, 0] * y.sum((1, 2, 3))).abs()  # the slope of w^2 / 2 is w, in every pixel
    expected = (lengths / lengths.mean().detach() - 1).square().mean()
    lengths_of = PathLength()
    square = lambda w: (w.square() / 2)[:, :, None, None].expand(2, 3, 2, 2)  # noqa: E731
    penalty = lengths_of.penalty(w, square, torch.Generator().manual_seed(0))
    assert torch.allclose(penalty, expected) and penalty > 0.05
    assert torch.allclose(lengths_of.mean, lengths.mean())
    before = penalty.item()
    (slope,) = torch.autograd.grad(penalty, w)
    lengths_of.mean = None
    after = lengths_of.penalty((w - 0.05 * slope), square, torch.Generator().manual_seed(0))
    assert after < before


def test_path_length_adds_a_share_of_the_ordinary_gradient():
    g = torch.Generator().manual_seed(0)
    G = random_generator(resolution=16, channels=(8, 8, 8), w_dim=6).requires_grad_(True)
    weights, paths = list(G.synthesis.parameters()), PathLength()
    w = torch.randn(4, 6, generator=g, requires_grad=True)
    G.synthesis(w, noise_mode="none").square().mean().backward()
    before = [None if p.grad is None else p.grad.clone() for p in weights]
    paths.add_gradients(paths.penalty(w, lambda w: G.synthesis(w, noise_mode="none"), g), weights)
    pairs = [(b, p.grad - b) for p, b in zip(weights, before, strict=True) if b is not None]
    pairs = [(b, added) for b, added in pairs if added.any()]  # colours' biases, say, do not change lengths
    ordinary, added = (torch.stack([g.norm() for g in part]).norm() for part in zip(*pairs, strict=True))
    assert len(pairs) > 10 and added / ordinary == pytest.approx(PathLength.SHARE, rel=1e-3)


def test_what_a_discriminator_is_shown_is_standardised_by_renders():
    g = torch.Generator().manual_seed(0)
    real = 5 + 3 * torch.randn(8, 4, 6, 6, generator=g)
    own, other = adversary.standardised(real, real), adversary.standardised(real + 3, real)
    assert own.mean((0, 2, 3)).abs().max() < 1e-4 and (own.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert (other - own - 3 / real.std((0, 2, 3), keepdim=True)).abs().max() < 1e-2


@pytest.mark.slow
def test_a_finished_prior_is_trained_further_as_it_is(small_set, tmp_path):
    plan, net, shipped = Plan(images=(0, 0, 8, 0), batch=4), load_portrait_net(NET_A), DATA / "generator.safetensors"
    trainer = Trainer(plan, CPU, net.config.channels, shipped)
    z, _, flat = TrainingSet(small_set, 4, 0, WORLD, CPU).batch(0)
    with torch.no_grad():  # before the first step it makes the shipped file's pictures
        expected = load_generator(shipped).synthesis(trainer.G.mapping.to_w(z))
        assert (trainer.output(z, 128, noise="const") - expected).abs().mean() < 0.02  # bfloat16 on some machines
    before = [p.clone() for p in trainer.G.mapping.parameters()]
    trainer.distil(z, flat, net, WORLD)
    assert all(not torch.equal(a, b) for a, b in zip(before, trainer.G.mapping.parameters(), strict=True))
    train_generator.finish(trainer, tmp_path)
    made = load_generator(tmp_path / "generator.safetensors")
    with torch.no_grad():
        z = torch.randn(2_000, 80, generator=torch.Generator().manual_seed(0))
        w = made.mapping.to_w(z)
        assert ((w.mean(0) - made.mapping.w_avg) / w.std(0)).abs().max() < 0.1  # 4.5 standard errors of 2,000


def test_noise_maps_that_were_trained_are_forgotten_when_asked():
    shipped = DATA / "generator.safetensors"
    trainer = Trainer(Plan(seed=3), CPU, (8, 8), shipped, forget_noise=True)
    for old, new in zip(noise_maps(load_generator(shipped)), noise_maps(trainer.G), strict=True):
        assert not torch.equal(old, new)
        assert new.numel() < 1_000 or (abs(new.mean()) < 0.1 and abs(new.std() - 1) < 0.1)

"""The embedded prior's data: renderer, test portraits, shipped weights, and training that repeats itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rusr_core.checkpoints import load_generator
from rusr_core.images import load_image
from rusr_core.latents import sample_w
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits import DATA, check, make_test
from tools.portraits.renderer import ID_DIM, NUISANCE, Z_DIM, beyond, render, sample_z
from tools.portraits.renderer.factors import INDEX, NAMES
from tools.portraits.sample_statistics import precision_recall
from tools.portraits.training import adversary, path_length, train_features, train_generator, triplets
from tools.portraits.training.render_training_set import factors, normalized

NET_A = DATA / "features_a.safetensors"


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    return render(sample_z(3, 10))


def test_rendering_repeats_itself_and_depends_on_the_seed(portraits):
    assert torch.equal(portraits, render(sample_z(3, 10)))
    assert (portraits - render(sample_z(4, 10))).abs().mean() > 0.05


def test_a_portrait_does_not_depend_on_its_batch(portraits):
    z = sample_z(3, 10)
    for i in (0, 9):
        assert torch.allclose(render(z[i : i + 1]), portraits[i : i + 1], atol=1e-5)


def test_portraits_are_finite_and_in_range_even_far_out(portraits):
    wild = render(4 * sample_z(5, 8))
    for x in (portraits, wild):
        assert x.shape[1:] == (3, 128, 128) and torch.isfinite(x).all()
        assert x.min() >= 0 and x.max() <= 1
    assert portraits.std() > 0.1


def test_every_factor_changes_some_portrait():
    z = sample_z(6, 8)
    for name in ("glasses", "hat", "scarf", "beard"):  # some of what the other factors shape
        z[:, INDEX[name]] += 1
    z[:4, INDEX["gender"]] = -1.5
    base = render(z, 64)
    for i in range(Z_DIM):
        moved = z.clone()
        moved[:, i] *= -1
        assert (render(moved, 64) - base).abs().max() > 0.01, f"{NAMES[i]} does nothing"


def test_other_sizes_show_the_same_portrait(portraits):
    small = torch.nn.functional.avg_pool2d(portraits, 2)
    assert (render(sample_z(3, 10), 64) - small).abs().mean() < 0.03


def test_wrong_factors_are_refused():
    with pytest.raises(ValueError, match=f"must be .N, {Z_DIM}."):
        render(torch.zeros(2, Z_DIM - 1))


def test_beyond_the_range_differs_from_within():
    z = normalized(sample_z(8, 6))
    assert ((render(z, extra=beyond(8, 6)) - render(z)).abs().amax((1, 2, 3)) > 0.1).all()


def test_training_factors_keep_people_and_do_not_change_with_more_views():
    z = factors(5, 3)
    assert z.shape == (5, 3, Z_DIM) and torch.allclose(z.square().mean(2), torch.ones(5, 3), atol=1e-5)
    assert torch.equal(factors(5, 2), z[:, :2])
    directions = torch.nn.functional.normalize(z[..., :ID_DIM], dim=2)
    assert (directions[:, 0] * directions[:, 1]).sum(1).min() > 0.999
    assert len(NUISANCE) == Z_DIM - ID_DIM


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


def test_the_shipped_generator_makes_pictures_of_the_portraits_kind():
    G = load_generator(DATA / "generator.safetensors")
    w = sample_w(G, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        x = G.image(w)
    assert x.shape == (8, 3, 128, 128) and torch.isfinite(x).all()
    assert 0.25 < x.mean() < 0.65 and x.std() > 0.1
    assert (G.mapping.w_avg - w.mean(0)).norm() < (w - G.mapping.w_avg).norm(dim=1).mean()


def test_the_shipped_nets_know_people_and_are_two():
    from tools.portraits.training.verification import held_out_faces, verify

    faces, nets = held_out_faces(8, 2), [PortraitNet.load(DATA / f"features_{n}.safetensors") for n in "ab"]
    assert all(verify(net, faces) > 0.9 for net in nets)
    assert nets[0].config.channels != nets[1].config.channels


def test_triplets_put_the_further_picture_further():
    z = normalized(sample_z(9, 12))
    reference, (near, far) = render(z), triplets.triplets(z, 1)
    net = PortraitNet.load(NET_A)
    assert (net.distance(reference, far) > net.distance(reference, near)).float().mean() > 0.7


def test_channel_weights_find_the_channel_that_tells():
    g = torch.Generator().manual_seed(0)
    nearer, further = torch.rand(200, 5, generator=g), torch.rand(200, 5, generator=g)
    nearer[:, 2], further[:, 2] = 0.2, 0.6
    weight = triplets.fit(nearer, further)
    assert weight.min() >= 0 and weight.argmax() == 2


def test_precision_and_recall():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(800, 4, generator=g), torch.randn(800, 4, generator=g)
    assert precision_recall(a, b)[0] > 0.9 and precision_recall(a, b + 30) == (0, 0)


@pytest.fixture(scope="module")
def small_set(tmp_path_factory) -> Path:
    """A training set of 56 people, two views each."""
    folder = tmp_path_factory.mktemp("set")
    pixels = (render(factors(56, 2).flatten(0, 1)) * 255 + 0.5).to(torch.uint8)
    np.save(folder / "images.npy", pixels.unflatten(0, (56, 2)).numpy())
    return folder


def test_feature_training_repeats_itself(small_set):
    images = np.load(small_set / "images.npy")
    plan = train_features.Plan(train_features.PortraitNetConfig((4, 8, 8, 8, 8)), seed=1, images=64, batch=16)
    runs = []
    for _ in range(2):
        trainer = train_features.Trainer(plan, len(images), torch.device("cpu"))
        runs.append([trainer.step(images).item() for _ in range(3)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 3


def generator_losses(folder: Path, stop: int | None = None) -> list[float]:
    """Losses of two steps in each stage; with `stop`, saved and restored after that many steps."""
    plan = train_generator.Plan((16, 16, 16, 12, 8, 8), images=(8, 8, 8, 8), batch=4, w_dim=16)
    world, cpu = train_generator.World(), torch.device("cpu")
    data, net = train_generator.TrainingSet(folder, 4, 0, world, cpu), PortraitNet.load(NET_A)
    trainer, losses = train_generator.Trainer(plan, cpu, net.config.channels), []
    while trainer.seen < sum(plan.images):
        if stop == len(losses):
            state, trainer = trainer.state(), train_generator.Trainer(plan, cpu, net.config.channels)
            trainer.restore(state)
        z, x = data.batch(trainer.seen)
        if plan.stage(trainer.seen) < 3:
            losses.append(trainer.distil(z, x, net, world).item())
        else:
            losses.append(trainer.adversary.step(trainer, z, x, net, world).item())
    return losses


def test_generator_training_repeats_itself_and_resumes(small_set, monkeypatch):
    monkeypatch.setattr(path_length.PathLength, "EVERY", 1)  # also in the few adversarial steps
    first = generator_losses(small_set)
    assert len(first) == 8 and first == generator_losses(small_set)
    assert first == generator_losses(small_set, stop=5)


def test_path_lengths_are_compared_with_their_mean():
    w = torch.tensor([[1.0], [3.0]], requires_grad=True)
    y = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0)) / 2  # over sqrt(H W)
    lengths = (w[:, 0] * y.sum((1, 2, 3))).abs()  # the slope of w^2 / 2 is w, in every pixel
    expected = (lengths / lengths.mean().detach() - 1).square().mean()
    lengths_of = path_length.PathLength()
    square = lambda w: (w.square() / 2)[:, :, None, None].expand(2, 3, 2, 2)  # noqa: E731
    penalty = lengths_of.penalty(w, square, torch.Generator().manual_seed(0))
    assert torch.allclose(penalty, expected) and penalty > 0.05
    assert torch.allclose(lengths_of.mean, lengths.mean())
    before = penalty.item()
    (slope,) = torch.autograd.grad(penalty, w)
    lengths_of.mean = None
    after = lengths_of.penalty((w - 0.05 * slope), square, torch.Generator().manual_seed(0))
    assert after < before


def test_path_length_adds_a_share_of_the_ordinary_gradient(small_set):
    plan = train_generator.Plan((16, 16, 16, 12, 8, 8), images=(0, 0, 0, 8), batch=4, w_dim=16)
    cpu = torch.device("cpu")
    trainer = train_generator.Trainer(plan, cpu, (8, 8))
    z, x = train_generator.TrainingSet(small_set, 4, 0, train_generator.World(), cpu).batch(0)
    (trainer.output(z, 128) - x).square().mean().backward()
    before = [p.grad.clone() for p in trainer.weights]
    trainer.path_length.step(trainer, z)
    pairs = [(g, p.grad - g) for p, g in zip(trainer.weights, before, strict=True)]
    pairs = [(g, added) for g, added in pairs if added.any()]  # colours' biases, say, do not change lengths
    ordinary, added = (torch.stack([g.norm() for g in part]).norm() for part in zip(*pairs, strict=True))
    assert len(pairs) > 20 and added / ordinary == pytest.approx(path_length.PathLength.SHARE, rel=1e-3)
    trainer.seen += plan.batch  # the next step is not one of them
    held = [p.grad.clone() for p in trainer.weights]
    trainer.path_length.step(trainer, z)
    assert all(torch.equal(p.grad, g) for p, g in zip(trainer.weights, held, strict=True))


def test_what_a_discriminator_is_shown_is_standardised_by_renders():
    g = torch.Generator().manual_seed(0)
    real = 5 + 3 * torch.randn(8, 4, 6, 6, generator=g)
    own, other = adversary.standardised(real, real), adversary.standardised(real + 3, real)
    assert own.mean((0, 2, 3)).abs().max() < 1e-4 and (own.std((0, 2, 3)) - 1).abs().max() < 1e-2
    assert (other - own - 3 / real.std((0, 2, 3), keepdim=True)).abs().max() < 1e-2


def test_a_finished_prior_is_trained_further_as_it_is(small_set, tmp_path):
    plan = train_generator.Plan(images=(0, 0, 8, 0), batch=4)
    data = train_generator.TrainingSet(small_set, 4, 0, train_generator.World(), torch.device("cpu"))
    net, shipped = PortraitNet.load(NET_A), DATA / "generator.safetensors"
    trainer = train_generator.Trainer(plan, torch.device("cpu"), net.config.channels, shipped)
    z, x = data.batch(0)
    with torch.no_grad():  # before the first step it makes the shipped file's pictures
        expected = load_generator(shipped).synthesis(trainer.G.mapping.to_w(z))
        assert (trainer.output(z, 128) - expected).abs().mean() < 0.02  # bfloat16 on some machines
    before = [p.clone() for p in trainer.G.mapping.parameters()]
    trainer.distil(z, x, net, train_generator.World())
    assert all(not torch.equal(a, b) for a, b in zip(before, trainer.G.mapping.parameters(), strict=True))
    train_generator.finish(trainer, tmp_path)
    made = load_generator(tmp_path / "generator.safetensors")
    with torch.no_grad():
        z = torch.randn(2_000, 80, generator=torch.Generator().manual_seed(0))
        w = made.mapping.to_w(z)
        assert ((w.mean(0) - made.mapping.w_avg) / w.std(0)).abs().max() < 0.1  # 4.5 standard errors of 2,000


def test_the_contact_sheet_command(tmp_path):
    command = [sys.executable, "-m", "tools.portraits.render", str(tmp_path / "sheet.png"), "--count", "4"]
    subprocess.run(command, check=True, cwd=DATA.parents[1])
    assert load_image(tmp_path / "sheet.png").shape == (1, 3, 128, 4 * 130 - 2)

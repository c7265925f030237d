"""The nets' training: triplets whose order is clear, a net that learns it and forgets nobody, and the judges' bench."""

import csv

import numpy as np
import pytest
import torch

from rusr_core.checkpoints import load_portrait_net
from rusr_core.networks.portrait_net import PortraitNetConfig
from tools.portraits import DATA, judges
from tools.portraits.renderer import render, sample_z
from tools.portraits.training import orders, shares, train_features, tune_features
from tools.portraits.training.distortions import KINDS, PIXEL_KINDS, distort
from tools.portraits.training.render_training_set import factors, normalized

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return render(normalized(sample_z(11, 6)))


@pytest.mark.slow
def test_feature_training_repeats_itself(small_set):
    images = np.load(small_set / "images.npy")
    plan = train_features.Plan(PortraitNetConfig((4, 8, 8, 8, 8)), seed=1, images=64, batch=16)
    runs = []
    for _ in range(2):
        trainer = train_features.Trainer(plan, len(images), CPU)
        runs.append([trainer.step(images).item() for _ in range(3)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 3


@pytest.mark.parametrize("kind", PIXEL_KINDS)
def test_every_kind_damages_more_with_its_severity(kind, x):
    severities = torch.linspace(0, 1, 4)
    damage = []
    for severity in severities:
        strength = KINDS[kind].strength(severity).expand(len(x))
        y = distort(x, kind, strength, torch.Generator().manual_seed(1))
        assert y.shape == x.shape and y.min() >= 0 and y.max() <= 1
        damage.append((y - x).abs().mean((1, 2, 3)))
    assert (torch.stack(damage).diff(dim=0) > 0).float().mean() > 0.9
    again = distort(x, kind, strength, torch.Generator().manual_seed(1))
    assert torch.equal(y, again)


def test_the_undisputed_ranges_of_a_kind_are_in_order():
    for name, kind in KINDS.items():
        ranges = [r for r in (kind.minor, kind.moderate, kind.severe) if r is not None]
        sign = -1 if kind.scale[0] > kind.scale[1] else 1  # JPEG's quality falls
        assert all(sign * a < sign * b for a, b in ranges), name
        assert all(sign * first[1] < sign * second[0] for first, second in zip(ranges, ranges[1:], strict=False)), name


def test_triplets_repeat_themselves_and_hold_what_they_say(x):
    for make in (orders.within_kinds, orders.across_ranges, orders.equal_l1, orders.shift_against_blur):
        first, second = make(x, 5), make(x, 5)
        assert torch.equal(first.near, second.near) and torch.equal(first.far, second.far) and len(first) == len(x)
        assert torch.equal(first.reference, x) and not torch.equal(first.near, first.far)


def test_a_blur_of_equal_l1_costs_what_the_shift_costs(x):
    t = orders.equal_l1(x, 3)
    moved, blurred = ((y - x).abs().mean((1, 2, 3)) for y in (t.near, t.far))
    assert ((blurred / moved - 1).abs() < 0.05).all()


def test_edits_step_further_with_their_length():
    z = normalized(sample_z(9, 3))
    x = render(z)
    near, far = (orders.edited(z, torch.full((3,), s), torch.Generator().manual_seed(1)) for s in (0.1, 0.8))
    assert ((far - x).square().mean((1, 2, 3)) > (near - x).square().mean((1, 2, 3))).all()
    t = orders.edits(z, 4)
    assert set(t.kinds) == {"edit < longer edit"} and len(t) == 3


@pytest.mark.slow
def test_witnesses_are_zero_for_equal_pictures_and_agree_on_what_is_clear(x):
    assert orders.witnesses(x, x).abs().max() < 1e-3
    t = orders.agreed(x.repeat(2, 1, 1, 1), 1)
    assert 0 < len(t) < 12
    assert (orders.witnesses(t.reference, t.far) > orders.witnesses(t.reference, t.near)).all()


@pytest.mark.slow
def test_a_net_learns_an_order_and_forgets_nobody(x, monkeypatch):
    """A few steps on triplets alone: mesh before blur is learned, and the embeddings hardly move."""
    x, start = x[:3], load_portrait_net(DATA / "features_b.safetensors")
    meshed, blurred = (
        distort(x, kind, torch.full((3,), strength), torch.Generator().manual_seed(0))
        for kind, strength in (("mesh", 0.05), ("blur", 0.8))
    )
    wanted = orders.Triplets(x, blurred, meshed, ["mesh"] * 3)
    plan = tune_features.Plan(seed=1, steps=60, rate=1e-3)
    trainer = tune_features.Trainer(plan, start, x, CPU)
    monkeypatch.setattr(trainer, "triplets", lambda images, bank: (wanted, x))
    losses = torch.stack([trainer.step(x, wanted) for _ in range(10)])
    assert losses[-1, 0] < 0.7 * losses[0, 0]
    net = trainer.result()
    assert (net.embed(x) * start.embed(x)).sum(1).min() > 0.98
    assert net.distance(x, x.roll(1, 0)).mean().item() == pytest.approx(
        start.distance(x, x.roll(1, 0)).mean().item(), rel=1e-3
    )


def test_even_shares_are_those_of_equal_weights_within_the_levels(x):
    net = load_portrait_net(DATA / "features_b.safetensors")
    weights = net.channel_weights
    for weight in weights:
        weight.fill_(1)
    target, ours = shares.even(net, x), shares.of_levels(net, x)
    sizes = [len(w) for w in weights]
    by_level = torch.stack([part.sum() for part in target.split(sizes)])
    torch.testing.assert_close(by_level, torch.tensor(shares.LEVELS))
    for weight, wanted, found in zip(weights, shares.LEVELS, ours, strict=True):
        weight.fill_(wanted / found)
    torch.testing.assert_close(shares.of_levels(net, x), torch.tensor(shares.LEVELS))
    assert shares.unevenness(target, net.features(x)).item() == pytest.approx(0, abs=1e-4)
    weights[1][3] *= 400
    assert shares.unevenness(target, net.features(x)) > 0.1


def test_shares_count_every_pixel_of_a_level_once():
    """By hand: one channel differs by 2 at every pixel, one by 1 at half of them, one of a coarser level nowhere."""
    fine, coarse = torch.zeros(2, 2, 4, 4), torch.ones(2, 1, 2, 2)
    fine[0, 0], fine[0, 1, :2] = 2.0, 1.0
    torch.testing.assert_close(shares.differences([fine, coarse]), torch.tensor([4.0, 0.5, 0.0]))


@pytest.mark.slow
def test_a_net_is_held_to_its_shares_while_it_learns(x, monkeypatch):
    """One channel that had most of the distance loses it, though no triplet asks for that."""
    start = load_portrait_net(DATA / "features_b.safetensors")
    start.channel_weight1[0] *= 200
    plan = tune_features.Plan(seed=1, steps=60, balance=5.0, channel_rate=1.0)
    trainer = tune_features.Trainer(plan, start, x, CPU)
    clear = orders.Triplets(x[:3], x[:3], 1 - x[:3], ["clear"] * 3)
    monkeypatch.setattr(trainer, "triplets", lambda images, bank: (clear, x[:3]))
    losses = torch.stack([trainer.step(x, clear) for _ in range(8)])
    assert losses[-1, 2] < 0.7 * losses[0, 2] and losses[0, 2] > 0.3


@pytest.mark.slow
def test_the_bank_has_every_set_that_is_slow_to_make(x):
    z = normalized(sample_z(11, 6)).view(6, 1, -1)
    images = (render(z[:, 0]) * 255).round().to(torch.uint8).view(6, 1, 3, 128, 128)
    bank = tune_features.make_bank(images, z, tune_features.Plan(seed=1, bank=6))
    slow = {
        "witnesses",
        "edit < longer edit",
        "minor < edit",
        "edit < severe",
        "fine detail < edit",
        "mesh < blurred away",
    }
    assert slow <= set(bank.kinds) and len(bank) >= 36


@pytest.mark.slow
def test_tuning_repeats_itself_and_resumes(small_set, x):
    images = np.load(small_set / "images.npy")
    plan = tune_features.Plan(seed=1, steps=6, batch=4, stored=1)
    bank = orders.edits(factors(2, 1)[:, 0], 3)

    def losses(stop: int | None = None) -> list[list[float]]:
        start = load_portrait_net(DATA / "features_b.safetensors")
        trainer, out = tune_features.Trainer(plan, start, x, CPU), []
        for number in range(2):
            if number == stop:
                state, trainer = trainer.state(), tune_features.Trainer(plan, start, x, CPU)
                trainer.restore(state)
            out.append(trainer.step(images, bank).tolist())
        return out

    first = losses()
    assert first == losses() and first == losses(stop=1)


@pytest.mark.slow
def test_the_bench_counts_what_is_in_order(x, tmp_path):
    panel = {"L2": lambda a, b: (a - b).square().mean((1, 2, 3)), "blind": lambda a, b: torch.zeros(len(a))}
    z = normalized(sample_z(11, 6))
    rows, shares = judges.severity_table(panel, z, x)
    assert len(rows) == len(KINDS) * judges.SEVERITIES and set(shares) == set(KINDS)
    assert shares["noise"]["L2"].right == shares["noise"]["L2"].count == 6 * (judges.SEVERITIES - 1)
    assert shares["noise"]["blind"].right == 0
    t = orders.Triplets(x, 0.9 * x, 0.5 * x, ["dark"] * 6)
    ordered = judges.order_table(panel, t)
    assert ordered["dark"]["L2"] == judges.Share(6, 6) and ordered["dark"]["blind"] == judges.Share(0, 6)
    judges.write_tables(tmp_path, rows, shares | ordered)
    with (tmp_path / "orders.csv").open() as file:
        written = [row for row in csv.DictReader(file) if row["kind"] == "dark" and row["judge"] == "L2"]
    assert written[0]["right"] == "6" and float(written[0]["high"]) == 1
    assert "| dark | 100.0 % [61.0, 100.0] |" in judges.markdown(shares | ordered)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    g = np.random.default_rng(0)
    intervals = [judges.Share(int(right), 200).interval() for right in g.binomial(200, 0.9, 400)]
    held = [low <= 0.9 <= high for low, high in intervals]
    assert 0.92 < np.mean(held) < 0.98

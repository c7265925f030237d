"""The loss against the published pyramid (golden arrays), and what it must not do."""

import pytest
import torch
from conftest import golden

from rusr_core import losses
from rusr_core.losses import IdentityLoss, LossError, MultiscaleLPIPS, RestorationLoss


class Net:
    """A tiny perceptual and identity network that counts its calls."""

    def __init__(self):
        self.calls = 0
        self.filters = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(0))

    def features(self, x):
        self.calls += 1
        maps = torch.nn.functional.conv2d(x, self.filters).relu()
        return [maps / (maps.square().sum(1, keepdim=True) + 1e-6).sqrt()]

    def embed(self, x):
        self.calls += 1
        return torch.nn.functional.normalize(x.mean((2, 3)), dim=1)


def images(num=2, size=64, seed=1):
    return torch.rand(num, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("case", ["nomask", "mask"])
def test_golden_value_and_gradient(size, case, vgg, monkeypatch):
    arrays = golden("multiscale_lpips")
    x, y, mask = (arrays[f"r{size}/{name}"].unsqueeze(0) for name in ("x", "y", "mask"))
    seen = (x * mask if case == "mask" else x).requires_grad_()
    if case == "mask":
        noises = [arrays[f"r{size}/mask_noise_{s}"].unsqueeze(0) for s in (128, 64, 32) if s <= size]
        draws = iter(noises)
        monkeypatch.setattr(losses.randomness, "normal", lambda *a: next(draws))
    loss = RestorationLoss(MultiscaleLPIPS(vgg))
    target = loss.target(y * mask if case == "mask" else y, mask if case == "mask" else None)
    terms = loss(seen, target)
    assert terms["total"].item() == pytest.approx(arrays[f"r{size}/{case}/value"].item(), abs=5e-8)
    assert terms["lpips"].item() == pytest.approx(arrays[f"r{size}/{case}/levels"].sum().item(), abs=5e-8)
    (gradient,) = torch.autograd.grad(terms["total"].sum(), seen)
    expected = arrays[f"r{size}/{case}/grad"]
    assert (gradient[0] - expected).norm() < 2e-3 * expected.norm()  # relative L2, see the golden README


def test_black_picture(vgg):
    arrays = golden("multiscale_lpips")
    y = arrays["r64/y"].unsqueeze(0)
    loss = RestorationLoss(MultiscaleLPIPS(vgg))
    total = loss(torch.zeros_like(y), loss.target(y))["total"].item()
    assert total == pytest.approx(arrays["r64/black_x_value"].item(), abs=1e-6)


@pytest.mark.parametrize("size, depth", [(1024, 6), (128, 3), (32, 1), (17, 1), (16, 0), (4, 0)])
def test_levels_as_published(size, depth):
    lpips = MultiscaleLPIPS(Net())
    assert lpips.depth((size, size)) == depth
    assert [len(level) for level in lpips.pyramid(torch.zeros(1, 3, size, size))] == [1] * (depth + 1)


def test_target_features_are_computed_once():
    net = Net()
    loss = RestorationLoss(MultiscaleLPIPS(net), IdentityLoss(net), identity_weight=0.1)
    target = loss.target(images())
    net.calls = 0
    loss(images(seed=2), target)
    assert net.calls == 2 + 1  # two levels and one embedding of the guess, nothing of the target


def test_terms_of_weight_zero_are_not_computed():
    net = Net()
    loss = RestorationLoss(MultiscaleLPIPS(net), IdentityLoss(net), identity_weight=0.0)
    target = loss.target(images())
    net.calls = 0
    assert set(loss(images(seed=2), target)) == {"lpips", "l1", "total"}
    assert net.calls == 2


def test_equal_images_cost_nothing():
    loss = RestorationLoss(MultiscaleLPIPS(Net()), IdentityLoss(Net()), identity_weight=0.1)
    y = images()
    for value in loss(y, loss.target(y)).values():
        torch.testing.assert_close(value, torch.zeros(2), atol=1e-6, rtol=0)


def test_images_of_a_batch_do_not_mix():
    loss = RestorationLoss(MultiscaleLPIPS(Net()), IdentityLoss(Net()), identity_weight=0.1)
    x, y = images(seed=2), images()
    mask = (images(seed=3)[:, :1] > 0.3).float()
    for m in (None, mask):
        together = loss(x, loss.target(y, m), torch.Generator().manual_seed(0))
        for i in range(2):
            target = loss.target(y[i : i + 1], None if m is None else m[i : i + 1])
            alone = loss(x[i : i + 1], target, torch.Generator().manual_seed(0))
            some = loss.target(y, m).select(torch.tensor([i]))
            selected = loss(x[i : i + 1], some, torch.Generator().manual_seed(0))
            for name in together:
                torch.testing.assert_close(together[name][i : i + 1], alone[name], atol=1e-6, rtol=0)
                torch.testing.assert_close(selected[name], alone[name], atol=1e-6, rtol=0)


def test_holes_do_not_count_for_lpips():
    y = images(1)
    mask = torch.ones(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 0
    lpips = MultiscaleLPIPS(Net(), levels=1)
    target = lpips.target(y * mask, mask)
    other = y.clone()
    other[..., 20:44, 20:44] = 1
    a = lpips(y * mask, target, torch.Generator().manual_seed(0))
    b = lpips(other * mask, target, torch.Generator().manual_seed(0))
    assert a.item() == pytest.approx(b.item(), abs=1e-7) == 0


def test_oracle_compares_the_clean_images():
    net = Net()
    loss = RestorationLoss(MultiscaleLPIPS(net), IdentityLoss(net), identity_weight=0.1)
    y, clean, x, guess = images(seed=1), images(seed=2), images(seed=3), images(seed=4)
    oracle = loss(x, loss.target(y, clean=clean), image=guess)["identity"]
    torch.testing.assert_close(oracle, 1 - (net.embed(guess) * net.embed(clean)).sum(1))
    blind = loss(x, loss.target(y))["identity"]
    torch.testing.assert_close(blind, 1 - (net.embed(x) * net.embed(y)).sum(1))


def test_wrong_shapes_are_named():
    loss = RestorationLoss(MultiscaleLPIPS(Net()))
    for guess in ({"x": images(size=32)}, {"x": images(), "again": images(size=32)}):
        with pytest.raises(LossError, match=r"\(2, 3, 32, 32\).*\(2, 3, 64, 64\)"):
            loss(target=loss.target(images()), **guess)
    with pytest.raises(LossError, match=r"mask \(3, 1, 64, 64\).*\[2 or 1, 1, H, W\]"):
        loss.target(images(), torch.ones(3, 1, 64, 64))


def noisy(level, seed, num=400):
    """Draws of a Poisson image of one grey level."""
    draw = torch.Generator().manual_seed(seed)
    return torch.poisson(torch.full((num, 3, 8, 8), 6.0 * level), generator=draw) / 6


@pytest.mark.parametrize("distance", [losses.l1, lambda a, b: (a - b).square().mean((1, 2, 3))])
def test_the_energy_score_finds_the_truth_where_the_distance_prefers_the_dark(distance):
    truth, darker = 0.5, 0.35
    y = noisy(truth, 0)
    plain = {v: distance(noisy(v, 1), y).mean() for v in (truth, darker)}
    score = {v: losses.energy_score(distance, y, noisy(v, 1), noisy(v, 2)).mean() for v in (truth, darker)}
    assert plain[darker] < plain[truth]
    assert score[darker] > score[truth]


def test_the_energy_score_of_squared_differences_is_the_product_of_two():
    a, b, y = (images(seed=seed) for seed in range(3))
    square = lambda u, v: (u - v).square().sum((1, 2, 3))  # noqa: E731
    expected = ((a - y) * (b - y)).sum((1, 2, 3))
    torch.testing.assert_close(losses.energy_score(square, y, a, b), expected, rtol=1e-4, atol=1e-2)


def test_a_second_draw_scores_every_term():
    net = Net()
    loss = RestorationLoss(MultiscaleLPIPS(net), IdentityLoss(net), identity_weight=0.1)
    y, x, again = images(seed=1), images(seed=2), images(seed=3)
    mask = (images(seed=4)[:, :1] > 0.3).float()
    for m in (None, mask):
        target = loss.target(y, m)
        seeded = lambda: torch.Generator().manual_seed(0)  # noqa: E731
        scores = loss(x, target, seeded(), again=again)
        one, two = loss(x, target, seeded()), loss(again, target, seeded())
        between = loss(x, loss.target(again, m), seeded())
        for name in scores:
            torch.testing.assert_close(scores[name], (one[name] + two[name] - between[name]) / 2, atol=1e-5, rtol=1e-5)


def test_two_equal_draws_score_as_one():
    loss = RestorationLoss(MultiscaleLPIPS(Net()), IdentityLoss(Net()), identity_weight=0.1)
    x, target = images(seed=2), loss.target(images())
    for name, value in loss(x, target, again=x).items():
        torch.testing.assert_close(value, loss(x, target)[name], atol=1e-6, rtol=1e-6)


class Both(Net):
    """Gives features and embedding in one call."""

    def features_and_embedding(self, x):
        found = self.features(x), self.embed(x)
        self.calls -= 1
        return found


@pytest.mark.parametrize("size, hidden, calls", [(64, False, 2), (64, True, 5), (16, False, 1)])
def test_one_network_of_both_terms_looks_once(size, hidden, calls):
    """At full size LPIPS and identity share a pass; not where LPIPS sees noise in holes, or nothing at all."""
    net, apart = Both(), Both()
    mask = (images(seed=4, size=size)[:, :1] > 0.3).float() if hidden else None
    values = []
    for identity in (net, apart):
        loss = RestorationLoss(MultiscaleLPIPS(net), IdentityLoss(identity), identity_weight=0.1)
        x, target = images(seed=2, size=size).requires_grad_(), loss.target(images(size=size), mask)
        net.calls = 0
        terms = loss(x, target, torch.Generator().manual_seed(0))
        values.append([*terms.values(), *torch.autograd.grad(terms["total"].sum(), x)])
        if identity is net:
            assert net.calls == calls
    torch.testing.assert_close(*values)

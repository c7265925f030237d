"""The loss against the published pyramid (golden arrays), and what it must not do."""

import re
from itertools import product
from pathlib import Path

import pytest
import torch
from conftest import golden, seeded
from loss_examples import Net, images, loss_of

from rusr_core import losses
from rusr_core.losses import L1, Guess, IdentityLoss, LossError, MultiscaleLPIPS, RestorationLoss, Term

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("case", ["nomask", "mask"])
def test_golden_value_and_gradient(size, case, vgg, monkeypatch):
    arrays = golden("multiscale_lpips")
    x, y, mask = (arrays[f"r{size}/{name}"].unsqueeze(0) for name in ("x", "y", "mask"))
    seen = (x * mask if case == "mask" else x).requires_grad_()
    if case == "mask":
        noises = [arrays[f"r{size}/mask_noise_{s}"].unsqueeze(0) for s in (128, 64, 32) if s <= size]
        draws = iter(noises)
        monkeypatch.setattr("rusr_core.losses.terms.randomness.normal", lambda *a: next(draws))
    loss = loss_of(vgg)
    target = loss.target(y * mask if case == "mask" else y, mask if case == "mask" else None)
    terms = loss(seen, target)
    assert terms["total"].item() == pytest.approx(arrays[f"r{size}/{case}/value"].item(), abs=5e-8)
    assert terms["lpips"].item() == pytest.approx(arrays[f"r{size}/{case}/levels"].sum().item(), abs=5e-8)
    (gradient,) = torch.autograd.grad(terms["total"].sum(), seen)
    expected = arrays[f"r{size}/{case}/grad"]
    if case == "mask":  # the published f passes no gradient to what it hides; here the loss passes none either
        expected = expected * (mask[0] > 0)
    assert (gradient[0] - expected).norm() < 2e-3 * expected.norm()  # relative L2, see the golden README


def test_black_picture(vgg):
    arrays = golden("multiscale_lpips")
    y = arrays["r64/y"].unsqueeze(0)
    loss = loss_of(vgg)
    total = loss(torch.zeros_like(y), loss.target(y))["total"].item()
    assert total == pytest.approx(arrays["r64/black_x_value"].item(), abs=1e-6)


@pytest.mark.parametrize("size, depth", [(1024, 6), (128, 3), (32, 1), (17, 1), (16, 0), (4, 0)])
def test_levels_as_published(size, depth):
    lpips = MultiscaleLPIPS(Net())
    assert lpips.depth((size, size)) == depth
    assert [len(level) for level in lpips.pyramid(torch.zeros(1, 3, size, size))] == [1] * (depth + 1)


def test_target_features_are_computed_once():
    net = Net()
    loss = loss_of(net, net)
    target = loss.target(images())
    net.calls = 0
    loss(images(seed=2), target)
    assert net.calls == 2 + 1  # two levels and one embedding of the guess, nothing of the target


def test_terms_of_weight_zero_are_not_computed():
    net = Net()
    loss = loss_of(net, net, 0.0)
    target = loss.target(images())
    net.calls = 0
    assert set(loss(images(seed=2), target)) == {"lpips", "l1", "total"}
    assert net.calls == 2


def test_equal_images_cost_nothing():
    loss = loss_of(Net(), Net())
    y = images()
    for value in loss(y, loss.target(y)).values():
        torch.testing.assert_close(value, torch.zeros(2), atol=1e-6, rtol=0)


def test_images_of_a_batch_do_not_mix():
    loss = loss_of(Net(), Net())
    x, y = images(seed=2), images()
    mask = (images(seed=3)[:, :1] > 0.3).float()
    for m in (None, mask):
        together = loss(Guess(x, generator=seeded()), loss.target(y, m))
        for i in range(2):
            target = loss.target(y[i : i + 1], None if m is None else m[i : i + 1])
            alone = loss(Guess(x[i : i + 1], generator=seeded()), target)
            some = loss.target(y, m).select(torch.tensor([i]))
            selected = loss(Guess(x[i : i + 1], generator=seeded()), some)
            for name in together:
                torch.testing.assert_close(together[name][i : i + 1], alone[name], atol=1e-6, rtol=0)
                torch.testing.assert_close(selected[name], alone[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("term", [MultiscaleLPIPS(Net(), levels=1), MultiscaleLPIPS(Net()), L1(), IdentityLoss(Net())])
def test_what_stands_in_the_holes_does_not_matter(term):
    """Neither in y, whatever covers the face there, nor in the guess."""
    y, x = images(1), images(1, seed=2)
    mask = torch.ones(1, 1, 64, 64)
    mask[..., 16:48, 16:48] = 0
    loss = RestorationLoss((Term("term", 1.0, term),))
    values = []
    for hidden in (0.0, 1.0, 0.5, float("nan"), images(1, seed=3)):
        covered_y, covered_x = (torch.where(mask > 0, v, torch.as_tensor(hidden)) for v in (y, x))
        values.append(loss(Guess(covered_x, generator=seeded()), loss.target(covered_y, mask))["total"])
        alone = term(Guess(x * mask, generator=seeded()), term.target(covered_y, mask))
        assert torch.equal(alone, values[0])
    assert all(torch.equal(value, values[0]) and value > 0 for value in values)


def test_partly_visible_pixels_count():
    """A hole that was shrunk has soft edges, which y and f(x) show alike."""
    y, mask = images(1), torch.zeros(1, 1, 64, 64)
    mask[..., :32] = 0.25
    loss = RestorationLoss((Term("l1", 1.0, L1(levels=1)),))
    assert loss(y * 0, loss.target(y, mask))["total"].item() == pytest.approx(y[..., :32].mean().item() / 2, rel=1e-5)


def test_the_target_moves_with_its_mask():
    """A mask of another size than y is averaged to y's."""
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., :64] = 1
    loss = RestorationLoss((Term("l1", 1.0, L1(levels=1)),))
    target = loss.target(images(1), mask)
    assert target.mask.shape == (1, 1, 64, 64) and (target.y[..., 32:] == 0).all() and (target.y[..., :32] > 0).any()


def test_oracle_compares_the_clean_images():
    net = Net()
    loss, seeing = loss_of(net, net), loss_of(net, net, oracle=True)
    y, clean, x, guess = images(seed=1), images(seed=2), images(seed=3), images(seed=4)
    oracle = seeing(Guess(x, image=guess), seeing.target(y, clean=clean))["identity"]
    torch.testing.assert_close(oracle, 1 - (net.embed(guess) * net.embed(clean)).sum(1))
    blind = loss(x, loss.target(y))["identity"]
    torch.testing.assert_close(blind, 1 - (net.embed(x) * net.embed(y)).sum(1))


def test_wrong_shapes_are_named():
    loss = loss_of(Net())
    for guess in (images(size=32), Guess(images(), again=images(size=32))):
        with pytest.raises(LossError, match=r"\(2, 3, 32, 32\).*\(2, 3, 64, 64\)"):
            loss(guess, loss.target(images()))
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


def test_the_coin_of_the_book():
    """The table of book/energy.md: one pixel that is dead half of the time, all cases counted."""
    page = (ROOT / "book/energy.md").read_text(encoding="utf-8").partition("| one draw | energy score |")[2]
    rows = re.findall(r"^\| \$x = (.+?)\$(?:, the truth)? \| \$(.+)\$ \| \$(.+)\$ \|$", page, re.M)
    values = {"0": 0.0, r"\tfrac12": 0.5, "1": 1.0, r"\tfrac32": 1.5}
    assert [row[0] for row in rows] == list(values)
    for name, *printed in rows:
        x = values[name]
        cases = torch.tensor(list(product((0, x), (0, x), (0.0, 1.0))))  # of f_1(x), f_2(x) and y, equally likely
        a, b, y = cases.unbind(1)
        found = [losses.energy_score(lambda u, v: (u - v).square(), y, *draws).mean() for draws in ((a,), (a, b))]
        assert [float(re.sub(r"[^\d.]", "", text)) for text in printed] == pytest.approx([float(v) for v in found])
    fixed, y = torch.full((2,), 0.5), torch.tensor([0.0, 1.0])  # the belief that no pixel is dead
    assert losses.energy_score(lambda u, v: (u - v).square(), y, fixed, fixed).mean() == 0.25
    assert losses.energy_score(lambda u, v: (u - v).abs(), y, fixed, fixed).mean() == 0.5


def test_the_energy_score_of_squared_differences_is_the_product_of_two():
    a, b, y = (images(seed=seed) for seed in range(3))
    square = lambda u, v: (u - v).square().sum((1, 2, 3))  # noqa: E731
    expected = ((a - y) * (b - y)).sum((1, 2, 3))
    torch.testing.assert_close(losses.energy_score(square, y, a, b), expected, rtol=1e-4, atol=1e-2)


def test_a_second_draw_scores_every_term():
    net = Net()
    loss = loss_of(net, net)
    y, x, again = images(seed=1), images(seed=2), images(seed=3)
    mask = (images(seed=4)[:, :1] > 0.3).float()
    for m in (None, mask):
        target = loss.target(y, m)
        scores = loss(Guess(x, again=again, generator=seeded()), target)
        one, two = (loss(Guess(v, generator=seeded()), target) for v in (x, again))
        between = loss(Guess(x, generator=seeded()), loss.target(again, m))
        for name in scores:
            torch.testing.assert_close(scores[name], (one[name] + two[name] - between[name]) / 2, atol=1e-5, rtol=1e-5)


def test_two_equal_draws_score_as_one():
    loss = loss_of(Net(), Net())
    x, target = images(seed=2), loss.target(images())
    for name, value in loss(Guess(x, again=x), target).items():
        torch.testing.assert_close(value, loss(x, target)[name], atol=1e-6, rtol=1e-6)


class Both(Net):
    """Gives features and embedding in one call."""

    def features_and_embedding(self, x):
        found = self.features(x), self.embed(x)
        self.calls -= 1
        return found


@pytest.mark.parametrize("size, hidden, calls", [(64, False, 2), (64, True, 5), (16, False, 0)])
def test_one_network_of_both_terms_looks_once(size, hidden, calls):
    """At full size LPIPS and identity share a pass; not where LPIPS sees noise in holes, or nothing at all."""
    net, apart = Both(), Both()
    mask = (images(seed=4, size=size)[:, :1] > 0.3).float() if hidden else None
    values = []
    for identity in (net, apart):
        loss = loss_of(net, identity).fit((size, size), hidden)
        x, target = images(seed=2, size=size).requires_grad_(), loss.target(images(size=size), mask)
        net.calls = 0
        terms = loss(Guess(x, generator=seeded()), target)
        values.append([*terms.values(), *torch.autograd.grad(terms["total"].sum(), x)])
        if identity is net:
            assert net.calls == calls
    torch.testing.assert_close(*values)

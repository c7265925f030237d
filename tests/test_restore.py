"""The search: what it returns, what it must not depend on, and how it ends."""

import dataclasses

import pytest
import torch
from conftest import seeded, slow_if

from rusr_core import presets
from rusr_core.degradations import JPEG, Compose, Downsample, PoissonBernoulliNoise
from rusr_core.latents import space
from rusr_core.losses import Term
from rusr_core.presets import Phase, Preset
from rusr_core.prior import Prior, PriorError
from rusr_core.restore import restore


def short(name: str, steps: int = 12, **changes) -> Preset:
    return dataclasses.replace(presets.get(name).shortened(steps), **changes)


@pytest.mark.parametrize("name", ["default", slow_if(True, "cvpr2023")])
def test_three_phases(name, prior, truth):
    f = Downsample(2, "bilinear")
    y = f.degrade(truth)
    result = restore(prior, y, f, preset=short(name), seed=7)
    assert [space(phase.latents) for phase in result.phases] == ["W", "W+", "W++"] == [p.space for p in result.phases]
    assert result.image.shape == truth.shape and result.image.min() >= 0 and result.image.max() <= 1
    assert torch.equal(result.image, result.phases[-1].image)
    torch.testing.assert_close(prior.generator.image(result.latents).clamp(0, 1), result.image, atol=1e-5, rtol=0)
    assert (result.method, result.seed, result.interrupted, result.oracle) == (f"{name}@12", 7, False, False)
    first, last = result.phases[0].history["total"][0], result.phases[-1].history["total"][-1]
    assert (last < first).all()
    assert result.seconds > 0 and result.steps == [36] * 4


@pytest.mark.slow
def test_more_freedom_fits_better(prior, truth):
    f, truth = Compose(), truth[:2]
    result = restore(prior, truth, f, preset=short("cvpr2023", 20))
    errors = [(phase.image - truth).abs().mean() for phase in result.phases]
    assert errors[2] < errors[1] < errors[0]


def test_same_seed_same_bytes(prior, truth):
    f = PoissonBernoulliNoise(24, 0.16)
    y = f.degrade(truth[:1], seeded())
    a, b, c = (restore(prior, y, f, preset=short("cvpr2023", 5), seed=s).image for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_early_stopping_waits_for_patience(prior, truth):
    f = Downsample(2, "bilinear")
    preset = short("default", 60, patience=3)
    result = restore(prior, f.degrade(truth[:1], seeded()), f, preset=preset)
    for phase in result.phases:
        totals = phase.history["total"][:, 0].tolist()
        best = totals.index(min(totals))
        assert len(totals) == 60 or len(totals) == best + 1 + 3


def test_callback_sees_every_step(prior, truth):
    f, seen = Compose(), []
    result = restore(
        prior, f.degrade(truth[:2]), f, preset=short("default", 3), callback=lambda s: seen.append((s, s.image()))
    )
    assert [(s.phase, s.step) for s, _ in seen] == [(p, k) for p in ("W", "W+", "W++") for k in range(3)]
    for k, (step, image) in enumerate(seen):
        assert image.shape == truth[:2].shape
        assert torch.equal(step.losses["total"], result.phases[k // 3].history["total"][k % 3])
        assert set(step.losses) == {"lpips", "l1", "identity", "total"} and step.active.tolist() == [True, True]
    assert not torch.equal(seen[0][1], seen[-1][1]), "each step keeps its own picture"


def test_ctrl_c_returns_what_there_is(prior, truth):
    def interrupt(step):
        if (step.phase, step.step) == ("W+", 2):
            raise KeyboardInterrupt

    f = Downsample(2, "bilinear")
    result = restore(prior, f.degrade(truth), f, preset=short("cvpr2023", 5), callback=interrupt)
    assert result.interrupted and [phase.space for phase in result.phases] == ["W", "W+"]
    assert result.steps == [5 + 3] * 4 and result.image.isfinite().all()


def test_ctrl_c_before_the_first_step(prior, truth):
    class Impatient:
        random = False
        ready = False

        def forward(self, x, generator=None):
            if self.ready:
                raise KeyboardInterrupt
            self.ready = x.requires_grad  # the gradient has been tried
            return x

    result = restore(prior, truth, Impatient())
    assert result.interrupted and result.steps == [0] * 4 and result.image.shape == truth.shape
    assert result.history == {}


def test_a_users_own_degradation(prior, truth):
    class Grey:
        """Two methods, nothing else."""

        def degrade(self, x, generator=None):
            return x.mean(1, keepdim=True).expand_as(x)

        def forward(self, x, generator=None):
            return x.mean(1, keepdim=True).expand_as(x)

    f = Grey()
    y = f.degrade(truth[:2])
    result = restore(prior, y, f, preset=short("cvpr2023", 10))
    start = f.forward(prior.generator.image(prior.generator.mapping.w_avg[None]))
    assert ((f.forward(result.image) - y).abs().mean((1, 2, 3)) < (start - y).abs().mean((1, 2, 3))).all()


@pytest.mark.parametrize("f, draws", [(Downsample(2, "bilinear"), 1), (PoissonBernoulliNoise(12, 0.3), 2)])
def test_a_random_degradation_is_drawn_twice_a_step(prior, truth, f, draws):
    y = f.degrade(truth[:1], seeded())
    for preset, expected in (("default", draws), ("cvpr2023", 1)):
        steps = {}
        for number in (1, 5):  # what is tried out before the search counts in both
            counted = Counted(f)
            one = short(preset, number)
            restore(prior, y, counted, preset=dataclasses.replace(one, phases=one.phases[:1]))
            steps[number] = counted.calls
        assert steps[5] - steps[1] == 4 * expected


class Counted:
    """f, counted."""

    def __init__(self, f):
        self.f, self.calls, self.random = f, 0, f.random

    def forward(self, x, generator=None):
        self.calls += 1
        return self.f.forward(x, generator)


@pytest.mark.parametrize("reference", ["input", "clean"])
def test_identity_compares_like_with_like(prior, truth, reference):
    """Blind: the degraded guess with y. Oracle: the guess with the truth."""
    f = JPEG(10)
    y = f.degrade(truth)
    preset = short("default", 1, identity_reference=reference)
    result = restore(prior, y, f, preset=preset, clean=truth if reference == "clean" else None)
    start = prior.generator.image(prior.generator.mapping.w_avg[None])
    pair = (f.forward(start), y) if reference == "input" else (start, truth)
    with torch.no_grad():
        expected = 1 - (prior.identity.embed(pair[0]) * prior.identity.embed(pair[1])).sum(1)
    assert torch.allclose(result.phases[0].history["identity"][0], expected, atol=1e-4)


def test_the_priors_rate_scale_counts(prior, truth):
    far = dataclasses.replace(prior, lr_scale=2.0)
    preset = dataclasses.replace(short("cvpr2023"), phases=(Phase("W", 0.1, 1),))
    mean = prior.generator.mapping.w_avg
    for p, length in ((prior, 0.1), (far, 0.2)):
        moved = restore(p, truth, Compose(), preset=preset).latents - mean
        torch.testing.assert_close(moved.norm(dim=1), torch.full((4,), length), atol=1e-5, rtol=0)


class Linear:
    """The smallest generator: pixels are a matrix times w. It has what the search asks for, and nothing else."""

    resolution, w_std = 32, 6.0

    def __init__(self):
        draw = seeded(1)
        self.w_mean = torch.randn(6, generator=draw)
        self.maps = torch.randn(3, 6, 3 * 32 * 32, generator=draw) / 20  # of three layers

    def widen(self, ws, space):
        if ws.ndim == 2 and space != "W":
            ws = ws[:, None].repeat(1, 3, 1)
        return ws[:, None] if ws.ndim == 3 and space == "W++" else ws

    def image(self, ws):
        each = self.widen(ws, "W+") if ws.ndim < 4 else ws[:, 0]
        return torch.einsum("nld,ldp->np", each, self.maps).unflatten(1, (3, 32, 32)) + 0.5


@pytest.mark.slow
def test_another_generator_may_stand_in(prior):
    G = Linear()
    theirs = Prior.of(G, prior.perceptual, prior.identity)
    assert theirs.lr_scale == 0.5 and not hasattr(G, "config")
    x = G.image(G.w_mean[None] + torch.randn(2, 6, generator=seeded(2)))
    f = PoissonBernoulliNoise(100, 0.0)
    result = restore(theirs, f.degrade(x.clamp(0, 1), seeded()), f, preset=short("default", 30))
    assert [tuple(phase.latents.shape) for phase in result.phases] == [(2, 6), (2, 3, 6), (2, 1, 3, 6)]
    before = (G.image(G.w_mean[None]).clamp(0, 1) - x).square().mean()
    assert (result.image - x).square().mean() < 0.5 * before


@pytest.mark.parametrize("cut", [(slice(1),), (slice(None), slice(16), slice(16))])
def test_a_generator_of_other_images_is_named(prior, truth, cut):
    class Cut(Linear):
        def image(self, ws):
            return super().image(ws)[(slice(None), *cut)]

    with pytest.raises(PriorError, match=r"Cut.image gives \[1, .*32 for latents \[1, 6\], expected \[1, 3, 32"):
        restore(Prior.of(Cut()), truth[:2], Compose(), preset=short("default", 1))


def test_a_loss_of_ones_own(prior, truth):
    """A sum with one more term; a function alone; each step's terms are recorded."""
    f, preset = Compose(), short("default", 3)
    y = f.degrade(truth)
    seen = []

    def near(guess):
        seen.append(guess)
        mean = prior.generator.widen(prior.generator.w_mean[None], space(guess.latents))
        return (guess.latents - mean).square().flatten(1).mean(1)

    loss = preset.loss(prior) + Term("near", 0.5, near)
    result = restore(prior, y, f, preset=preset, loss=loss)
    assert result.terms == {"lpips": 1.0, "l1": 0.1, "identity": 0.1, "near": 0.5}
    assert set(result.history) == {"lpips", "l1", "identity", "near", "total"}
    assert sorted({int(guess.index) for guess in seen}) == [0, 1, 2, 3]
    first = seen[0]
    assert first.image.shape == (1, 3, 32, 32) and first.degraded.shape == (1, 3, 32, 32) and first.again is None

    def squared(guess):
        return (guess.degraded - y[guess.index]).square().mean((1, 2, 3))

    alone = restore(prior, y, f, preset=preset, loss=squared)
    assert alone.terms == {"loss": 1.0} and set(alone.history) == {"loss", "total"}
    expected = (prior.generator.image(prior.generator.w_mean[None]) - y).square().mean((1, 2, 3))
    torch.testing.assert_close(alone.history["total"][0], expected)


def test_an_optimiser_of_ones_own(prior, truth):
    f = Compose()
    own = dataclasses.replace(short("default", 2), optimizer=lambda latents, lr: torch.optim.SGD(latents, lr))
    named = dataclasses.replace(own, optimizer="sgd")
    a, b = (restore(prior, truth[:1], f, preset=preset) for preset in (own, named))
    assert torch.equal(a.image, b.image) and ":" in a.preset.values()["optimizer"]


def test_denormal_numbers_are_flushed_in_the_search_only(prior, truth):
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot flush denormal numbers")
    tiny, inside = torch.full((4,), 1e-40), []

    def look(step):
        inside.append((tiny * 1).sum())

    restore(prior, truth[:1], Compose(), preset=short("default", 1), callback=look)
    assert all(value == 0 for value in inside) and (tiny * 1).sum() > 0

"""deepinv's physics restored by us, and our objects as theirs, accepted by their own checks."""

import sys

import pytest
import torch
from conftest import seeded, slow_if
from degradation_examples import EVERY, images

from rusr_core.degradations import (
    Compose,
    Degradation,
    DegradationError,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    degrade,
    is_random,
)
from rusr_core.errors import RusrWarning
from rusr_core.randomness import RandomnessError
from rusr_core.restore import restore

deepinv = pytest.importorskip("deepinv")
gaussian = deepinv.physics.functional.blur.gaussian_blur
interop = pytest.importorskip("rusr_core.interop")

R = 32  # of the random prior
HALF = (torch.arange(R) < R // 2).float().expand(R, R)
FAMILIES = {
    "blur": lambda: deepinv.physics.Blur(gaussian(sigma=(1.5, 1.5)), padding="reflect"),
    "noisy blur": lambda: deepinv.physics.BlurFFT(
        (3, R, R), gaussian(sigma=(1.0, 1.0)), noise_model=deepinv.physics.GaussianNoise(0.05)
    ),
    "inpainting": lambda: deepinv.physics.Inpainting((3, R, R), mask=HALF[None]),
    "super-resolution": lambda: deepinv.physics.Downsampling((3, R, R), filter="bicubic", factor=2),
    "poisson": lambda: deepinv.physics.Denoising(deepinv.physics.PoissonNoise(1 / 60)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_physics_of_each_family_is_restored(prior, truth, family):
    physics = FAMILIES[family]()
    y = degrade(physics, truth[:1], seeded(1))
    found = restore(prior, y, physics, preset="default@4")
    total = found.history["total"][:, 0]
    assert total[-1] < 0.9 * total[0] and found.diverged == [None]
    assert is_random(physics, truth) == (family in ("noisy blur", "poisson"))


def test_their_inpainting_is_restored_as_our_mask(prior, truth):
    ours, theirs = Mask(HALF), FAMILIES["inpainting"]()
    y = degrade(theirs, truth[:2])
    assert torch.equal(y, ours.degrade(truth[:2]))
    found = [restore(prior, y, f, preset="default@2").image for f in (ours, theirs)]
    assert torch.equal(*found)


@pytest.mark.parametrize(
    "model",
    [
        lambda: deepinv.physics.GaussianNoise(0.1),
        lambda: deepinv.physics.UniformNoise(0.2),
        lambda: deepinv.physics.PoissonNoise(0.1),
        lambda: deepinv.physics.PoissonNoise(0.1, normalize=False),
        lambda: deepinv.physics.PoissonGaussianNoise(0.05, 0.1),
        lambda: deepinv.physics.GammaNoise(20),
        lambda: deepinv.physics.LaplaceNoise(0.1),
        lambda: deepinv.physics.RicianNoise(0.1),
        lambda: deepinv.physics.SaltPepperNoise(0.1, 0.2),
    ],
)
def test_the_surrogate_has_the_mean_and_the_variance_of_their_noise(model):
    physics = deepinv.physics.Denoising(model())
    x = torch.tensor([0.1, 0.5, 0.9]).repeat_interleave(3)[:, None, None].expand(9, 100, 100).reshape(3, 3, 100, 100)
    surrogate = interop.as_operator(physics).forward(x, seeded(3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        measured = physics(x)
    for a, b in zip(surrogate, measured, strict=True):  # 30000 numbers of one value of x each
        assert abs(a.mean() - b.mean()) < 0.02 * b.std() + 1e-4
        assert abs(a.std() / b.std() - 1) < 0.03


def test_noise_without_a_surrogate_is_said(prior, truth):
    physics = deepinv.physics.Denoising(deepinv.physics.FisherTippettNoise(5.0))
    words = "FisherTippettNoise of Denoising has no surrogate: the search compares y with A"
    with pytest.warns(RusrWarning, match=words):
        result = restore(prior, truth[:1], physics, preset="default@1")
    assert any(words in note for note in result.info["warnings"])


def test_noise_of_many_levels_is_refused():
    physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(torch.tensor([0.1, 0.2])))
    with pytest.raises(DegradationError, match=r"sigma of GaussianNoise is \[2\]: expected one number for all images"):
        interop.as_operator(physics).forward(images(2), seeded())


# ---- ours as theirs


OURS = [name for name in EVERY if "own" not in name and name[-2:] not in ("XS", " S", " L", "XL")]


@pytest.mark.parametrize("name", [slow_if("+" in name, name) for name in OURS])
def test_every_degradation_as_a_physics(name):
    f, x = EVERY[name], images()
    physics = interop.DegradationPhysics(f, seeded(2))
    assert isinstance(physics, deepinv.physics.Physics)
    y = physics(x)
    assert torch.equal(y, f.degrade(x, seeded(2))) and torch.equal(y, physics(x, seed=2))
    out = physics.A(x)
    assert torch.equal(out, physics.A(x)) and out.shape == y.shape
    if not is_random(f, x):
        assert torch.equal(out, f.forward(x))
    # the vector-Jacobian product is autograd's
    v = torch.rand(out.shape, generator=seeded(3))
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(physics.A(leaf), leaf, v)
    assert torch.equal(physics.A_vjp(x, v), expected)
    # deepinv's checks of any physics: gradients of a loss, the shape of a descent, a copy of its own
    torch.nn.functional.mse_loss(physics.A(leaf), y).backward()
    assert leaf.grad.isfinite().all()
    physics.max_iter = 2
    assert physics.A_dagger(y, x_init=x).shape == x.shape
    copy = physics.clone()
    assert type(copy) is type(physics) and copy.generator is not physics.generator
    assert torch.equal(copy(x, seed=5), physics(x, seed=5)) and torch.equal(copy.A(x), out)


def test_the_expected_image_is_the_mean_of_the_surrogates():
    f, x = Compose(PoissonBernoulliNoise(24, 0.16), Downsample(4)), images(1)
    draw = seeded(0)
    mean = sum(f.forward(x, draw) for _ in range(200)) / 200
    assert (mean - f.expected(x)).abs().mean() < 0.01
    assert (f.expected(x) - f.forward(x, draw)).abs().mean() > 0.02


def test_what_says_no_mean_cannot_be_theirs():
    class Grain:
        def forward(self, x, generator):
            return x + 0.1 * torch.randn(x.shape, generator=generator)

    class WithMean(Grain):
        def expected(self, x):
            return x

    class Unfinished(Degradation):
        random = True

        def forward(self, x, generator=None):
            return Grain().forward(x, generator)

    x = images(1)
    assert torch.equal(interop.DegradationPhysics(WithMean()).A(x), x)
    for f in (Grain(), Unfinished()):
        with pytest.raises(DegradationError, match="draws random numbers and says no mean: expected a method expected"):
            interop.DegradationPhysics(f).A(x)
    with pytest.raises(RandomnessError):
        interop.DegradationPhysics(PoissonBernoulliNoise(24, 0.1))(x)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_reconstructor_gives_what_restore_gives(prior, truth, context):
    f = Compose(Downsample(2), PoissonBernoulliNoise(96, 0.04))
    y = f.degrade(truth[:1], seeded(1))
    model = interop.RUSRReconstructor(prior, "default@2", seed=3)
    with context():
        found = model(y.clone(), interop.DegradationPhysics(f, seeded(1)))
    assert torch.equal(found, restore(prior, y, f, preset="default@2", seed=3).image) and not found.requires_grad


@pytest.mark.slow
def test_deepinv_tests_our_model(prior, truth):
    model = interop.RUSRReconstructor(prior, "default@2")
    for physics in (interop.DegradationPhysics(Downsample(2), seeded()), FAMILIES["inpainting"]()):
        pairs = list(zip(truth, degrade(physics, truth, seeded()), strict=True))
        loader = torch.utils.data.DataLoader(pairs, batch_size=2, generator=seeded())
        settings = dict(compare_no_learning=False, verbose=False, show_progress_bar=False)
        scores = deepinv.test(model, loader, physics, **settings)
        y = torch.stack([y for _, y in pairs])
        x = torch.cat([model(part, physics) for part in y.split(2)])
        psnr = -10 * ((x - truth).square().mean((1, 2, 3))).log10()
        assert scores["PSNR"] == pytest.approx(float(psnr.mean()), abs=0.05)


def test_without_deepinv_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv", None)
    monkeypatch.setitem(sys.modules, "deepinv.models", None)
    monkeypatch.delitem(sys.modules, "rusr_core.interop")
    from rusr_core.errors import RusrError

    with pytest.raises(RusrError, match=r"rusr_core.interop needs deepinv .*: pip install 'rusr\[deepinv\]'"):
        import rusr_core.interop  # noqa: F401

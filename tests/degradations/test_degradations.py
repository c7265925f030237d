"""One property test over all degradations, the golden arrays of the published ones, masks, and bad input."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from conftest import golden
from torch import Tensor

from rusr_core import tasks
from rusr_core.degradations import (
    JPEG,
    Compose,
    Degradation,
    DegradationError,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    Resize,
    Strokes,
    for_image,
    is_random,
    mask_of,
    notation,
)
from rusr_core.degradations.inpainting import draw
from rusr_core.degradations.noise import soft_clamp
from rusr_core.errors import RusrError
from rusr_core.images import quantize, resize, save_image
from rusr_core.randomness import RandomnessError, generators, normal, poisson, seeds, uniform

ARRAYS = golden("degradations")
LEVELS = dict(zip(tasks.LEVELS, tasks.TASKS["denoising"], strict=True))
PUBLISHED = "cvpr2023"
SIZE = 64


def picture() -> Tensor:
    return ARRAYS["in/image_u8"].float()[None] / 255


def images(num: int = 3, height: int = SIZE, width: int = SIZE) -> Tensor:
    """Different smooth pictures [N, 3, H, W] in [0, 1] with grain."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(num, 3, 5, 5, generator=generator)
    grain = 0.03 * torch.randn(num, 3, height, width, generator=generator)
    return (resize(coarse, (height, width), "bilinear") + grain).clamp(0.02, 0.98)


def half_mask(size: int = SIZE) -> Tensor:
    """The left half is visible."""
    return (torch.arange(size) < size // 2).float().expand(size, size)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10(((a - b) ** 2).mean().clamp_min(1e-10)))


class Vignette:
    """A user's own degradation: two methods, no base class, no registration."""

    def forward(self, x: Tensor, generator=None) -> Tensor:
        height, width = x.shape[-2:]
        rows = torch.linspace(-1, 1, height).to(x)[:, None]
        columns = torch.linspace(-1, 1, width).to(x)
        return x * (1 - 0.3 * (rows**2 + columns**2))

    def degrade(self, x: Tensor, generator=None) -> Tensor:
        return quantize(self.forward(x))


class GrainAndCrop:
    """A user's own with noise, another size, and a mask that it says how to move."""

    def forward(self, x: Tensor, generator=None) -> Tensor:
        noisy = x + 0.02 * normal(x.shape, generator, x)
        return noisy[..., 8:-8, 8:-8]

    def degrade(self, x: Tensor, generator=None) -> Tensor:
        return quantize(self.forward(x, generator))

    def transform_mask(self, mask: Tensor) -> Tensor:
        return mask[..., 8:-8, 8:-8]


EVERY = {
    **{str(task): task.degradation() for task in (*tasks.SINGLE, *tasks.COMPOSED)},
    **{f"{t} {PUBLISHED}": t.degradation(compat=PUBLISHED) for t in tasks.SINGLE if t.level == "M"},
    **{f"downsample {name}": Downsample(4, name) for name in ("bilinear", "bicubic", "lanczos")},
    **{f"resize {m}": Resize((24, 40), m) for m in ("area", "bilinear", "bicubic", "lanczos", "nearest")},
    "enlarge": Resize(96, "bicubic"),
    "mask": Mask(half_mask()),
    "mask, downsample, jpeg": Compose(Mask(half_mask()), Downsample(2, "bicubic"), JPEG(12)),
    "strokes, noise, strokes, resize": Compose(Strokes(3), PoissonBernoulliNoise(96, 0.04), Strokes(2, 1), Resize(40)),
    "strokes of each image": Compose(Strokes(5, seed=(7, 8, 9)), Downsample(4)),
    "identity": Compose(),
    "own": Vignette(),
    "own, composed": Compose(Vignette(), Downsample(2), GrainAndCrop(), Vignette()),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", EVERY)
def test_every_degradation(name):
    f, x = EVERY[name], images()
    kept = x.clone()
    y = f.degrade(x, seeded(0))
    leaf = x.clone().requires_grad_()
    out = f.forward(leaf, seeded(1))
    # shape and range; a file's 8 bit
    assert y.shape == out.shape and y.shape[:2] == (3, 3)
    assert torch.equal(y, quantize(y)) and not y.requires_grad and y.dtype == torch.float32
    assert out.isfinite().all() and out.min() > -0.35 and out.max() < 1.35
    assert torch.equal(x, kept)
    # a finite gradient that reaches every image
    weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((out * weights).sum(), leaf)
    assert gradient.isfinite().all() and (gradient.flatten(1).norm(dim=1) > 1e-3).all()
    # the same seed gives the same
    assert torch.equal(y, f.degrade(x, seeded(0)))
    assert torch.equal(out, f.forward(x, seeded(1)))
    # a batch is its images one by one, where nothing is drawn
    for i, one in enumerate(x.split(1)):
        alone = for_image(f, i)
        if not is_random(f, x):
            torch.testing.assert_close(alone.forward(one), out[i : i + 1].detach(), atol=2e-6, rtol=0)
        if "downsample:" not in str(f).replace("filter=bicubic", "") and not is_random(f, x):
            assert torch.equal(alone.degrade(one), y[i : i + 1])
    # the mask fits
    mask = mask_of(f, x)
    if mask is not None:
        assert mask.shape[2:] == y.shape[2:] and len(mask) in (1, 3) and 0 <= mask.min() and mask.max() <= 1
        hidden = (mask < 1e-6).expand(y.shape)
        if "jpeg" not in name and "resize" not in name:  # those spread light into the holes
            assert (y[hidden] < 0.05).all()


EXACT = {
    "downsample": Downsample(2),
    **{f"resize {m}": Resize((5, 7), m) for m in ("area", "bilinear", "bicubic", "lanczos", "nearest")},
    "strokes": Strokes(2, seed=3),
    "mask": Mask(half_mask(8)),
    "composed": Compose(Strokes(2), Downsample(2, "bicubic"), Mask(half_mask(4))),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_derivatives_equal_finite_differences(name):
    x = images(1, 8, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(EXACT[name], (x,))


# ---- the published behaviour, and the true operations, on the golden arrays


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_downsampling_equals_pillows(name, factor):
    f = Downsample(factor, name)
    expected = ARRAYS[f"down/true_{name.upper()}_x{factor}"].float() / 255
    assert torch.equal(f.degrade(picture())[0], expected)
    assert torch.equal(Downsample(factor, name, compat=PUBLISHED).degrade(picture())[0], expected)
    torch.testing.assert_close(f(picture())[0], ARRAYS[f"down/pred_x{factor}"], atol=1e-6, rtol=0)
    # measured on this picture: 32.5 dB (bilinear, 8) to 43.1 dB (bicubic, 2)
    assert psnr(f(picture())[0], expected) > 32


def test_the_published_file_truncates_and_ours_rounds():
    x = ARRAYS["in/image"][None]
    one = torch.ones(SIZE, SIZE)
    published = Strokes(0, compat=PUBLISHED).degrade(x)
    assert torch.equal(published[0], ARRAYS["cycle/image_u8_after_cycle_to_file"].float() / 255)
    assert torch.equal(Mask(one).degrade(x), quantize(x))
    assert not torch.equal(published, quantize(x))


def test_clamping_and_its_gradient():
    x = ARRAYS["clamp/in"].clone().requires_grad_()
    out = soft_clamp(x)
    out.backward(ARRAYS["clamp/grad_out"])
    assert torch.equal(out.detach(), ARRAYS["clamp/out"])
    torch.testing.assert_close(x.grad, ARRAYS["clamp/grad_in"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["", "_wide"])
def test_the_published_noise_surrogate_and_its_gradient(level, kind):
    f = PoissonBernoulliNoise(*LEVELS[level], compat=PUBLISHED)
    x = (ARRAYS["in/pred_wide"][None] if kind else picture()).requires_grad_()
    alive = (ARRAYS["noise/uniform"][None, :1] > f.p).float()
    out = f.approximate(x, ARRAYS["noise/normal"][None], alive)
    (out * ARRAYS["in/R"]).sum().backward()
    torch.testing.assert_close(out[0].detach(), ARRAYS[f"noise/pred{kind}_{level}"], atol=6e-7, rtol=0)
    torch.testing.assert_close(x.grad[0], ARRAYS[f"noise/grad{kind}_{level}"], atol=1.6e-5, rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_noise_draws_equal_the_published_ones(level):
    f = PoissonBernoulliNoise(*LEVELS[level], compat=PUBLISHED)
    k = ["XL", "L", "M", "S", "XS"].index(level)
    true = f.draw(picture(), torch.Generator().manual_seed(4000 + k))
    guess = f(picture(), torch.Generator().manual_seed(5000 + k))
    stored = f.degrade(picture(), torch.Generator().manual_seed(2024))
    torch.testing.assert_close(true[0], ARRAYS[f"noise/true_seed{4000 + k}_{level}"], atol=1e-6, rtol=0)
    torch.testing.assert_close(guess[0], ARRAYS[f"noise/approx_seed{5000 + k}_{level}"], atol=1e-6, rtol=0)
    expected = ARRAYS[f"noise/degrade_ground_truth_u8_{level}"]
    assert torch.equal((stored[0] * 255).round().byte(), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_the_noise_surrogate_has_the_true_mean_and_spread(level):
    """Over 100 draws, against the golden 2048; measured biases are in the docstring of the class."""
    photons, p = LEVELS[level]
    x = picture().expand(100, -1, -1, -1)
    for f, expected in (
        (PoissonBernoulliNoise(photons, p), "true"),
        (PoissonBernoulliNoise(photons, p, PUBLISHED), "approx"),
    ):
        draws = f(x, torch.Generator().manual_seed(1))
        mean, spread = (ARRAYS[f"noise/{expected}_{moment}_{level}"] for moment in ("mean", "var"))
        assert abs(float(draws.mean() - mean.mean())) < 0.0035
        assert abs(float(draws.var(0).mean() / spread.mean()) - 1) < 0.02
    true = PoissonBernoulliNoise(photons, p).draw(x, torch.Generator().manual_seed(2))
    assert abs(float(true.mean() - ARRAYS[f"noise/true_mean_{level}"].mean())) < 0.001


def test_half_a_photon_is_what_the_published_surrogate_lacks():
    f, published = PoissonBernoulliNoise(6, 0.64), PoissonBernoulliNoise(6, 0.64, compat=PUBLISHED)
    x = picture().expand(100, -1, -1, -1)
    true = f.draw(x, torch.Generator().manual_seed(2)).mean()
    ours = f(x, torch.Generator().manual_seed(3)).mean()
    theirs = published(x, torch.Generator().manual_seed(3)).mean()
    assert abs(ours - true) < 0.005 < 0.015 < abs(theirs - true)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("count", [1, 5, 9, 13, 17])
def test_strokes_are_drawn_as_published(size, count):
    """The published masks are drawn by OpenCV, ours are exact shapes: only edge pixels differ.

    Measured: mean difference 0.0002 to 0.006, largest 0.24.
    """
    brush = int(0.08 * size) + 0.25
    for i in range(3):
        ours = draw(ARRAYS[f"mask/strokes_r{size}_n{count}"][i].numpy(), (size, size), 4 * brush)
        expected = ARRAYS[f"mask/mask_r{size}_n{count}"][i].numpy()
        difference = np.abs(ours - expected)
        assert difference.max() < 0.25 and difference.mean() < 0.0065
        edge = (expected > 0.001) & (expected < 0.999)
        near = torch.nn.functional.max_pool2d(torch.from_numpy(edge)[None].float(), 3, 1, 1)[0].bool().numpy()
        assert difference[~near].max() < 0.02


def test_a_stroke_mask_is_applied_as_published():
    applied = Mask(ARRAYS["mask/mask_r64_n5"][0])(picture())[0]
    torch.testing.assert_close(applied, ARRAYS["mask/applied_r64_n5_seed0"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 5, 9, 13, 17])
def test_strokes_hide_as_much_as_published(count):
    hidden = []
    for seed in range(100):
        mask = Strokes(count, seed=seed, compat=PUBLISHED).mask((1, 3, SIZE, SIZE))
        hidden.append(1 - mask.mean().item())
    expected = ARRAYS[f"mask/hidden_fraction_200seeds_r64_n{count}"].numpy()
    error = np.sqrt(np.var(hidden) / len(hidden) + expected.var() / len(expected))
    assert abs(np.mean(hidden) - expected.mean()) < 3.5 * error


# ---- masks


def test_brushes_scale_with_the_image():
    hidden = [
        np.mean([1 - Strokes(9, seed=s).mask((1, 3, side, side)).mean().item() for s in range(8)])
        for side in (16, 64, 256)
    ]
    assert max(hidden) - min(hidden) < 0.01


def test_each_image_can_have_its_own_strokes():
    f = Strokes(5, seed=(3, 4))
    mask = f.mask((2, 3, SIZE, SIZE))
    assert torch.equal(mask[1:], Strokes(5, seed=4).mask((1, 3, SIZE, SIZE)))
    assert not torch.equal(mask[0], mask[1])
    assert len(Strokes(5, seed=3).mask((2, 3, SIZE, SIZE))) == 1  # one seed: one mask for all


def test_the_generator_does_not_move_the_strokes():
    x = images(2)
    a = Strokes(9).degrade(x, torch.Generator().manual_seed(0))
    assert torch.equal(a, Strokes(9).degrade(x, torch.Generator().manual_seed(1)))


def test_masks_travel_through_compositions():
    shape = (1, 3, SIZE, SIZE)
    early = Compose(Mask(half_mask()), Downsample(4))
    assert torch.equal(early.mask(shape)[0, 0], half_mask(16))
    resized = Compose(Mask(half_mask()), Resize(96, "bicubic"), JPEG(12)).mask(shape)
    assert torch.equal(resized[0, 0], half_mask(96))
    both = Compose(Mask(half_mask()), Downsample(2), Mask(half_mask(32).T.contiguous())).mask(shape)
    assert torch.equal(both[0, 0], half_mask(32) * half_mask(32).T)
    nested = Compose(Compose(Mask(half_mask()), Downsample(2)), Downsample(2))
    assert torch.equal(nested.mask(shape), early.mask(shape))
    cropped = Compose(Mask(half_mask()), GrainAndCrop()).mask(shape)
    assert torch.equal(cropped[0, 0], half_mask(48))
    assert Compose(Downsample(2), JPEG(12)).mask(shape) is None


def test_a_mask_may_come_from_a_file_or_be_the_users_attribute(tmp_path):
    save_image(half_mask().expand(1, 3, -1, -1), tmp_path / "mask.png")
    assert torch.equal(Mask(tmp_path / "mask.png")(picture()), Mask(half_mask())(picture()))

    class Own(Vignette):
        mask = half_mask()

    assert torch.equal(mask_of(Own(), torch.empty(2, 3, SIZE, SIZE))[0, 0], half_mask())


def test_the_mask_holds_still_when_its_source_changes():
    source = half_mask().clone()
    f = Mask(source)
    source.zero_()
    assert f.mask((1, 3, SIZE, SIZE)).mean() == 0.5


# ---- compositions, randomness, notation


def test_a_composition_applies_left_to_right_and_stores_8_bit_after_every_stage():
    x = images(1)
    a, b, c = Downsample(2, "bicubic"), PoissonBernoulliNoise(24, 0.16), JPEG(12)
    f = Compose(a, b, c)
    step = b.degrade(a.degrade(x), seeded(3))
    assert torch.equal(f.degrade(x, torch.Generator().manual_seed(3)), c.degrade(step))
    assert torch.equal(f(x, seeded(3)), c(b(a(x), seeded(3))))

    class Unrounded(Vignette):
        def degrade(self, x: Tensor, generator=None) -> Tensor:
            return self.forward(x)

    stored = quantize(Vignette().forward(x))
    assert torch.equal(Compose(Unrounded()).degrade(x), stored)
    grey = Mask(torch.full((SIZE, SIZE), 0.5))
    assert torch.equal(Compose(Unrounded(), grey).degrade(x), grey.degrade(stored))


def test_the_random_filter_is_drawn_for_each_image():
    x = picture().expand(24, -1, -1, -1)
    y = Downsample(4).degrade(x, torch.Generator().manual_seed(0))
    kinds = [Downsample(4, name).degrade(picture())[0] for name in ("bilinear", "bicubic", "lanczos")]
    counts = [sum(torch.equal(image, kind) for image in y) for kind in kinds]
    assert sum(counts) == 24 and min(counts) >= 3


def test_what_draws_needs_a_generator():
    x = torch.full((1, 3, 8, 8), 0.5)
    for f in (PoissonBernoulliNoise(24, 0.5), Compose(JPEG(12), PoissonBernoulliNoise(24, 0.5))):
        for call in (f, f.forward, f.degrade):
            with pytest.raises(RandomnessError, match="need a generator, got None; expected torch.Generator"):
                call(x)
    with pytest.raises(RandomnessError, match="need a generator"):
        Downsample(4).degrade(x)
    assert Downsample(4, "bicubic").degrade(x).shape == Downsample(4)(x).shape == (1, 3, 2, 2)


def test_random_numbers_are_what_torch_draws():
    like = torch.empty(0, dtype=torch.float64)
    assert torch.equal(normal((3, 5), seeded(4), like), torch.randn(3, 5, generator=seeded(4)).double())
    assert torch.equal(uniform((3, 5), seeded(4), like), torch.rand(3, 5, generator=seeded(4)).double())
    rate = torch.full((2, 10), 4.0)
    assert torch.equal(poisson(rate, seeded(4)), torch.poisson(rate, generator=seeded(4)))
    assert [g.initial_seed() for g in generators(4, 2, start=1)] == seeds(4, 3)[1:]


@pytest.mark.parametrize("name", [name for name in EVERY if "own" not in name and name[:4] != "mask"])
def test_notation_is_read_back(name):
    f = EVERY[name]
    assert notation.parse(str(f)) == f


def test_notation(tmp_path):
    f = notation.parse(" downsample:8,bicubic | noise:24, 0.16|JPEG:quality=12 | strokes:9,seed=3,width=0.1 ")
    expected = (Downsample(8, "bicubic"), PoissonBernoulliNoise(24, 0.16), JPEG(12), Strokes(9, 3, 0.1))
    assert f == Compose(*expected)
    assert str(f) == "downsample:8,filter=bicubic | noise:24,0.16 | jpeg:12 | strokes:9,seed=3,width=0.1"
    assert notation.parse("jpeg:12,compat=cvpr2023") == JPEG(12, compat=PUBLISHED)
    assert notation.parse("resize:24+40,area") == Resize((24, 40), "area")
    assert notation.parse("strokes:9,seed=3+4") == Strokes(9, seed=(3, 4))
    save_image(half_mask().expand(1, 3, -1, -1), tmp_path / "m.png")
    assert str(notation.parse(f"mask:{tmp_path}/m.png | jpeg:9")) == f"mask:{tmp_path}/m.png | jpeg:9"


# ---- bad input: one line, with what was found and what was expected

BAD = {
    "jpg:12": (lambda: notation.parse("jpg:12"), "unknown degradation 'jpg'.*did you mean 'jpeg'"),
    "jpeg:high": (lambda: notation.parse("jpeg:high"), "quality must be a whole number, got 'high'"),
    "jpeg": (lambda: notation.parse("jpeg"), "'jpeg': quality missing; jpeg takes quality, sampling, compat"),
    "empty": (lambda: notation.parse(""), "unknown degradation ''"),
    "trailing bar": (lambda: notation.parse("jpeg:12 |"), "unknown degradation ''"),
    "too many": (lambda: notation.parse("noise:24,0.16,x,9"), "compat must be|cannot use"),
    "twice": (lambda: notation.parse("jpeg:12,quality=9"), "cannot use 'quality=9'"),
    "noise:24": (lambda: notation.parse("noise:24"), "p missing"),
    "noise:24,nan": (lambda: notation.parse("noise:24,nan"), r"p must be a number in \[0, 1\), got nan"),
    "seeds": (lambda: notation.parse("strokes:9,seed=a+b"), "seed must be a whole number, or several"),
    "mask file": (lambda: notation.parse("mask:nowhere.png"), "nowhere.png: no such file"),
    "factor": (lambda: Downsample(0), "factor must be a whole number from 1, got 0"),
    "factor type": (lambda: Downsample(2.5), "factor must be a whole number from 1, got 2.5"),
    "filter": (lambda: Downsample(2, "cubic"), "filter must be one of bilinear.*got 'cubic'"),
    "photons": (lambda: PoissonBernoulliNoise(0, 0.1), "photons must be a number above 0, got 0"),
    "p": (lambda: PoissonBernoulliNoise(6, 1.0), r"p must be a number in \[0, 1\), got 1.0"),
    "quality": (lambda: JPEG(101), "quality must be a whole number from 1 to 100, got 101"),
    "compat": (lambda: JPEG(12, compat="2023"), "compat must be None or 'cvpr2023', got '2023'"),
    "count": (lambda: Strokes(-1), "count must be a whole number from 0, got -1"),
    "width": (lambda: Strokes(1, width=0), "width must be .*got 0"),
    "seed": (lambda: Strokes(1, seed=-1), "seed must be .*got -1"),
    "resize": (lambda: Resize(0), "size must be .*got 0"),
    "mode": (lambda: Resize(8, "cubic"), "mode must be one of area.*got 'cubic'"),
    "mask range": (lambda: Mask(torch.full((4, 4), 255.0)), r"must lie in \[0, 1\], got \[255, 255\]"),
    "mask NaN": (lambda: Mask(torch.full((4, 4), float("nan"))), "must lie in"),
    "mask shape": (lambda: Mask(torch.rand(1, 3, 4, 4, generator=seeded())), r"got \[1, 3, 4, 4\]"),
    "mask size": (lambda: Mask(half_mask(32))(picture()), "the mask is 1 x 32x32 px, the image 1 x 64x64 px"),
    "seeds of a batch": (lambda: Strokes(1, seed=(1, 2))(picture()), "2 seeds for 1 images"),
    "not divisible": (lambda: Downsample(3)(picture()), "64x64 px cannot be reduced by 3"),
    "not divisible, true": (lambda: Downsample(3).degrade(picture()), "64x64 px cannot be reduced by 3"),
    "no batch": (
        lambda: JPEG(12)(picture()[0]),
        r"expected images \[N, 3, H, W\] of floats, got \[3, 64, 64\]",
    ),
    "bytes": (lambda: JPEG(12).degrade(ARRAYS["in/image_u8"][None]), "of floats, got .* torch.uint8"),
    "NaN": (lambda: JPEG(12).degrade(picture() * float("nan")), "the image holds NaN"),
    "not a degradation": (lambda: Compose(JPEG(12), 3), r"a function of x or has a method forward\(x\); 3 has none"),
    "a class": (lambda: Compose(JPEG), r"JPEG is a class; expected a degradation, as JPEG\(...\)"),
    "text": (lambda: Compose("jpeg:12"), "got the text 'jpeg:12'; degradations.parse makes one of it"),
    "generators": (lambda: PoissonBernoulliNoise(6, 0.1)(picture(), [seeded()]), "expected one torch.Generator on"),
    "generator type": (lambda: PoissonBernoulliNoise(6, 0.1)(picture(), 3), "expected one torch.Generator .* got 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(name):
    call, message = BAD[name]
    with pytest.raises(RusrError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_mask_of_a_wrong_form_is_an_error_in_a_degradation_and_not_used_elsewhere():
    @dataclass
    class Own(Vignette):
        mask: object

    @dataclass
    class Inherits(Own, Degradation):
        pass

    x = torch.empty(2, 3, SIZE, SIZE)
    for mask in (torch.ones(3, 3, SIZE, SIZE), "left", torch.ones(5, 1, SIZE, SIZE), torch.full((SIZE, SIZE), 2.0)):
        with pytest.raises(DegradationError, match="a mask must be"):
            mask_of(Inherits(mask), x)
        with pytest.warns(UserWarning, match=r"is not used; a mask is \[64, 64\] or \[2 or 1, 1, 64, 64\]"):
            assert mask_of(Own(mask), x) is None


@pytest.mark.parametrize("task", tasks.SINGLE + tasks.COMPOSED, ids=str)
def test_which_surrogates_draw(task):
    assert is_random(task.degradation(), torch.empty(2, 3, 64, 64)) == ("N" in task.letters)

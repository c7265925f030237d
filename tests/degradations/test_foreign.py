"""Operators as others write them: functions, modules, noise of every kind, deepinv; alone, composed, in a batch."""

import functools

import numpy as np
import pytest
import torch
from conftest import seeded
from degradation_examples import SIZE, Vignette, images
from torch import Tensor

from rusr_core.degradations import (
    JPEG,
    Compose,
    DegradationError,
    Downsample,
    as_operator,
    degrade,
    from_deepinv,
    is_random,
    mask_of,
    shape_after,
)
from rusr_core.images import quantize
from rusr_core.randomness import RandomnessError


class WithoutGenerator:
    def forward(self, x):
        return x / 2


class NoiseFromTheGenerator:
    def forward(self, x, generator=None):
        return x + 0.1 * torch.randn(x.shape, generator=generator)


class NoiseLikeABeginner:
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class NoiseModule(torch.nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class Measures(WithoutGenerator):
    def degrade(self, x, generator=None):
        return quantize((self.forward(x) + 0.1 * torch.randn(x.shape, generator=generator)).clamp(0, 1))


def with_generator(x, generator):
    return x + 0.1 * torch.randn(x.shape, generator=generator)


def by_another_name(x, g):
    return with_generator(x, g)


def with_numpy(x):
    return x + 0.1 * torch.from_numpy(np.random.randn(*x.shape)).to(x)


QUIET = {
    "lambda": lambda x: x / 2,
    "function": torch.sqrt,
    "forward without generator": WithoutGenerator(),
    "module": torch.nn.AvgPool2d(2),
    "modules": torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.ReflectionPad2d(3)),
    "partial": functools.partial(torch.mul, 0.5),
    "own measurement": Measures(),
}
NOISY = {
    "generator": NoiseFromTheGenerator(),
    "required generator": with_generator,
    "second argument": by_another_name,
    "randn_like": NoiseLikeABeginner(),
    "lambda, randn_like": lambda x: x + 0.1 * torch.randn_like(x),
    "module": NoiseModule(),
    "dropout": torch.nn.Dropout(0.3),
    "numpy": with_numpy,
}


@pytest.mark.parametrize("name", QUIET)
def test_what_draws_nothing_needs_no_generator(name):
    f, x = QUIET[name], images(2)
    operator = as_operator(f, x)
    assert not is_random(f, x) and mask_of(f, x) is None
    leaf = x.clone().requires_grad_()
    out = operator.forward(leaf)
    out.sum().backward()
    assert leaf.grad.abs().sum() > 0 and out.shape == shape_after(f, x)
    assert torch.equal(out, operator.forward(x, seeded())) and torch.equal(out, operator(x))
    y = degrade(f, x, seeded())
    assert torch.equal(y, quantize(y)) and y.shape == out.shape
    composed = Compose(f, Downsample(2, "bicubic"), JPEG(12))
    assert torch.equal(composed(x), JPEG(12)(Downsample(2)(out)))


@pytest.mark.parametrize("name", NOISY)
def test_noise_of_every_kind_is_fixed_by_the_generator(name):
    f, x = NOISY[name], images(2)
    operator = as_operator(f, x)
    assert is_random(f, x)
    for call in (operator, Compose(f, JPEG(50)), operator.degrade, Compose(JPEG(50), f).degrade):
        one, same, other = (call(x, seeded(s)) for s in (1, 1, 2))
        assert torch.equal(one, same) and not torch.equal(one, other)
        assert not torch.equal(one[0] - x[0], one[1] - x[1])  # the images of a batch draw in turn
        generator = seeded(1)
        call(x, generator)
        assert not torch.equal(call(x, generator), one)  # and so do calls
        with pytest.raises(RandomnessError, match="random numbers need a generator, got None"):
            call(x)


def test_a_generator_gives_what_torch_draws_with_it():
    x = images(1)
    expected = x + 0.1 * torch.randn(x.shape, generator=seeded(3))
    for f in (NoiseFromTheGenerator(), with_generator, by_another_name):
        assert torch.equal(as_operator(f, x)(x, seeded(3)), expected)


def test_gradients_pass_through_noise():
    x = images(1).requires_grad_()
    as_operator(NoiseLikeABeginner())(x, seeded()).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


def test_random_numbers_of_their_own_are_warned_of():
    own = torch.Generator().manual_seed(0)
    with pytest.warns(UserWarning, match="draws random numbers of its own, which no seed repeats"):
        assert is_random(lambda x: x + torch.randn(x.shape, generator=own), images(1))


def test_randomness_that_is_stated_is_not_tried():
    class Says(Vignette):
        random = True

    assert is_random(Says(), images(1))


def test_an_operator_is_tried_once():
    calls = []
    f = as_operator(lambda x: calls.append(x.shape) or x / 2, images(3))
    tried = len(calls)
    for _ in range(3):
        mask_of(f, images(3)), shape_after(f, images(3)), is_random(f, images(3))
    assert len(calls) == tried and set(calls) == {(1, 3, SIZE, SIZE)}  # on one image


def test_each_image_by_its_own_method():
    class Shifts:
        def __init__(self, steps=(0, 1, 2)):
            self.steps = steps

        def for_image(self, i):
            return Shifts((self.steps[i],))

        def forward(self, x):
            return torch.cat([one.roll(step, 3) for one, step in zip(x.split(1), self.steps, strict=True)])

    x, f = images(3), Compose(Shifts(), JPEG(50))
    assert torch.equal(torch.cat([f.for_image(i)(one) for i, one in enumerate(x.split(1))]), f(x))


class OnAnotherDevice:
    """What an operator with weights on a GPU does to an image on the CPU."""

    def __init__(self, device: str) -> None:
        self.weight = torch.ones(1, device=device)

    def forward(self, x: Tensor) -> Tensor:
        if x.device != self.weight.device:
            raise RuntimeError("Expected all tensors to be on the same device, but found cpu and cuda:0!")
        return x * self.weight


def test_an_operator_is_tried_on_the_device_of_the_images():
    f = Compose(OnAnotherDevice("meta"), Downsample(2))
    x = torch.empty(2, 3, SIZE, SIZE, device="meta")
    assert shape_after(f, x) == (2, 3, SIZE // 2, SIZE // 2) and not is_random(f, x)
    with pytest.raises(
        DegradationError, match=r"\[1, 3, 64, 64\] torch.float32 on cpu: Expected all tensors"
    ) as caught:
        as_operator(OnAnotherDevice("meta"), images(1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda x: x.to("meta"), "gives an image on meta for one on cpu"),
        (lambda x: x.mean(1, keepdim=True), r"gives \[1, 1, 64, 64\] .*; expected an image \[1, 3, h, w\] of floats"),
        (lambda x: x[0], r"gives \[3, 64, 64\]"),
        (lambda x: (x * 255).byte(), "torch.uint8; expected an image"),
        (lambda x: x.numpy(), "gives ndarray; expected a tensor"),
        (lambda x: None, "gives NoneType; expected a tensor"),
        (lambda x: x / 0 * 0, "gives NaN or infinity"),
        (lambda x: 255 * x, "gives values about 127"),
        (lambda x, strength, more: x, "cannot be applied to an image .* missing 1 required positional argument"),
        (torch.nn.Linear(3, 3), "Linear cannot be applied to an image .*: mat1 and mat2"),
    ],
)
def test_what_is_no_operator_is_one_clear_line(f, message):
    for given in (f, Compose(f), Compose(JPEG(12), f)):
        with pytest.raises(DegradationError, match=message) as caught:
            as_operator(given, images(1))
        assert "\n" not in str(caught.value)


class Measured:
    """Its surrogate is fine; its true operation, which a search never calls, gives `result(x)`."""

    def __init__(self, result):
        self.result = result

    def forward(self, x):
        return x

    def degrade(self, x):
        return self.result(x)


@pytest.mark.parametrize(
    "result, message",
    [
        (lambda x: None, "degrade of Measured gives NoneType; expected a tensor"),
        (lambda x: x.numpy(), "degrade of Measured gives ndarray; expected a tensor"),
        (lambda x: x[0], r"gives \[3, 64, 64\] torch.float32; expected .*\[\d, 3, h, w\] of floats"),
        (lambda x: (x * 255).byte(), r"gives \[\d, 3, 64, 64\] torch.uint8; expected"),
        (lambda x: x[:0], r"gives \[0, 3, 64, 64\]"),
        (lambda x: torch.cat([x, x]), r"gives \[\d, 3, 64, 64\] torch.float32; expected"),
        (lambda x: x * float("nan"), "gives NaN or infinity"),
        (lambda x: 255 * x, r"gives values about [\d.]+ for an image"),
        (lambda x: x[..., ::2], "degrade of Measured gives 64x32 px, its surrogate 64x64: expected one size"),
        (lambda x: x + "a", "cannot be applied to an image"),
    ],
)
def test_a_true_operation_gives_images_or_one_clear_line(result, message):
    for f, num in ((Measured(result), 1), (Measured(result), 2), (Compose(Measured(result), JPEG(12)), 2)):
        with pytest.raises(DegradationError, match=message) as caught:
            degrade(f, images(num))
        assert "\n" not in str(caught.value)


def test_a_surrogate_of_another_range_is_not_rounded_to_white():
    for f in (lambda x: 255 * x, Compose(JPEG(90), lambda x: 255 * x)):
        with pytest.raises(DegradationError, match=r"gives values about [\d.]+ for an image"):
            degrade(f, images(2))


# ---- deepinv, if it is there


def physics(kind: str):
    deepinv = pytest.importorskip("deepinv")
    mask = (torch.rand(1, SIZE, SIZE, generator=seeded()) > 0.3).float()
    noise = deepinv.physics.GaussianNoise(0.1)
    size = (3, SIZE, SIZE)
    return {
        "inpainting": lambda: deepinv.physics.Inpainting(size, mask=mask),
        "inpainting of colours": lambda: deepinv.physics.Inpainting(
            size, mask=mask.expand(3, -1, -1), noise_model=noise
        ),
        "downsampling": lambda: deepinv.physics.Downsampling(size, filter="bicubic", factor=4),
        "denoising": lambda: deepinv.physics.Denoising(noise),
        "poisson": lambda: deepinv.physics.Denoising(deepinv.physics.PoissonNoise(0.1)),
    }[kind](), mask


@pytest.mark.parametrize("kind", ["inpainting", "inpainting of colours", "downsampling", "denoising", "poisson"])
@pytest.mark.filterwarnings("error")
def test_deepinvs_physics(kind):
    (f, mask), x = physics(kind), images(2)
    expected = f.A(x)
    noisy = kind in ("inpainting of colours", "denoising", "poisson")
    for operator in (f, from_deepinv(f)):
        assert is_random(operator, x) is noisy  # of the size of their noise, see tests/test_interop.py
        surrogate = as_operator(operator, x)(x, seeded(1))
        assert torch.equal(surrogate, expected) is not noisy and (surrogate - expected).abs().mean() < 0.25
        assert torch.equal(as_operator(operator).expected(x), expected)
        y = degrade(operator, x, seeded(1))
        assert torch.equal(y, quantize(y)) and torch.equal(y, degrade(operator, x, seeded(1)))
        assert torch.equal(y, quantize(expected.clamp(0, 1))) is not noisy
        assert torch.equal(y, degrade(operator, x, seeded(2))) is not noisy
        found = mask_of(operator, x)
        assert (found is not None) == ("inpainting" in kind)
        assert found is None or torch.equal(found[0], mask)
        assert Compose(operator, JPEG(12)).degrade(x, seeded()).shape == expected.shape
    if noisy:
        with pytest.raises(RandomnessError):
            degrade(f, x)

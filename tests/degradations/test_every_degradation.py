"""One property test over all degradations: shape, range, gradient, determinism, batches, masks."""

import numpy as np
import pytest
import torch
from conftest import seeded
from degradation_examples import EVERY, half_mask, images

from rusr_core import tasks
from rusr_core.degradations import (
    JPEG,
    Compose,
    Downsample,
    Mask,
    PoissonBernoulliNoise,
    Resize,
    Strokes,
    for_image,
    is_random,
    mask_of,
)
from rusr_core.images import quantize
from rusr_core.randomness import RandomnessError


def draws_truly(f, x) -> bool:
    """Whether the true operation draws random numbers."""
    try:
        f.degrade(x)
    except RandomnessError:
        return True
    return False


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
    draws = draws_truly(f, x)
    for i, one in enumerate(x.split(1)):
        alone = for_image(f, i)
        if not is_random(f, x):
            torch.testing.assert_close(alone.forward(one), out[i : i + 1].detach(), atol=2e-6, rtol=0)
        if not draws:
            assert torch.equal(alone.degrade(one), y[i : i + 1])
    # the mask fits
    mask = mask_of(f, x)
    if mask is not None:
        assert mask.shape[2:] == y.shape[2:] and len(mask) in (1, 3) and 0 <= mask.min() and mask.max() <= 1
        hidden = (mask < 1e-6).expand(y.shape)
        if "jpeg" not in name and "resize" not in name:  # those spread light into the holes
            assert (y[hidden] < 0.05).all()


@pytest.mark.parametrize("name", EVERY)
def test_every_degradation_under_torch_func(name):
    f, x = EVERY[name], images()
    out, pull = torch.func.vjp(lambda x: f.forward(x, seeded(1)), x)
    weights = torch.rand(out.shape, generator=seeded(2))
    (found,) = pull(weights)
    leaf = x.clone().requires_grad_()
    expected = f.forward(leaf, seeded(1))
    assert torch.equal(out, expected)
    assert torch.equal(found, *torch.autograd.grad(expected, leaf, weights))
    # a kept mask or table is a tensor of nobody: it serves a second transform, and numpy
    with torch.inference_mode():
        assert torch.equal(f.forward(x, seeded(1)), expected)
    assert torch.equal(torch.func.vjp(lambda x: f.forward(x, seeded(1)), x)[1](weights)[0], found)


def test_what_is_first_made_under_a_transform_is_kept_for_all():
    f, x = Compose(Strokes(4, seed=12345), JPEG(37)), images(1, 40, 48)  # a seed, a size and a table of this test alone
    torch.func.vjp(f, x)
    assert isinstance(mask_of(f, x).numpy(), np.ndarray)
    leaf = x.clone().requires_grad_()
    torch.autograd.grad(f(leaf).sum(), leaf)


@pytest.mark.parametrize("f", [PoissonBernoulliNoise(24, 0.16), JPEG(12), Strokes(5)], ids=str)
def test_forward_derivatives_are_the_transposed_ones(f):
    x = images(1)
    out, pull = torch.func.vjp(lambda x: f.forward(x, seeded(1)), x)
    u, v = torch.rand(x.shape, generator=seeded(3)), torch.rand(out.shape, generator=seeded(4))
    _, pushed = torch.func.jvp(lambda x: f.forward(x, seeded(1)), (x,), (u,))
    torch.testing.assert_close((pushed * v).sum(), (pull(v)[0] * u).sum(), rtol=1e-4, atol=0)


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


@pytest.mark.parametrize("task", tasks.SINGLE + tasks.COMPOSED, ids=str)
def test_which_surrogates_draw(task):
    assert is_random(task.degradation(), torch.empty(2, 3, 64, 64)) == ("N" in task.letters)

"""Filters with a change of the sampling rate, against PyTorch's convolutions."""

import pytest
import torch
import torch.nn.functional as F

from rusr_core.generator.resample import downsample, upsample


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_same(found: torch.Tensor, expected: torch.Tensor, x: torch.Tensor) -> None:
    """Values and gradients."""
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=1e-10)
    weights = random(*found.shape, seed=2)
    gradients = [torch.autograd.grad((y * weights).sum(), x, retain_graph=True)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("factor, crop", [(2, 0), (2, 2), (2, 3), (4, 29), (8, 5), (1, 2)])
def test_upsampling(factor, crop):
    x, taps = random(2, 3, 31, 20).requires_grad_(), random(6 * factor, seed=1)  # no symmetry is asked of the taps
    weight = (taps * factor)[None, None, :, None].expand(3, -1, -1, -1)
    expected = F.conv_transpose2d(x, weight, stride=(factor, 1), padding=(crop, 0), groups=3)
    expected = F.conv_transpose2d(expected, weight.mT, stride=(1, factor), padding=(0, crop), groups=3)
    assert_same(upsample(x, taps, factor, crop), expected, x)
    assert_same(upsample(x, taps, factor, crop, gain=-3), -3 * expected, x)


@pytest.mark.parametrize("size", [30, 31, 36])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("radial", [False, True])
def test_downsampling(factor, size, radial):
    x, taps = random(2, 3, size + 9, size).requires_grad_(), random(6 * factor, seed=1)
    window = taps[:, None] * taps
    expected = F.conv2d(x, window.expand(3, 1, -1, -1), stride=factor, groups=3)
    assert_same(downsample(x, window if radial else taps, factor), expected, x)


def test_gradients_of_gradients():
    x, taps = random(1, 1, 9, 9).requires_grad_(), random(12, seed=1)
    with torch.random.fork_rng(devices=[]):  # the check draws
        assert torch.autograd.gradgradcheck(lambda x: downsample(upsample(x.sin(), taps, 2, 2).square(), taps, 2), x)

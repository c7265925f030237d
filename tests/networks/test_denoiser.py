"""The denoiser: preconditioning, the linear denoiser in it, files."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rusr_core.checkpoints import CheckpointError, load_denoiser, load_portrait_net, save_denoiser
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig, DenoiserError, Wiener

TINY = DenoiserConfig((16, 32), 1, 4, features=2, head=4, embedding=8, coarse=8, modes=20, resolution=32)


@pytest.fixture
def denoiser() -> Denoiser:
    """Random weights of ordinary size, and modes of a random Gaussian; frozen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = Denoiser(TINY)
        made.wiener.fit(0.3 * torch.randn(100, 3, 8, 8))
    return made.eval().requires_grad_(False)


def noisy(num: int = 3) -> torch.Tensor:
    return torch.randn(num, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_preconditioning_is_that_of_edm_about_the_linear_denoiser(denoiser):
    x, sigma, std = noisy(), torch.tensor([0.02, 0.7, 30.0]), TINY.data_std
    s = sigma.view(-1, 1, 1, 1)
    linear = F.interpolate(denoiser.wiener(x, sigma), size=32, mode="bilinear")
    guess = F.interpolate(denoiser.wiener(x, sigma) / std, size=8, mode="bilinear")
    raw = denoiser.net(x / (s**2 + std**2).sqrt(), sigma.log() / 4, guess)
    expected = (std**2 * x + s**2 * linear) / (s**2 + std**2) + s * std / (s**2 + std**2).sqrt() * raw
    assert torch.allclose(denoiser(x, sigma), expected, atol=1e-5)
    assert (denoiser(x, 1e-4) - x).abs().max() < 1e-3  # without noise there is nothing to do


def test_images_of_a_batch_are_independent_and_so_are_their_levels(denoiser):
    x, sigma = noisy(), torch.tensor([0.1, 1.0, 10.0])
    alone = torch.cat([denoiser(x[i : i + 1], sigma[i].item()) for i in range(3)])
    assert torch.allclose(denoiser(x, sigma), alone, atol=1e-5)


def test_derivative_against_finite_differences(denoiser):
    x, direction = noisy(1).double().requires_grad_(), noisy(2)[1:].double()
    double = denoiser.double()
    (slope,) = torch.autograd.grad((double(x, 0.5) * direction).sum(), x)
    step = 1e-5 * torch.ones_like(x)
    numeric = ((double(x + step, 0.5) - double(x - step, 0.5)) * direction).sum() / 2e-5
    assert slope.sum().item() == pytest.approx(numeric.item(), rel=1e-6)


def test_linear_denoiser_is_the_mean_of_the_gaussian_posterior():
    """Against numpy: block means are Gaussian with the sample covariance; a block of 4 px has noise of sigma / 4."""
    config = DenoiserConfig((16,), 1, 4, coarse=2, modes=12, resolution=8)  # all modes; blocks of 4 x 4 px
    g = torch.Generator().manual_seed(0)
    mixing = torch.randn(12, 12, generator=g) / 3
    reduced = (torch.randn(400, 12, generator=g) @ mixing + 0.2).view(400, 3, 2, 2)
    wiener = Wiener(config)
    wiener.fit(reduced)
    x, sigma = torch.randn(2, 3, 8, 8, generator=g), 0.8
    data = reduced.flatten(1).double().numpy()
    mean, covariance = data.mean(0), np.cov(data.T, bias=True)
    seen = x.view(2, 3, 2, 4, 2, 4).mean((3, 5)).flatten(1).double().numpy()
    gain = covariance @ np.linalg.inv(covariance + (sigma / 4) ** 2 * np.eye(12))
    expected = mean + (seen - mean) @ gain.T
    assert np.allclose(wiener(x, torch.full((2,), sigma)).flatten(1).numpy(), expected, atol=1e-5)


def test_default_has_about_four_million_parameters_and_fits_into_8_mb():
    with torch.device("meta"):
        net = Denoiser()
    assert 3.5e6 < sum(p.numel() for p in net.parameters()) < 4.1e6
    assert 2 * sum(t.numel() for t in net.state_dict().values()) < 8e6


def test_files_keep_it_up_to_the_rounding_to_float16(denoiser, tmp_path):
    save_denoiser(denoiser, tmp_path / "d.safetensors", {"images": "7"})
    again = load_denoiser(tmp_path / "d.safetensors")
    assert again.config == TINY and not again.training and not any(p.requires_grad for p in again.parameters())
    for level in (0.05, 1.0, 30.0):
        assert (again(noisy(), level) - denoiser(noisy(), level)).abs().max() < 5e-3
    with pytest.raises(CheckpointError, match="rusr-denoiser.*expected 'rusr-portrait-net'"):
        load_portrait_net(tmp_path / "d.safetensors")


def test_what_does_not_fit_is_said(denoiser):
    with pytest.raises(DenoiserError, match=r"\[N, 3, 32, 32\], got \[1, 3, 16, 16\]"):
        denoiser(torch.zeros(1, 3, 16, 16), 1.0)
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DenoiserError, match="one positive number"):
            denoiser(noisy(), sigma)
    for wrong in ({"widths": (17,)}, {"blocks": 0}, {"resolution": 100}, {"data_std": 0.0}, {"patch": 2.0}):
        with pytest.raises(DenoiserError, match="expected"):
            DenoiserConfig(**wrong)
    for text in ("", "{}}", '{"widths": 3}', '{"other": 1}'):
        with pytest.raises(DenoiserError, match="not the configuration of a denoiser"):
            DenoiserConfig.from_json(text)
    state = denoiser.state_dict()
    state.pop("net.out.bias")
    with pytest.raises(DenoiserError, match="'net.out.bias' is missing"):
        Denoiser.from_state(TINY, state)

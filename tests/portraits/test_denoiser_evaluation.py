"""What a denoiser is measured by: the linear denoiser and the sampler, against formulas; the program."""

import json
import sys

import pytest
import torch

from rusr_core.checkpoints import load_denoiser, save_denoiser
from rusr_core.files import data_path
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from tools.portraits import evaluate_denoiser
from tools.portraits.evaluate_denoiser import HIGH, sample
from tools.portraits.training.denoising import LEVELS
from tools.portraits.training.linear_denoiser import LinearDenoiser


def test_linear_denoiser_is_the_posterior_mean_of_its_gaussian():
    """With one block it is the full Gaussian's but for the correlation of mean and rest, which is left out here."""
    g = torch.Generator().manual_seed(0)
    images = 0.1 + torch.randn(400, 3, 1, 1, generator=g) * 0.5 + 0.2 * torch.randn(400, 3, 8, 8, generator=g)
    x, sigma = torch.randn(5, 3, 8, 8, generator=g), 0.3
    flat = images.flatten(1).double()
    level = torch.kron(torch.eye(3), torch.full((64, 64), 1 / 64)).double()  # onto the block's mean
    rest = torch.eye(192, dtype=torch.float64) - level
    mean, expected = flat.mean(0), torch.zeros(5, 192, dtype=torch.float64)
    for part in (level, rest):
        covariance = part @ torch.cov(flat.T, correction=0) @ part
        gain = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(192, dtype=torch.float64))
        expected += part @ mean + (x.flatten(1).double() - mean) @ part @ gain.T
    assert torch.allclose(LinearDenoiser(images)(x, sigma).flatten(1).double(), expected, atol=1e-6)


def test_places_have_their_own_statistics():
    g = torch.Generator().manual_seed(0)
    images = torch.zeros(50, 3, 16, 16)
    images[..., 8:] = torch.randn(50, 3, 16, 8, generator=g)
    denoised = LinearDenoiser(images)(images[:4] + 0.5 * torch.randn(4, 3, 16, 16, generator=g), 0.5)
    assert denoised[..., :8].abs().max() < 1e-6 and denoised[..., 8:].std() > 0.5


def test_samples_of_a_gaussian_denoiser_have_its_variance():
    """The flow of N(0.2, s^2) multiplies the noise by s / sqrt(HIGH^2 + s^2) on its way down, 40 steps a bit more."""
    s, noise = 0.5, torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = sample(lambda x, sigma: 0.2 + (x - 0.2) * s**2 / (s**2 + sigma**2), noise)
    expected = 0.2 + (HIGH * noise - 0.2) * s / (HIGH**2 + s**2) ** 0.5
    assert torch.allclose(x - 0.2, (expected - 0.2) * 1.017, atol=0.01)


def test_the_first_noise_drowns_the_portraits():
    """Otherwise what a sample begins with is not what noisy portraits are: of the strongest mode a share is missing."""
    strongest = load_denoiser(data_path("portraits/denoiser.safetensors")).wiener.variance.max().sqrt()
    assert strongest == pytest.approx(38.9, abs=0.1)
    assert (strongest / HIGH) ** 2 < 0.02 < 0.2 < (strongest / 80) ** 2


def test_a_mode_that_noise_does_not_drown_has_too_little_variance():
    """Gaussian images of one grey: their spread comes out right from the first level, and too small from EDM's 80."""
    spread, g = 0.35, torch.Generator().manual_seed(0)
    noise = torch.randn(600, 1, 64, 64, generator=g, dtype=torch.float64)

    def denoise(x, sigma):
        gain = spread**2 / (spread**2 + sigma**2 / 64**2)
        return (gain * x.mean((1, 2, 3), keepdim=True)).expand_as(x)

    found = {high: sample(denoise, noise, 60, high=high).mean((1, 2, 3)).std() / spread for high in (HIGH, 80.0)}
    assert found[HIGH] == pytest.approx(1, abs=0.06)
    assert found[80.0] == pytest.approx((1 + (64 * spread / 80) ** 2) ** -0.5, abs=0.06) != pytest.approx(1, abs=0.03)


@pytest.mark.slow
def test_program_measures_levels_and_draws(small_set, tmp_path, monkeypatch):
    config = DenoiserConfig((16,), 1, 8, features=2, head=4, embedding=8, coarse=8, modes=6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_denoiser(Denoiser(config), tmp_path / "d.safetensors")
    monkeypatch.setattr(evaluate_denoiser, "FITTED", 4)
    words = [tmp_path / "d.safetensors", "--data", small_set, "--held-out", 8, "--samples", 0]
    words += ["--out", tmp_path / "measured.json", "--sheet", tmp_path / "sheet.png"]
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    evaluate_denoiser.main()
    found = json.loads((tmp_path / "measured.json").read_text())["levels"]
    assert list(found) == [f"{level:g}" for level in LEVELS] and (tmp_path / "sheet.png").exists()
    row = found["0.3"]
    assert row["gain"] == pytest.approx(row["denoiser"] - row["linear"])

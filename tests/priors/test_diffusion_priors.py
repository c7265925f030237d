"""Diffusion priors by path and by name, and what is said where there are no weights."""

import pytest
import torch

from rusr_core.checkpoints import CheckpointError, save_denoiser
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.prior import prior_shape
from rusr_core.priors import ZooError, diffusion, load_diffusion_prior

TINY = DenoiserConfig((16,), 1, 4, features=2, head=4, embedding=8, coarse=4, modes=6, resolution=16)


@pytest.fixture
def weights(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_denoiser(Denoiser(TINY), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_by_path_and_by_name(weights, monkeypatch):
    prior = load_diffusion_prior(weights)
    assert prior.name == "mine" and prior.resolution == 16 and prior_shape(prior, 2) == (2, 3, 16, 16)
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(diffusion, "data_path", lambda _: weights)
    embedded = load_diffusion_prior()
    assert embedded.name == "portraits-128" and torch.equal(embedded.denoiser(x, 0.5), prior.denoiser(x, 0.5))
    assert embedded.device == torch.device("cpu") and not any(p.requires_grad for p in prior.denoiser.parameters())


def test_what_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(diffusion, "DENOISER", "portraits/absent.safetensors")
    with pytest.raises(ZooError, match="denoiser of portraits-128 is not installed: expected data/portraits/absent"):
        load_diffusion_prior()
    with pytest.raises(ZooError, match="'other': expected 'portraits-128' or the file"):
        load_diffusion_prior("other")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_diffusion_prior(tmp_path / "none.safetensors")

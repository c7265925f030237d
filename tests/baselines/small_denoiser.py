"""A small denoiser of random weights, pictures of its size, and the diffusion rivals in few steps."""

import torch

from rusr_core.baselines import daps, ddrm, dps
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.prior import DiffusionPrior

TINY = DenoiserConfig((16,), 1, 4, features=2, head=4, embedding=8, coarse=4, modes=6, resolution=16)


def small_prior() -> DiffusionPrior:
    """The denoiser as a prior of 16 px."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        denoiser = Denoiser(TINY).eval().requires_grad_(False)
    return DiffusionPrior("tiny", denoiser, torch.device("cpu"))


def truth() -> torch.Tensor:
    """Two pictures of 16 px."""
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))


METHODS = {  # the method, settings for few steps, and its passes with them
    "ddrm": (ddrm.BASELINE, {"steps": 10}, 10),
    "dps": (dps.BASELINE, {"steps": 5}, 5),
    "daps": (daps.BASELINE, {"steps": 3, "flow_steps": 2, "langevin_steps": 2}, 6),
}

"""Priors by name or by path: the zoo, its downloads, and what is loaded from them."""

from rusr_core.priors.diffusion import denoiser_beside, load_diffusion_prior
from rusr_core.priors.load import load_identity, load_prior, locate, lpips_heads, lpips_net, portraits, portraits_net
from rusr_core.priors.zoo import EMBEDDED, Entry, ZooError, fetch, find, table

__all__ = [
    "EMBEDDED", "Entry", "ZooError", "denoiser_beside", "fetch", "find", "load_diffusion_prior", "load_identity",
    "load_prior", "locate", "lpips_heads", "lpips_net", "portraits", "portraits_net", "table",
]  # fmt: skip

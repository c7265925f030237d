"""The way from z to the latents of a generator, for methods that draw a z or search one."""

from torch import Tensor

from rusr_core.generator import Generator
from rusr_core.search.stopping import RestorationError


def mapped(G: Generator, z: Tensor) -> Tensor:
    """z [N, z_dim] -> M(z) in W+ [N, L, D]. RestorationError for a generator without M, or with classes."""
    mapping = getattr(G, "mapping", None)
    if mapping is None or mapping.c_dim:
        raise RestorationError(f"{type(G).__name__}: expected a generator whose w comes from z alone, by its mapping")
    return G.widen(mapping.to_w(z), "W+")


def truncated(G: Generator, z: Tensor, psi: float) -> Tensor:
    """`mapped`, pulled towards the mean of W: `psi` of the way from there is left, StyleGAN's truncation."""
    return G.w_mean.lerp(mapped(G, z), psi)

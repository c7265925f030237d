"""The way from z to the latents of a generator, for methods that draw a z or search one."""

from torch import Tensor

from rusr_core.generator import Generator
from rusr_core.generator.mapping import Mapping
from rusr_core.search.stopping import RestorationError


def mapping_of(G: Generator, classes: bool = False) -> Mapping:
    """M, for methods that draw z. RestorationError for a generator without it, or with classes where M(z) is wanted."""
    mapping = getattr(G, "mapping", None)
    if mapping is None:
        raise RestorationError(f"{type(G).__name__} has no mapping network: expected a generator whose w comes from z")
    if mapping.c_dim and not classes:
        raise RestorationError(
            f"{type(G).__name__} has {mapping.c_dim} classes: expected one whose w comes from z alone"
        )
    return mapping


def mapped(G: Generator, z: Tensor) -> Tensor:
    """z [N, z_dim] -> M(z) in W+ [N, L, D]. Raises what `mapping_of` does."""
    return G.widen(mapping_of(G).to_w(z), "W+")


def truncated(G: Generator, z: Tensor, psi: float) -> Tensor:
    """`mapped`, pulled towards the mean of W: `psi` of the way from there is left, StyleGAN's truncation."""
    return G.w_mean.lerp(mapped(G, z), psi)

"""The three latent spaces W, W+ and W++ of a StyleGAN generator, and the steps between them.

A latent IS a tensor, its space the tensor's rank: W `[N, D]`, W+ `[N, L, D]`, W++ `[N, 1, R, D]`, as in `generator`.
Each step repeats what is there, so the image stays the same and only the freedom grows:
Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023, on three phases.

Chapter: book/generator.ipynb.
"""

import torch
from torch import Tensor

from rusr_core.generator import SPACES, LatentError, StyleGenerator
from rusr_core.limits import MAX_COUNT, check_whole, is_number, shown

LARGEST_PSI = 100  # beyond 1, images are no longer those of the prior


def space(ws: Tensor) -> str:
    """'W', 'W+' or 'W++', by the rank of the tensor."""
    if not isinstance(ws, Tensor) or not 2 <= ws.ndim <= 4:
        found = f"of shape {tuple(ws.shape)}" if isinstance(ws, Tensor) else f"as a {type(ws).__name__}"
        raise LatentError(f"latents {found}: expected rank 2 (W), 3 (W+) or 4 (W++)")
    return SPACES[ws.ndim - 2]


def mean_w(G: StyleGenerator, num: int = 1) -> Tensor:
    """The mean latent, repeated: [num, D]. The start of every restoration. LatentError for another `num`."""
    check_whole("num", num, 0, MAX_COUNT, LatentError)
    return G.w_mean.detach().expand(num, -1).clone()


@torch.no_grad()
def sample_w(G: StyleGenerator, num: int, psi: float = 1.0, *, generator: torch.Generator | None = None) -> Tensor:
    """Map `num` normal z to w, [num, D]; `psi` < 1 pulls them towards the mean. Conditional: a random class each,
    or the one that was chosen.

    Raises `RandomnessError` without a `generator`, LatentError for a `num` or a `psi` that is none.
    """
    check_whole("num", num, 0, MAX_COUNT, LatentError)
    if not is_number(psi) or abs(psi) > LARGEST_PSI:
        raise LatentError(f"psi is {shown(psi)}: expected a number from {-LARGEST_PSI} to {LARGEST_PSI}")
    w = G.mapping.sample(num, generator, G.label)
    return w if psi == 1 else G.w_mean.lerp(w, float(psi))


def to_w_plus(ws: Tensor, G: StyleGenerator) -> Tensor:
    """W [N, D] -> W+ [N, L, D]: one copy for each layer. W+ is returned as it is."""
    return G.widen(ws, "W+")


def to_w_plus_plus(ws: Tensor, G: StyleGenerator) -> Tensor:
    """W or W+ -> W++ [N, 1, R, D]: each layer's vector once for each of its filters. W++ is returned as it is."""
    return G.widen(ws, "W++")

"""The three latent spaces W, W+ and W++ of a StyleGAN2 generator, and the steps between them.

A latent IS a tensor, its space the tensor's rank: W `[N, D]`, W+ `[N, L, D]`, W++ `[N, 1, R, D]` (see generator.py).
Each step repeats what is there, so the image stays the same and only the freedom grows:
Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023, section 3.2.

Chapter: book/generator.ipynb.
"""

import torch
from torch import Tensor

from rusr_core.generator import Generator, LatentError

NAMES = {2: "W", 3: "W+", 4: "W++"}


def space(ws: Tensor) -> str:
    """'W', 'W+' or 'W++', by the rank of the tensor."""
    if ws.ndim not in NAMES:
        raise LatentError(f"latents of shape {tuple(ws.shape)}: expected rank 2 (W), 3 (W+) or 4 (W++)")
    return NAMES[ws.ndim]


def mean_w(G: Generator, num: int = 1) -> Tensor:
    """The mean latent w_avg, repeated: [num, D]. The start of every restoration."""
    return G.mapping.w_avg.detach().expand(num, -1).clone()


@torch.no_grad()
def sample_w(G: Generator, num: int, psi: float = 1.0, *, generator: torch.Generator | None = None) -> Tensor:
    """Map `num` normal z to w, [num, D]; `psi` < 1 pulls them towards the mean. Conditional: a random class each."""
    device = G.mapping.w_avg.device
    z = torch.randn(num, G.config.z_dim, generator=generator).to(device)
    c = None
    if G.config.c_dim:
        label = torch.randint(G.config.c_dim, (num,), generator=generator)
        c = torch.nn.functional.one_hot(label, G.config.c_dim).float().to(device)
    w = G.mapping.to_w(z, c)
    return w if psi == 1 else G.mapping.w_avg.lerp(w, psi)


def to_w_plus(ws: Tensor, G: Generator) -> Tensor:
    """W [N, D] -> W+ [N, L, D]: one copy for each layer. W+ is returned as it is."""
    if space(ws) == "W++":
        raise LatentError(f"W++ {tuple(ws.shape)} has more freedom than W+: only W and W+ can be turned into W+")
    return torch.stack(G.synthesis.split(ws), dim=1)


def to_w_plus_plus(ws: Tensor, G: Generator) -> Tensor:
    """W or W+ -> W++ [N, 1, R, D]: each layer's vector once for each of its filters. W++ is returned as it is."""
    if space(ws) == "W++":
        return ws
    rows = torch.tensor(G.rows, device=ws.device)
    return to_w_plus(ws, G).repeat_interleave(rows, dim=1).unsqueeze(1)


def w_radius(G: Generator, num: int = 10_000, seed: int = 0) -> float:
    """Root mean square of |w - w_avg| over `num` mapped samples: the size of the generator's W space.

    It sets the scale of the learning rates: 150 steps of 0.08 span a path of 12 in FFHQ's W (section 4.2).
    """
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for start in range(0, num, 1000):
        w = sample_w(G, min(1000, num - start), generator=generator)
        total += (w - G.mapping.w_avg).double().square().sum().item()
    return (total / num) ** 0.5

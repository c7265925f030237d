"""From factors to latents: the network that training uses, and the plain mapping network that is shipped.

The synthesis network is trained on latents from `FactorNet`, which reads every factor also as the renderer
does (as amounts and gates): that shortens training. A plain StyleGAN2 has no such inputs, so in the end an
ordinary mapping network learns to give the same latents for the same z (`regress_mapping`).
"""

import math

import torch
from torch import Tensor, nn

from rusr_core.generator import FullyConnected, Generator, normalize_second_moment
from tools.portraits.renderer import Z_DIM
from tools.portraits.renderer.factors import INDEX

GATES = (("glasses", 0.85), ("hat", 1.35), ("scarf", 1.35))


class FactorNet(nn.Module):
    """Factors z `[N, Z_DIM]` of mean square 1 -> latents w `[N, D]`; used in training only."""

    def __init__(self, w_dim: int, hidden: int = 256):
        super().__init__()
        widths = (5 * Z_DIM + len(GATES), hidden, hidden, w_dim)
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.layers = nn.ModuleList(FullyConnected(i, o, activation=True) for i, o in pairs)

    def forward(self, z: Tensor) -> Tensor:
        """Read the factors, then three layers of equalised rate."""
        amounts = 2 * torch.erf(z / math.sqrt(2))
        low, high = torch.tanh(3 * (z + 0.8)), torch.tanh(3 * (z - 0.8))
        gates = [2 * torch.sigmoid(25 * (z[:, INDEX[name], None] - threshold)) for name, threshold in GATES]
        x = torch.cat([z, amounts, low, high, 1.2 * torch.tanh(2.5 * z), *gates], 1)
        for layer in self.layers:
            x = layer(x)
        return x


def regress_mapping(G: Generator, teacher: nn.Module, steps: int, seed: int, batch: int = 512) -> float:
    """Train `G.mapping` in place to give the teacher's latents and set `w_avg`; -> the share of variance missed.

    Adam with a cosine schedule; the rate is large because the mapping's own multiplier (0.01) divides it.
    """
    generator = torch.Generator().manual_seed(seed)
    rate = 0.002 / G.config.mapping_lr
    optimizer = torch.optim.Adam(G.mapping.parameters(), lr=rate, betas=(0.9, 0.99))
    for step in range(steps):
        z = normalize_second_moment(torch.randn(batch, Z_DIM, generator=generator))
        with torch.no_grad():
            w = teacher(z)
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = rate * min(1, (step + 1) / 50) * (0.002 + 0.998 * cosine)
        optimizer.zero_grad()
        (G.mapping.to_w(z) - w).square().mean().backward()
        optimizer.step()
    with torch.no_grad():
        z = centre_mapping(G, seed)
        mapped, w = G.mapping.to_w(z), teacher(z)
        return ((mapped - w).square().mean() / w.var(0).mean()).item()


@torch.no_grad()
def centre_mapping(G: Generator, seed: int, count: int = 10_000) -> Tensor:
    """Set `w_avg` to the mean of `count` mapped samples; -> their z `[count, Z_DIM]` of mean square 1."""
    z = normalize_second_moment(torch.randn(count, Z_DIM, generator=torch.Generator().manual_seed(seed + 1)))
    G.mapping.w_avg.copy_(G.mapping.to_w(z).mean(0))
    return z

"""The optimisers of the search. Latents are rows: the last axis is one vector of the generator's W space.

A learning rate is a length in that space: how far one row moves in one step. So the rates of all optimisers are
of one kind, and carry over to generators of another width or radius. Chapter: book/phases.ipynb.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from rusr_core.errors import RusrError

OPTIMIZERS = ("adam", "ngd", "sgd")


class NormalizedGradientDescent(torch.optim.Optimizer):
    """p <- p - lr g / |g| for each row g of the gradient (CVPR 2023, section 3.2): every row moves exactly `lr`.

    A row whose norm is zero or not finite stays where it is, as in the published code.
    """

    def __init__(self, params: Iterable[Tensor], lr: float):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                norm = p.grad.square().sum(-1, keepdim=True).sqrt()  # [..., 1]
                moves = (norm > 0) & norm.isfinite()
                direction = torch.where(moves, p.grad / norm, 0.0).nan_to_num(0.0)
                p.sub_(direction, alpha=group["lr"])


def make_optimizer(name: str, latents: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """`name` is one of OPTIMIZERS. Adam moves each of a row's D numbers by about lr / sqrt(D), so a row by about lr."""
    if name == "ngd":
        return NormalizedGradientDescent(latents, lr)
    if name == "adam":  # Kingma & Ba, ICLR 2015; torch's betas (0.9, 0.999)
        return torch.optim.Adam(latents, lr / latents[0].shape[-1] ** 0.5)
    if name == "sgd":  # no momentum; the length of a step is lr |g|
        return torch.optim.SGD(latents, lr)
    raise RusrError(f"optimiser {name!r}: expected one of {', '.join(OPTIMIZERS)}")

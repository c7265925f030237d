"""Path-length regularisation: a step in W should change the picture by as much wherever it starts.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, section 3.2: the lengths of
`J_w^T y` for random pictures y are drawn towards their own running mean. Here relative to that mean, and with a share
of the ordinary step instead of a weight.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tools.portraits.training.distillation import autocast

if TYPE_CHECKING:
    from tools.portraits.training.train_generator import Trainer


class PathLength:
    """The running mean of the lengths, and what follows from it for the generator."""

    EVERY, SHARE = 8, 0.5  # lazily, as R1: every so many steps, with this share of the ordinary gradient's norm

    def __init__(self) -> None:
        self.mean: Tensor | None = None

    def penalty(self, w: Tensor, synthesis: Callable[[Tensor], Tensor], generator: torch.Generator) -> Tensor:
        """Mean squared relative deviation of the lengths at latents `[N, D]`, which must need gradients."""
        pictures = synthesis(w).float()
        y = torch.randn(pictures.shape, generator=generator).to(pictures.device) / pictures[0, 0].numel() ** 0.5
        (slope,) = torch.autograd.grad((pictures * y).sum(), w, create_graph=True)  # [N, D]
        lengths = slope.square().sum(1).sqrt()
        now = lengths.detach().mean()
        self.mean = now if self.mean is None else self.mean.lerp(now, 0.05)
        return (lengths / self.mean - 1).square().mean()

    def step(self, trainer: "Trainer", z: Tensor) -> None:
        """When it is time, add the penalty's gradients, at half of the batch, to those that the weights hold."""
        plan = trainer.plan
        if trainer.seen // plan.batch % self.EVERY:
            return
        generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + trainer.seen + 1)
        with autocast(trainer.device):
            w = trainer.latent(z[: max(1, len(z) // 2)])
            penalty = self.penalty(w, trainer.G.synthesis, generator)
        gradients = torch.autograd.grad(penalty, trainer.weights, allow_unused=True)
        parts = [(p.grad, g) for p, g in zip(trainer.weights, gradients, strict=True) if g is not None]
        usual, ours = (torch.stack([g.norm() for g in part]).norm() for part in zip(*parts, strict=True))
        for total, g in parts:
            total.add_(g * (self.SHARE * usual / (ours + 1e-12)))

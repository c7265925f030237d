"""Path-length regularisation: a step in W should change the picture by as much wherever it starts.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, section 3.2: the lengths of
`J_w^T y` for random pictures y are drawn towards their own running mean. Here relative to that mean, and with a share
of the ordinary step instead of a weight.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


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

    def add_gradients(self, penalty: Tensor, weights: Sequence[Tensor]) -> None:
        """Add the penalty's gradients, scaled to their share, to those that the weights hold already."""
        gradients = torch.autograd.grad(penalty, weights, allow_unused=True)
        parts = [(p.grad, g) for p, g in zip(weights, gradients, strict=True) if g is not None and p.grad is not None]
        usual, ours = (torch.stack([g.norm() for g in part]).norm() for part in zip(*parts, strict=True))
        for total, g in parts:
            total.add_(g * (self.SHARE * usual / (ours + 1e-12)))

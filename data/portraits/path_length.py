"""Path-length regularisation: a step in W should change the picture by as much wherever it starts.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, section 3.2: the lengths of
`J_w^T y` for random pictures y are drawn towards their own running mean. Here relative to that mean, and with a share
of the ordinary step instead of a weight.
"""

from collections.abc import Callable

import torch
from torch import Tensor

EVERY, SHARE = 8, 0.5


class PathLength:
    """The running mean of the lengths, and the penalty's gradients."""

    def __init__(self) -> None:
        self.mean: Tensor | None = None

    def penalty(self, w: Tensor, synthesise: Callable[[Tensor], Tensor], generator: torch.Generator) -> Tensor:
        """Mean squared relative deviation of the lengths at latents `[N, D]`, which must need gradients."""
        pictures = synthesise(w)
        y = torch.randn(pictures.shape, generator=generator).to(pictures.device) / pictures[0, 0].numel() ** 0.5
        (slope,) = torch.autograd.grad((pictures * y).sum(), w, create_graph=True)  # [N, D]
        lengths = slope.square().sum(1).sqrt()
        now = lengths.detach().mean()
        self.mean = now if self.mean is None else self.mean.lerp(now, 0.05)
        return (lengths / self.mean - 1).square().mean()

    def add_gradients(self, penalty: Tensor, weights: list[Tensor]) -> None:
        """Add the penalty's gradients to those that the weights hold, with `SHARE` of their common norm."""
        pairs = zip(weights, torch.autograd.grad(penalty, weights, allow_unused=True), strict=True)
        pairs = [(p, g) for p, g in pairs if g is not None and p.grad is not None]
        ours, theirs = (
            torch.stack(torch._foreach_norm(part)).norm()
            for part in ([g for _, g in pairs], [p.grad for p, _ in pairs])
        )
        for p, g in pairs:
            p.grad.add_(g * (SHARE * theirs / (ours + 1e-12)))

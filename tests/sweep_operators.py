"""Operators as other people write them, for sweeps: a lambda, functions that draw, a torch module, a class."""

import torch
import torch.nn.functional as F

blur = lambda x: F.avg_pool2d(x, 3, 1, 1)  # noqa: E731


def noisy(x):
    """As a beginner writes noise: from torch's global generator."""
    return x + 0.1 * torch.randn_like(x)


def drawn(x, generator=None):
    """Noise from the generator that it is given."""
    return x + 0.1 * torch.randn(x.shape, generator=generator)


class Grey(torch.nn.Module):
    """A module with a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))

    def forward(self, x):
        return (x * self.weights).sum(1, keepdim=True).expand(-1, 3, -1, -1)


grey = Grey()


class Dark:
    """Two methods, the true one in 8 bit; normalised images would be an error on black ones."""

    def forward(self, x):
        return 0.5 * x / x.amax((1, 2, 3), keepdim=True)

    def degrade(self, x):
        return (self.forward(x) * 255).round() / 255


def broken(x):
    raise ValueError("no such luck")


def uneven(x):
    return x[..., ::2]

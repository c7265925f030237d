"""The best linear denoiser that a training set allows: what a denoiser of our own has to beat at every noise level."""

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8  # px


class LinearDenoiser:
    """The mean of a Gaussian posterior. Block means are jointly Gaussian over the image, and what each block adds to
    its mean is Gaussian by itself, with a mean and a covariance of its own place.

    Both parts are exact for such images: means and differences of blocks are orthogonal, so that white noise in one
    says nothing about that in the other.
    """

    def __init__(self, images: Tensor):
        """Measured on images `[N, 3, H, W]` in [-1, 1], sides multiples of 8 px."""
        self.side = images.shape[-1] // BLOCK
        means, rest = self._split(images.double())
        self.coarse = _Gaussian(means.flatten(1)[None])
        self.fine = _Gaussian(rest)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """Noisy images `[N, 3, H, W]` -> estimated clean images of that shape."""
        means, rest = self._split(x.double())
        means = self.coarse(means.flatten(1)[None], sigma / BLOCK)[0].view_as(means)
        rest = self.fine(rest, sigma)
        side, num = self.side, len(x)
        rest = rest.view(side, side, num, 3, BLOCK, BLOCK).permute(2, 3, 0, 4, 1, 5).reshape(x.shape)
        return (F.interpolate(means, scale_factor=BLOCK, mode="nearest") + rest).to(x)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Block means `[N, 3, h, w]`, and what each block adds, `[h w, N, 192]`."""
        means = F.avg_pool2d(x, BLOCK)
        rest = x - F.interpolate(means, scale_factor=BLOCK, mode="nearest")
        blocks = rest.view(len(x), 3, self.side, BLOCK, self.side, BLOCK).permute(2, 4, 0, 1, 3, 5)
        return means, blocks.reshape(self.side**2, len(x), 3 * BLOCK**2)


class _Gaussian:
    """G Gaussians of D numbers, measured on `[G, N, D]`."""

    def __init__(self, data: Tensor):
        self.mean = data.mean(1, keepdim=True)
        centred = data - self.mean
        values, self.vectors = torch.linalg.eigh(centred.mT @ centred / data.shape[1])
        self.values = values.clamp_min(0)

    def __call__(self, data: Tensor, sigma: float) -> Tensor:
        along = (data - self.mean) @ self.vectors
        shrunk = along * (self.values / (self.values + sigma**2))[:, None]
        return self.mean + shrunk @ self.vectors.mT

"""A denoiser of images, D(x; sigma): the diffusion prior that rivals of the search restore with.

It estimates the mean of the clean images that may lie behind a noisy one, E[x_0 | x_0 + sigma n = x]. Preconditioning,
loss and noise levels follow Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (EDM,
NeurIPS 2022, https://arxiv.org/abs/2206.00364, table 1). Images lie in [-1, 1] here, and sigma is on that scale.

The network is a U-Net (Ronneberger et al., MICCAI 2015) on pixel-unshuffled images (Shi et al., CVPR 2016): 128 px
are 32 px with 48 channels, which saves a processor most of the work. Two things are added. The linear denoiser of
strongly reduced images is three more input channels, and where the network starts from: where noise is strong it is
nearly all that can be known. And a small head at full resolution, the same for all pixels, adds what the unshuffled
layers would draw with seams.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.images import in_words
from rusr_core.limits import is_number, shown
from rusr_core.networks.frozen import frozen

GROUP = 16  # channels: of a normalisation group, and of an attention head
FREQUENCIES = 32  # of the noise level's embedding


class DenoiserError(RusrError):
    """A denoiser's configuration, weights, image or noise level that are not what they should be."""


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a `Denoiser`. Sizes that do not fit together are a `DenoiserError`."""

    widths: tuple[int, ...] = (80, 112, 128)  # channels of each level; a level has half the side of the one before
    blocks: int = 2  # residual blocks of a level, on the way down and again on the way up
    patch: int = 4  # side in pixels of what becomes one place of the first level
    features: int = 8  # channels that the head at full resolution gets from the U-Net
    head: int = 16  # channels of the head at full resolution
    embedding: int = 128  # of the noise level
    coarse: int = 16  # side in pixels of the linear denoiser's images
    modes: int = 128  # principal components of the linear denoiser
    resolution: int = 128
    data_std: float = 0.35  # of all pixels of the training images, in [-1, 1]

    def __post_init__(self) -> None:
        sizes = (self.blocks, self.patch, self.features, self.head, self.embedding, self.coarse, self.modes)
        if not isinstance(self.widths, Sequence):
            raise DenoiserError(f"widths are {shown(self.widths)}: expected those of each level")
        whole = (*self.widths, *sizes, self.resolution)
        if not all(type(v) is int and 0 < v <= 4096 for v in whole) or not 0 < len(self.widths) <= 8:
            raise DenoiserError(f"a denoiser of the sizes {str(whole)[:120]}: expected a few positive whole numbers")
        if any(w % GROUP for w in self.widths):
            raise DenoiserError(f"widths {self.widths}: expected multiples of {GROUP}")
        smallest = self.patch * 2 ** (len(self.widths) - 1)
        if self.resolution % smallest or self.resolution % self.coarse:
            raise DenoiserError(
                f"resolution {self.resolution}: expected a multiple of {smallest} and of coarse {self.coarse}"
            )
        if not (type(self.data_std) is float and 0 < self.data_std < math.inf):
            raise DenoiserError(f"data_std {self.data_std!r}: expected a positive number")
        object.__setattr__(self, "widths", tuple(self.widths))

    def to_json(self) -> str:
        """The configuration as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "DenoiserConfig":
        """Inverse of `to_json`; anything else is a `DenoiserError`."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError, RecursionError) as error:
            raise DenoiserError(f"not the configuration of a denoiser: {str(error)[:120]}") from error


class Block(nn.Module):
    """x + c conv(silu(conv((1 + a) norm(x) + b))), with a, b and c by the noise level; perhaps attention after it."""

    def __init__(self, width: int, embedding: int, attention: bool):
        super().__init__()
        self.norm = nn.GroupNorm(width // GROUP, width, affine=False)
        self.level = nn.Linear(embedding, 3 * width)
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        self.qkv = nn.Conv2d(width, 3 * width, 1) if attention else None
        self.mix = nn.Conv2d(width, width, 1) if attention else None
        for last in (self.level, self.mix) if attention else (self.level,):
            last.weight.data.mul_(0.1)  # a block begins faint

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """x `[N, C, H, W]`, level `[N, embedding]` -> `[N, C, H, W]`."""
        a, b, c = self.level(level)[:, :, None, None].chunk(3, 1)
        x = x + c * self.two(F.silu(self.one((1 + a) * self.norm(x) + b)))
        return x if self.qkv is None else x + self.mix(self._attend(self.norm(x)))

    def _attend(self, x: Tensor) -> Tensor:
        """Every place looks at all places of its image."""
        n, width, rows, columns = x.shape
        qkv = self.qkv(x).view(n, 3, width // GROUP, GROUP, rows * columns).transpose(-1, -2)
        seen = F.scaled_dot_product_attention(*qkv.unbind(1))
        return seen.transpose(-1, -2).reshape(n, width, rows, columns)


class Wiener(nn.Module):
    """The best linear denoiser of images that are reduced to `coarse` px: a Gaussian with the data's principal modes.

    Its three tensors are measured (`fit`), not trained.
    """

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        self.coarse, self.block = config.coarse, config.resolution // config.coarse
        size = 3 * config.coarse**2
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("modes", torch.zeros(config.modes, size))  # orthonormal rows
        self.register_buffer("variance", torch.zeros(config.modes))  # along a mode, where pixels' noise has variance 1

    def fit(self, reduced: Tensor) -> None:
        """Measure the modes on reduced images `[N, 3, coarse, coarse]` in [-1, 1], in place."""
        flat = reduced.flatten(1).double()
        centred = flat - flat.mean(0)
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(flat))
        count = min(len(self.variance), len(values))
        self.mean.copy_(flat.mean(0))
        self.modes[:count].copy_(vectors.T.flip(0)[:count])
        self.variance[:count].copy_(self.block**2 * values.flip(0)[:count].clamp_min(0))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x `[N, 3, R, R]`, sigma `[N]` -> the estimated clean images, reduced, `[N, 3, coarse, coarse]`."""
        along = (F.avg_pool2d(x, self.block).flatten(1) - self.mean) @ self.modes.T
        along = along * (self.variance / (self.variance + sigma[:, None] ** 2))
        return (self.mean + along @ self.modes).unflatten(1, (3, self.coarse, self.coarse))


class UNet(nn.Module):
    """The network F of EDM: normalised noisy images, the embedded noise level and the linear guess into images."""

    def __init__(self, config: DenoiserConfig):
        super().__init__()
        widths, embedding = config.widths, config.embedding
        self.patch, self.features = config.patch, config.features
        quantiles = [NormalDist().inv_cdf((i + 0.5) / FREQUENCIES) for i in range(FREQUENCIES)]
        self.register_buffer("frequencies", torch.tensor([math.pi * q for q in quantiles]))
        self.embed = nn.Sequential(
            nn.Linear(2 * FREQUENCIES, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.first = nn.Conv2d(3 * config.patch**2 + 3, widths[0], 3, padding=1)
        attention = [level == len(widths) - 1 for level in range(len(widths))]
        self.down, self.up = (
            nn.ModuleList(
                nn.ModuleList(Block(w, embedding, a) for _ in range(config.blocks))
                for w, a in zip(widths, attention, strict=True)
            )
            for _ in range(2)
        )
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairs)
        self.join = nn.ModuleList(nn.Conv2d(2 * fine, fine, 1) for fine, _ in pairs)
        self.out = nn.Conv2d(widths[0], (3 + self.features) * config.patch**2, 3, padding=1)
        self.fine = nn.Conv2d(3 + self.features, config.head, 3, padding=1)
        self.level = nn.Linear(embedding, 2 * config.head)
        self.last = nn.Conv2d(config.head, 3, 3, padding=1)
        for layer in (self.out, self.last):
            layer.weight.data.mul_(0.1)  # the training begins near the linear denoiser

    def forward(self, x: Tensor, noise: Tensor, guess: Tensor) -> Tensor:
        """x `[N, 3, R, R]`, noise `[N]`, guess `[N, 3, R / patch, R / patch]` -> `[N, 3, R, R]`."""
        angle = noise[:, None] * self.frequencies
        level = self.embed(torch.cat([angle.cos(), angle.sin()], 1))
        h, kept = self.first(torch.cat([F.pixel_unshuffle(x, self.patch), guess], 1)), []
        for i, blocks in enumerate(self.down):
            h = self.shrink[i - 1](h) if i else h
            for block in blocks:
                h = block(h, level)
            kept.append(h)
        for i, blocks in reversed(list(enumerate(self.up))):
            if i < len(self.grow):
                h = self.join[i](torch.cat([F.pixel_shuffle(self.grow[i](h), 2), kept[i]], 1))
            for block in blocks:
                h = block(h, level)
        return self._head(F.pixel_shuffle(self.out(h), self.patch), x, level)

    def _head(self, h: Tensor, x: Tensor, level: Tensor) -> Tensor:
        """h `[N, 3 + features, R, R]`: images, linear so that noise can pass through, and the head's features."""
        images, features = h.split((3, self.features), 1)
        a, b = self.level(level)[:, :, None, None].chunk(2, 1)
        return images + self.last(F.silu((1 + a) * self.fine(torch.cat([x, features], 1)) + b))


class Denoiser(nn.Module):
    """D(x; sigma) = c_skip x + (1 - c_skip) L(x; sigma) + c_out F(c_in x; ln(sigma) / 4), EDM table 1.

    L, the linear denoiser's images enlarged, is not in EDM: F begins with what a Gaussian knows and learns the rest.
    """

    CITES: ClassVar[tuple[str, ...]] = ("karras2022elucidating",)

    def __init__(self, config: DenoiserConfig | None = None):
        super().__init__()
        self.config = config = config or DenoiserConfig()
        self.resolution = config.resolution
        self.wiener, self.net = Wiener(config), UNet(config)

    def forward(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Noisy images `[N, 3, R, R]` -> estimated clean images of that shape, nominally in [-1, 1], not clamped.

        `sigma`, the standard deviation of the noise, is a number or a tensor `[N]`, positive. Differentiable in x.
        Another shape or level is a `DenoiserError`.
        """
        side = self.resolution
        if not isinstance(x, Tensor) or x.shape[1:] != (3, side, side) or not x.is_floating_point():
            raise DenoiserError(f"images must be floats [N, 3, {side}, {side}], got {in_words(x)}")
        if not isinstance(sigma, Tensor) and not is_number(sigma):
            raise DenoiserError(f"sigma must be one positive number, or one an image, got {shown(sigma)}")
        sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
        if sigma.shape not in ((), (1,), (len(x),)) or not bool(((sigma > 0) & (sigma < math.inf)).all()):
            raise DenoiserError(f"sigma must be one positive number, or one an image, got {str(sigma.tolist())[:80]}")
        skip, scale, raw = self.parts(x, sigma.expand(len(x)))
        return skip * x + scale * raw

    def parts(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c_skip and c_out `[N, 1, 1, 1]`, and `(D - c_skip x) / c_out` `[N, 3, R, R]`, of x and sigma `[N]`."""
        std, s = self.config.data_std, sigma.view(-1, 1, 1, 1)
        total = s**2 + std**2
        with torch.autocast(x.device.type, enabled=False):
            reduced = self.wiener(x, sigma) / std
        guess = F.interpolate(reduced, size=self.resolution // self.config.patch, mode="bilinear")
        raw = self.net(x / total.sqrt(), sigma.log() / 4, guess).to(x.dtype)
        known = F.interpolate(reduced, size=self.resolution, mode="bilinear") * (s / total.sqrt())
        return std**2 / total, s * std / total.sqrt(), known + raw

    @classmethod
    def from_state(cls, config: DenoiserConfig, state: dict[str, Tensor]) -> "Denoiser":
        """The denoiser of `config` with the tensors of a `state_dict()`: frozen, in eval mode, float32.

        A tensor that is missing, too many or of another shape is a `DenoiserError`.
        """
        return frozen(lambda: cls(config), state, DenoiserError).to(memory_format=torch.channels_last)

"""Fine detail: strands, skin grain, fabric and backdrops, as maps in the picture plane.

A seed gives one draw of all maps: random fields are drawn anew and regular patterns get other phases. Portraits-X uses
the draw `SEED`. A training set uses many draws, so that the exact course of a strand or a thread cannot be learned: it
is what the noise inputs of a StyleGAN2 are for, while everything else in a portrait is a function of its factors.
"""

import math
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SEED = 20240607
CROWN = -0.95  # height on the canvas from which strands radiate


@dataclass(frozen=True)
class Textures:
    """Maps `[1, S, S]`, about zero mean and unit deviation (freckles: in [0, 1])."""

    straight: Tensor
    wavy: Tensor
    straight_locks: Tensor
    wavy_locks: Tensor
    grain: Tensor
    blotch: Tensor
    freckles: Tensor
    stubble: Tensor
    knit: Tensor
    weave: Tensor
    canvas: Tensor
    plaster: Tensor
    cloud: Tensor

    def flat(self) -> "Textures":
        """Every map replaced by its mean: what a portrait looks like without any fine detail."""
        means = {f.name: getattr(self, f.name).mean((1, 2), keepdim=True) for f in fields(self)}
        return Textures(**{name: mean.expand_as(getattr(self, name)).contiguous() for name, mean in means.items()})


def band_noise(generator: torch.Generator, shape: tuple[int, int], widths: tuple[float, float]) -> Tensor:
    """Periodic noise `[H, W]` of unit deviation, smoothed by Gaussians of these widths in texels: rows, columns."""
    noise = torch.randn(shape, generator=generator)
    fy, fx = torch.fft.fftfreq(shape[0])[:, None], torch.fft.fftfreq(shape[1])[None]
    response = torch.exp(-2 * math.pi**2 * ((fy * widths[0]) ** 2 + (fx * widths[1]) ** 2))
    out = torch.fft.ifft2(torch.fft.fft2(noise) * response).real
    out = out - out.mean()
    return out / out.std()


def lookup(texture: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Texture `[H, W]` at fields (u, v) `[S, S]`; one tile is the square [-1, 1], mirrored beyond it."""
    grid = torch.stack([u, v], -1)[None]
    return F.grid_sample(texture[None, None], grid, padding_mode="reflection", align_corners=False)[0, 0]


def phases(seed: int) -> list[float]:
    """Four phases in [0, 2 pi) of the regular patterns: a Kronecker sequence over the seeds, all 0 at `SEED`."""
    return [2 * math.pi * ((seed - SEED) * math.sqrt(prime) % 1) for prime in (2, 3, 5, 7)]


@lru_cache(maxsize=128)
def textures(size: int, device: torch.device, seed: int = SEED) -> Textures:
    """One draw of all maps at one picture size; computed on the CPU, anti-aliased by 4 samples a pixel."""
    generator, phase = torch.Generator().manual_seed(seed), phases(seed)
    line = (torch.arange(2 * size) + 0.5) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    maps = _hair(generator, x, y, phase) | _skin(generator, x, y) | _fabric(x, y, phase) | _backdrop(generator, x, y)
    shrunk = {name: F.avg_pool2d(m[None], 2).to(device) for name, m in maps.items()}
    return Textures(**shrunk)


def _hair(generator: torch.Generator, x: Tensor, y: Tensor, phase: list[float]) -> dict[str, Tensor]:
    shape = (256, 512)
    strands = 0.60 * band_noise(generator, shape, (60, 2.4))
    strands = strands + 0.55 * band_noise(generator, shape, (60, 5)) + 0.40 * band_noise(generator, shape, (60, 14))
    angle, radius = torch.atan2(x, y - CROWN + 0.25), torch.sqrt(x * x + (y - CROWN + 0.25) ** 2)
    bends = torch.sin(13 * radius + 2.5 * torch.sin(4 * angle) + (1.0 + phase[0])), torch.sin(29 * radius + 9 * angle)
    curl = 0.10 * bends[0] + 0.04 * bends[1]
    out = {}
    for name, bend in (("straight", 0 * curl), ("wavy", curl)):
        u = 1.3 * angle + bend
        out[name] = lookup(strands, u, 0.45 * radius)
        fine = torch.sin(21 * u + 1.7 * torch.sin(5 * radius) + phase[1])
        out[f"{name}_locks"] = 0.5 * fine + 0.5 * torch.sin(9 * u + (1 + phase[2]))
    return out


def _skin(generator: torch.Generator, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    shape = (256, 256)
    fine, coarse, spots, blotch, strokes = (
        band_noise(generator, shape, widths) for widths in ((1.6, 1.6), (4, 4), (2.2, 2.2), (9, 9), (5, 1.6))
    )
    return {
        "grain": lookup(0.6 * fine + 0.5 * coarse, x, y),
        "freckles": torch.sigmoid((lookup(spots, x, y) - 1.1) * 7),
        "blotch": lookup(blotch, x, y),
        "stubble": lookup(strokes, x - 0.25 * x * y, y),
    }


def _fabric(x: Tensor, y: Tensor, phase: list[float]) -> dict[str, Tensor]:
    rows = y - 0.10 * x.abs()
    shifted = phase[0] / (2 * math.pi)
    zigzag = (((x * 9.5 + shifted) % 1) - 0.5).abs() * 0.075
    knit = torch.sin(2 * math.pi * 16 * (rows + zigzag) + phase[3]) + 0.5 * torch.cos(2 * math.pi * 9.5 * x + phase[0])
    weave = torch.sin(2 * math.pi * 18 * (x + y) + phase[1]) * torch.sin(2 * math.pi * 18 * (x - y) + phase[2])
    return {"knit": knit, "weave": 1.6 * weave}


def _backdrop(generator: torch.Generator, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    across, down, rough, blob, cloud = (
        band_noise(generator, (256, 256), widths) for widths in ((1.6, 30), (30, 1.6), (2.2, 2.2), (7, 7), (24, 24))
    )
    return {
        "canvas": 0.7 * (lookup(across, x, y) + lookup(down, x, y)),
        "plaster": lookup(0.5 * rough + 0.8 * blob, x, y),
        "cloud": lookup(cloud, x, y),
    }

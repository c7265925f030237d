"""Twelve kinds of distortions with a strength each: the raw material of triplets and of the judges' bench.

Eleven kinds act on pixels; the twelfth, an edit, moves the factors of a portrait and renders it again. A strength has
the unit of its kind (pixels, amplitude, quality). Each kind's scale runs geometrically from what can hardly be seen to
what spoils a picture altogether, and names three ranges of it whose order nobody would dispute, whatever the kinds:
a minor change, a moderate one, a severe one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.io import decode_jpeg, encode_jpeg

Range = tuple[float, float]


@dataclass(frozen=True)
class Kind:
    """One kind: its unit, the scale of strengths from faint to ruinous, and undisputed ranges on it (None: there are
    none, because viewers hardly mind this kind or mind it at any strength)."""

    unit: str
    scale: Range
    minor: Range | None
    moderate: Range | None
    severe: Range | None

    def strength(self, severity: Tensor) -> Tensor:
        """Severity in [0, 1] to a strength on the scale."""
        low, high = self.scale
        return low * (high / low) ** severity


KINDS = {
    "blur": Kind("px, standard deviation", (0.4, 8.0), (0.3, 0.5), (1.2, 2.0), (4.5, 9.0)),
    "noise": Kind("standard deviation", (0.01, 0.4), (0.005, 0.02), (0.06, 0.12), (0.3, 0.45)),
    "dead pixels": Kind("share of pixels", (0.002, 0.5), (0.0003, 0.001), (0.02, 0.06), (0.3, 0.6)),
    "JPEG": Kind("quality", (70.0, 2.0), (95.0, 85.0), (15.0, 8.0), (3.0, 1.0)),
    "down-sampling": Kind("factor", (1.3, 24.0), (1.05, 1.2), (3.0, 4.5), (12.0, 24.0)),
    "mesh": Kind("amplitude", (0.01, 0.4), (0.003, 0.012), (0.08, 0.16), (0.3, 0.45)),
    "ghosting": Kind("opacity", (0.03, 0.5), (0.01, 0.03), (0.15, 0.3), None),
    "colour": Kind("amplitude", (0.015, 0.4), (0.005, 0.02), (0.12, 0.2), None),
    "exposure": Kind("logarithm of the gain", (0.03, 1.6), (0.01, 0.06), (0.4, 0.7), None),
    "shift": Kind("px", (0.5, 8.0), (0.5, 2.2), None, None),
    "warp": Kind("px, root mean square", (0.3, 8.0), (0.1, 0.5), (2.5, 4.0), (8.0, 12.0)),
    "edit": Kind("length of the step in factors", (0.1, 1.6), None, None, None),
}
PIXEL_KINDS = tuple(name for name in KINDS if name != "edit")


def _column(strength: Tensor, x: Tensor) -> Tensor:
    return strength.to(x)[:, None, None, None]


def _randn(shape: tuple[int, ...], x: Tensor, g: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=g).to(x)


def blur(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Gaussian blur with mirrored edges."""
    reach = min(x.shape[-1] - 1, math.ceil(3 * strength.max().item()))
    line = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-0.5 * (line / strength.to(x)[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]  # [3 N, 1, K]
    flat = F.pad(x, (reach,) * 4, mode="reflect").flatten(0, 1)[None]
    for weight in (kernel[:, :, None], kernel[:, :, :, None]):
        flat = F.conv2d(flat, weight, groups=len(kernel))
    return flat[0].unflatten(0, x.shape[:2])


def noise(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """White Gaussian noise, each channel of its own."""
    return x + _column(strength, x) * _randn(x.shape, x, g)


def dead_pixels(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Pixels replaced by black or white."""
    draw = torch.rand(2, len(x), 1, *x.shape[2:], generator=g).to(x)
    return torch.where(draw[0] < _column(strength, x), (draw[1] > 0.5).to(x), x)


def jpeg(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """A true JPEG codec; the strength is its quality, in integers."""
    pixels = (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu()
    qualities = strength.round().clamp(1, 100).int().tolist()
    coded = [decode_jpeg(encode_jpeg(p, quality=q)) for p, q in zip(pixels, qualities, strict=True)]
    return torch.stack(coded).to(x) / 255


def down_sampling(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Area-averaged to a smaller size and enlarged bilinearly."""
    out = []
    for picture, factor in zip(x.split(1), strength.tolist(), strict=True):
        small = F.interpolate(picture, max(2, round(x.shape[-1] / factor)), mode="area")
        out.append(F.interpolate(small, x.shape[-1], mode="bilinear", align_corners=False))
    return torch.cat(out)


def mesh(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """A regular pattern of one or two pixels on top: chessboard, rows or columns."""
    line = torch.arange(x.shape[-1])
    patterns = []
    for kind, cell in zip(*(torch.randint(n, (len(x),), generator=g).tolist() for n in (3, 2)), strict=True):
        across, down = (line // (cell + 1))[None], (line // (cell + 1))[:, None]
        patterns.append((across + down, across + 0 * down, down + 0 * across)[kind] % 2 * 2 - 1)
    return x + _column(strength, x) * torch.stack(patterns)[:, None].to(x)


def ghosting(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """The same picture once more, 4 to 16 px aside, laid over it."""
    moved = _move(x, 4 + 12 * torch.rand(len(x), generator=g), g)
    return torch.lerp(x, moved, _column(strength, x))


def colour(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """A cast: something added to each channel, nothing to their mean."""
    cast = torch.randn(len(x), 3, generator=g)
    cast = F.normalize(cast - cast.mean(1, keepdim=True), dim=1) * math.sqrt(1.5)
    return x + (strength[:, None] * cast)[..., None, None].to(x)


def exposure(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Brighter or darker by a gain."""
    sign = torch.randint(2, (len(x),), generator=g) * 2 - 1
    return x * _column(torch.exp(sign * strength), x)


def _move(x: Tensor, pixels: Tensor, g: torch.Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(len(x), generator=g)
    way = torch.stack([torch.cos(angle), torch.sin(angle)], 1) * pixels[:, None]
    return _displace(x, way[:, None, None].expand(-1, *x.shape[2:], -1))


def _displace(x: Tensor, pixels: Tensor) -> Tensor:
    """Read `[N, 3, H, W]` at places moved by `[N, H, W, 2]` pixels, bicubically, mirrored at the edges."""
    line = (torch.arange(x.shape[-1]) + 0.5) * (2 / x.shape[-1]) - 1
    places = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) + pixels * (2 / x.shape[-1])
    return F.grid_sample(x, places.to(x), mode="bicubic", padding_mode="reflection", align_corners=False)


def shift(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Moved in a random direction."""
    return _move(x, strength, g)


def warp(x: Tensor, strength: Tensor, g: torch.Generator) -> Tensor:
    """Smoothly bent: displacements that change over about a quarter of the picture."""
    field = F.interpolate(torch.randn(len(x), 2, 6, 6, generator=g), x.shape[-1], mode="bicubic", align_corners=True)
    field = field * torch.rsqrt(field.square().sum(1, keepdim=True).mean((2, 3), keepdim=True))
    return _displace(x, (field * strength[:, None, None, None]).permute(0, 2, 3, 1))


ACT: dict[str, Callable[[Tensor, Tensor, torch.Generator], Tensor]] = {
    "blur": blur,
    "noise": noise,
    "dead pixels": dead_pixels,
    "JPEG": jpeg,
    "down-sampling": down_sampling,
    "mesh": mesh,
    "ghosting": ghosting,
    "colour": colour,
    "exposure": exposure,
    "shift": shift,
    "warp": warp,
}


def distort(x: Tensor, kind: str, strength: Tensor, g: torch.Generator) -> Tensor:
    """Pictures `[N, 3, H, W]` in [0, 1] with strengths `[N]` (CPU) of one of `PIXEL_KINDS`, clamped to [0, 1]."""
    return ACT[kind](x, strength, g).clamp(0, 1)


def distort_each(x: Tensor, kinds: list[str], strength: Tensor, seed: int) -> Tensor:
    """`distort` with another kind for each picture. What is drawn for a picture depends on the seed and on which
    pictures share its kind, so that two strengths can be given the same draw."""
    out = torch.empty_like(x)
    for number, kind in enumerate(PIXEL_KINDS):
        chosen = [i for i, k in enumerate(kinds) if k == kind]
        if chosen:
            g = torch.Generator().manual_seed(seed * 16 + number)
            out[chosen] = distort(x[chosen], kind, strength[chosen], g)
    return out

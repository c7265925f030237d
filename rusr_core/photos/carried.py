"""What happened to a photograph, carried over to the upright picture of one of its faces.

Cutting a face out turns and resizes it, and so does it with the damage: widths and directions change with the square,
noise is averaged, and the blocks of a JPEG lie elsewhere. What cannot be carried over is named.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core.decoding import ImageError
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.fade import Fade
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise, ReadNoise
from rusr_core.limits import MAX_SIDE, check_whole
from rusr_core.photos.align import align, side_of
from rusr_core.photos.estimate import Estimate, shrinking
from rusr_core.photos.masks import align_mask

SMALLEST = 16  # px, side of the upright picture
NARROWEST, SHORTEST = 0.3, 1.5  # px, of a blur and of a motion; less changes nothing
FAINTEST = 0.5 / 255  # standard deviation of noise that rounding to 8 bit hides
SHRUNK = 0.7  # of the size, down to which the blocks of a JPEG are still seen
TRIED = 55  # grey levels on either side of 128, of the noise that is aligned for a trial
LARGE, AROUND = 2**22, 2048  # pixels of a photograph of which only a part is looked at, and px of its sides


@dataclass(frozen=True)
class Carried:
    """The degradation of the upright picture of a face."""

    f: Degradation
    size: int  # px, the side of what f makes of the prior's images
    notes: tuple[str, ...]  # sentences: what was left out, and what is not exact


def window_around(quad: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """The part of a photograph of `size` (height, width) in which its damage is looked for, None for all of it.

    (left, upper, right, lower) in px: in large photographs the square `quad` `[4, 2]` and what lies around.
    """
    if size[0] * size[1] <= LARGE:
        return None
    middle, limit = quad.mean(0), (size[1], size[0])
    low = torch.minimum(quad.amin(0), middle - AROUND / 2).floor().long().tolist()
    high = torch.maximum(quad.amax(0), middle + AROUND / 2).ceil().long().tolist()
    low = [min(max(v, 0), most - 1) for v, most in zip(low, limit, strict=True)]
    high = [min(max(v, least + 1), most) for v, least, most in zip(high, low, limit, strict=True)]
    return low[0], low[1], high[0], high[1]


def carried(found: Estimate, quad: Tensor, resolution: int, known: Tensor | None = None) -> Carried:
    """The degradation that makes the upright picture of the square `quad` `[4, 2]` of a prior's `resolution` in px.

    `known` `[1, 1, H, W]`: where the photograph is known, by a mask that was given; else by the estimate. The upright
    picture is as large as the face is in the photograph, before that was enlarged, and at most the prior's size.
    Raises `ImageError` for a resolution that is none.
    """
    check_whole("resolution", resolution, 1, MAX_SIDE, ImageError)
    side, notes = side_of(quad), []
    true = side * min(found.before[0] / found.height, found.before[1] / found.width)
    size = min(resolution, max(SMALLEST, round(true)))
    face = _Face(quad, size, size / side, notes)
    stages: list[Degradation] = list(shrinking(resolution, size))
    for stage in found.stages:
        if not isinstance(stage, Mask):
            stages += face.of(stage)
        elif known is None:
            known = stage.visible
    if known is not None:
        upright = align_mask(known, quad, (size, size))
        stages += [Mask(upright)] if upright.min() < 1 else []
    return Carried(Compose(*stages), size, tuple(dict.fromkeys(notes)))


@dataclass(frozen=True, eq=False)
class _Face:
    """How one face is cut out, and what that does to each kind of damage."""

    quad: Tensor
    size: int
    scale: float  # px of the upright picture for one of the photograph
    notes: list[str]

    def of(self, stage: Degradation) -> list[Degradation]:
        """The stage as it is in the upright picture; nothing if it cannot be seen, or not be carried over."""
        kinds: dict[type, Callable] = {Blur: self._blur, JPEG: self._jpeg, ReadNoise: self._read_noise}
        kinds |= {PoissonBernoulliNoise: self._photons, Fade: lambda fade: [fade]}
        if type(stage) not in kinds:
            self.notes.append(f"{stage} is not carried over to the faces")
            return []
        return kinds[type(stage)](stage)

    def _blur(self, blur: Blur) -> list[Degradation]:
        if not blur.length:
            width = round(blur.width * self.scale, 2)
            return [Blur(width)] if width >= NARROWEST else []
        right, down = (self.quad[3] - self.quad[0]).tolist()
        direction = (blur.direction - math.degrees(math.atan2(-down, right)) + 90) % 180 - 90
        length = round(blur.length * self.scale, 1)
        return [Blur(length=length, direction=round(direction, 1))] if length >= SHORTEST else []

    def _jpeg(self, jpeg: JPEG) -> list[Degradation]:
        if self.scale < SHRUNK:
            self.notes.append(f"{jpeg} is not assumed, since the face is shrunk to {100 * self.scale:.0f} %")
            return []
        self.notes.append("the blocks of the JPEG are taken to begin at the corner of the face's square")
        return [jpeg]

    def _read_noise(self, noise: ReadNoise) -> list[Degradation]:
        sigma = noise.sigma * self._kept
        return [ReadNoise(round(sigma, 5))] if sigma > FAINTEST else []

    def _photons(self, noise: PoissonBernoulliNoise) -> list[Degradation]:
        if noise.p:
            self.notes.append("dead pixels are mixed with their neighbours and not assumed")
        photons = noise.photons / self._kept**2
        return [PoissonBernoulliNoise(round(photons, 2), 0.0)] if (0.5 / photons) ** 0.5 > FAINTEST else []

    @property
    def _kept(self) -> float:
        """The share of the standard deviation of white noise that is left when it is aligned: tried on some."""
        corner = self.quad.amin(0).floor()
        width, height = ((self.quad.amax(0).ceil() - corner).long() + 1).tolist()
        draw = torch.Generator().manual_seed(0)
        noise = torch.randint(128 - TRIED, 129 + TRIED, (1, height, width), generator=draw, dtype=torch.uint8)
        upright = align(noise.expand(3, -1, -1), self.quad - corner, self.size)
        tried = (((2 * TRIED + 1) ** 2 - 1) / 12) ** 0.5  # the standard deviation of so many whole numbers
        return float(255 * upright[0, 0].std()) / tried

"""Holes of a picture: regions painted in one flat colour, or transparent."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FLAT, LOSSY = 0.5 / 255, 4 / 255  # difference to the colour, in exact files and after JPEG
OPENING = 5  # px: what is thinner is no painted region, but dead pixels, letters, or a line of the picture
GROWN = 2  # px around a region, where a soft brush has blended
SHARE = (0.004, 0.9)  # of the picture
EXTREME = 0.02  # of black and white; other colours must be flatter than any wall
RINGING, AROUND = 16 / 255, 4  # what a compression makes of the colour, and how many px around
RIM = 0.12  # a painted colour ends at an edge: mean difference to what lies around


@dataclass(frozen=True)
class Hole:
    """What is painted over."""

    known: Tensor  # [1, 1, H, W], 1 where the picture is known and 0 where it is hidden, grown by `GROWN` px
    colour: tuple[int, int, int]  # red, green, blue, 0 to 255
    share: float  # of the picture that is hidden


def find_hole(x: Tensor, lossy: bool = False) -> Hole | None:
    """The region of one flat colour in the picture `x` `[1, 3, H, W]` in [0, 1], or None: there is none.

    Black and white are looked for first, then the most frequent colour. `lossy`: the file was saved as JPEG.
    """
    width = LOSSY if lossy else FLAT
    black, white = x.new_zeros(3), x.new_ones(3)
    for colour in (black, white, _most_frequent(x)):
        near = ((x - colour[:, None, None]).abs() <= width).all(1, keepdim=True).float()
        core = _opened(near)
        share = float(core.mean())
        if not SHARE[0] < share < SHARE[1]:
            continue
        region = F.max_pool2d(core, 3, 1, 1) * near  # what opening took from the corners
        grown = F.max_pool2d(region, 2 * GROWN + 1, 1, GROWN)
        if colour is not black and colour is not white and not _has_edge(x, region, grown, lossy):
            continue
        known = 1 - grown
        return Hole(known, tuple(round(255 * float(v)) for v in colour), float(grown.mean()))
    return None


def rings(x: Tensor, hole: Hole) -> bool:
    """Whether values near the colour lie around the hole in `x` `[1, 3, H, W]`: it was there before a compression."""
    hidden = 1 - hole.known
    around = (F.max_pool2d(hidden, 2 * AROUND + 1, 1, AROUND) - hidden) > 0.5
    colour = torch.tensor(hole.colour).to(x)[:, None, None] / 255
    near = ((x - colour).abs() <= RINGING).all(1, keepdim=True)
    return bool(around.any()) and float(near[around].float().mean()) > 0.1


def _opened(mask: Tensor) -> Tensor:
    """`mask` less what is narrower than `OPENING` px; beyond the borders it goes on as it ends."""
    margin = OPENING // 2
    padded = F.pad(mask, (margin,) * 4, mode="replicate")
    eroded = 1 - F.max_pool2d(1 - padded, OPENING, 1)
    return F.max_pool2d(eroded, OPENING, 1, margin) * mask


def _most_frequent(x: Tensor) -> Tensor:
    """The colour `[3]` that most pixels have."""
    colours, counts = (255 * x[0]).round().flatten(1).T.unique(dim=0, return_counts=True)
    return colours[counts.argmax()] / 255


def _has_edge(x: Tensor, region: Tensor, grown: Tensor, lossy: bool) -> bool:
    """Whether the picture around a region differs from it: a wall or a sky fades into its surroundings."""
    rim = (F.max_pool2d(grown, 5, 1, 2) - grown) > 0.5
    if lossy or not rim.any():
        return False
    colour = (x * region).sum((2, 3), keepdim=True) / region.sum()
    return float((x - colour).abs().mean(1, keepdim=True)[rim].median()) > RIM

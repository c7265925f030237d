"""Holes of a picture: regions painted in one flat colour, or transparent."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects, label, maximum_filter, minimum_filter

from rusr_core.parts import cells

OPENING = 5  # px: what is thinner is no painted region, but dead pixels, letters, or a line of the picture
GROWN = 2  # px around a region, where a soft brush has blended
SHARE = (0.004, 0.9)  # of the picture
EXTREMES = (0, 0, 0), (255, 255, 255)  # what is usually painted
COUNTED = 2**22  # pixels, about, among which the most frequent colour is looked for
RINGING, AROUND = 16, 4  # grey levels that a compression makes of the colour, and how many px around
RIM_WIDTH = 2  # px
RIM = 0.12  # a painted colour ends at an edge: median difference to what lies around
FADING = 0.05  # share of the rim that may nearly have the colour: paint has 0.02 at most, black things 0.09 to 0.9
COLOURS = 4  # frequent ones that are looked for


@dataclass(frozen=True)
class Hole:
    """What is painted over, or may be."""

    hidden: np.ndarray  # [H, W], True where the picture is hidden, grown by `GROWN` px
    colours: tuple[tuple[int, int, int], ...]  # of the paint: red, green, blue, 0 to 255
    sure: bool = True  # False: it fades into the picture, as shadows do, and as paint does under a compression

    @property
    def share(self) -> float:
        """Of the picture that is hidden."""
        return float(self.hidden.mean())


def find_hole(pixels: np.ndarray) -> Hole | None:
    """The regions of flat colours in the picture `pixels` `[H, W, 3]`, uint8, of an exact file; None: there is none.

    Black, white and frequent colours are looked for. What fades into its surroundings is no sure hole: deep shadows
    are black, and skies are white. Such a region is returned if there is no sure one.
    """
    sure, doubtful = None, None
    for colour in dict.fromkeys((*EXTREMES, *_frequent(pixels))):
        near = _within(pixels, colour)
        if near.mean() <= SHARE[0]:  # the opened region is no larger
            continue
        core = _opened(near)
        if not SHARE[0] < core.mean() < SHARE[1]:
            continue
        region = grown(grown(core, 1) & near, GROWN)  # with what opening took from the corners
        hidden = _painted(pixels, colour, region.copy())
        if hidden.mean() <= SHARE[0]:
            doubtful = doubtful or Hole(region, (colour,), sure=False)
        elif sure is None:
            sure = Hole(hidden, (colour,))
        else:
            sure = Hole(hidden | sure.hidden, (*sure.colours, colour))
    return sure or doubtful


def grown(region: np.ndarray, margin: int) -> np.ndarray:
    """A region `[H, W]` of bool and all that lies within `margin` px of it, in both directions."""
    return maximum_filter(region, 2 * margin + 1, mode="constant")


def rings(pixels: np.ndarray, hole: Hole) -> bool:
    """Whether values near its colours lie around the hole in `pixels`: it was there before a compression."""
    around = pixels[grown(hole.hidden, AROUND) & ~hole.hidden].astype(np.int16)
    off = np.min([np.abs(around - colour).max(1) for colour in hole.colours], axis=0)
    return bool(off.size) and float((off <= RINGING).mean()) > 0.1


def _within(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Where the picture `[H, W, 3]` has a colour, `[H, W]`."""
    there = pixels[..., 0] == colour[0]
    for channel in (1, 2):
        there &= pixels[..., channel] == colour[channel]
    return there


def _opened(mask: np.ndarray) -> np.ndarray:
    """`mask` less what is narrower than `OPENING` px; beyond the borders it goes on as it ends."""
    eroded = minimum_filter(mask, OPENING, mode="nearest")
    return maximum_filter(eroded, OPENING, mode="constant") & mask


def _frequent(pixels: np.ndarray) -> list[tuple[int, int, int]]:
    """The colours that most pixels have, `COLOURS` at most; of a large picture, most of those taken evenly."""
    some = cells(pixels, 1, COUNTED)[:, 0, 0].astype(np.int32)
    codes, counts = np.unique(some[..., 0] << 16 | some[..., 1] << 8 | some[..., 2], return_counts=True)
    most = [int(codes[i]) for i in np.argsort(-counts, kind="stable")[:COLOURS] if counts[i] > SHARE[0] * some.shape[0]]
    return [(code >> 16, code >> 8 & 255, code & 255) for code in most]


def _painted(pixels: np.ndarray, colour: tuple[int, int, int], hidden: np.ndarray) -> np.ndarray:
    """The connected parts of a region `[H, W]` that end at an edge, each judged by itself."""
    parts, _ = label(hidden)
    for number, box in enumerate(find_objects(parts), 1):
        around = tuple(slice(max(0, side.start - RIM_WIDTH), side.stop + RIM_WIDTH) for side in box)
        part = parts[around] == number
        if not _has_edge(pixels[around], colour, part, hidden[around]):
            hidden[around] &= ~part
    return hidden


def _has_edge(pixels: np.ndarray, colour: tuple[int, int, int], part: np.ndarray, hidden: np.ndarray) -> bool:
    """Whether a part of what is hidden ends at an edge all around: a wall, a sky or a shadow fades somewhere.

    Pixels of the rim that have exactly the colour tell nothing: where some are dead, they are black.
    """
    rim = grown(part, RIM_WIDTH) & ~hidden & ~_within(pixels, colour)
    if not rim.any():
        return False
    off = np.abs(pixels[rim].astype(np.int16) - colour)
    fades = float((off.max(1) <= RINGING).mean()) > FADING
    return not fades and float(np.median(off.mean(1))) / 255 > RIM

"""Masks from picture files: white or opaque is known. A picture that is no mask is told what it is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rusr_core.decoding import MOST_PIXELS, ImageError, decode
from rusr_core.images import from_pil
from rusr_core.parts import picture_strips

NEAR = 0.1  # of black and white: what a lossy file makes of them
COLOURED, GREY = 0.01, 0.25  # shares of pixels beyond which a picture is no mask; a soft brush stays below
LOSSY = ("JPEG", "MPO", "WEBP")


@dataclass(frozen=True)
class MaskFile:
    """A mask, and how the file says it."""

    known: Tensor  # [1, 1, H, W] in [0, 1]: 1 where the picture is known, 0 where it is hidden
    meaning: str  # "white is known", "opaque is known", "black is known" or "transparent is known"


def load_mask(path: str | Path, *, invert: bool = False) -> MaskFile:
    """The mask in a picture file: white is known and black is hidden; soft edges blend.

    Where a photograph is partly transparent (a region was erased), its transparency is the mask: opaque is known. A
    drawing of black on a transparent ground is taken as one on white. `invert` swaps known and hidden.

    In files that lose (JPEG, WebP), values within 0.1 of black and white become black and white. Masks may be as large
    as photographs, 2^27 pixels, and are read in strips.
    Raises `ImageError` naming `path` for a picture that is no mask: of colours, of greys, or of the numbers 0 and 1.
    """
    picture = decode(path, most=MOST_PIXELS)
    alpha = None
    if picture.mode[0] not in "IF" and picture.has_transparency_data:
        alpha = torch.empty(1, 1, picture.height, picture.width)
        for rows, strip in picture_strips(picture):
            alpha[0, 0, rows] = torch.from_numpy(np.array(strip.convert("RGBA").getchannel("A"))) / 255
    try:
        if alpha is None or alpha.min() == 1 or _drawn_in_black(picture, alpha):
            known, words = _black_and_white(picture), ("white", "black")
        else:
            known, words = alpha, ("opaque", "transparent")
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    if picture.format in LOSSY:
        known.masked_fill_(known < NEAR, 0.0).masked_fill_(known > 1 - NEAR, 1.0)
    return MaskFile(torch.sub(1, known, out=known) if invert else known, f"{words[invert]} is known")


def _drawn_in_black(picture: Image.Image, alpha: Tensor) -> bool:
    """Whether what is opaque is a drawing in black (and white), and no photograph. In white alone: ImageError."""
    num, between, least = 0, 0, 1.0
    for rows, strip in picture_strips(picture):
        drawn = from_pil(strip.convert("RGBA").convert("RGB"))[(alpha[..., rows, :] > 0.5).expand(-1, 3, -1, -1)]
        num, between = num + len(drawn), between + int(((drawn > NEAR) & (drawn < 1 - NEAR)).sum())
        least = min(least, float(drawn.min())) if len(drawn) else least
    if not num or between / num > COLOURED:
        return False
    if least > 1 - NEAR:
        raise ImageError("a mask drawn in white on a transparent ground may mean either; save it on black or on white")
    return True


def _black_and_white(picture: Image.Image) -> Tensor:
    """The brightness of a black and white picture, [1, 1, H, W]."""
    known, num = torch.empty(1, 1, picture.height, picture.width), picture.height * picture.width
    expected, coloured, grey = "a mask must be black (hidden) and white (known)", 0, 0
    for rows, strip in picture_strips(picture):
        x = from_pil(strip)
        coloured += int((x.amax(1) - x.amin(1) > NEAR).sum())
        x = x.mean(1, keepdim=True)
        grey += int(((x > NEAR) & (x < 1 - NEAR)).sum())
        known[:, :, rows] = x
    if coloured > COLOURED * num:
        raise ImageError(f"{expected}; {100 * coloured / num:.0f} % of the pixels are coloured")
    if 0 < known.max() < NEAR:
        white = 65535 if picture.mode[0] == "I" else 255
        raise ImageError(f"{expected}; its lightest value is {known.max() * white:.0f}, expected {white}")
    if grey > GREY * num:
        raise ImageError(f"{expected}; {100 * grey / num:.0f} % of the pixels are grey")
    return known

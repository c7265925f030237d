"""Masks from picture files: white or opaque is known. A picture that is no mask is told what it is."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rusr_core.decoding import ImageError, decode
from rusr_core.images import from_pil

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

    In files that lose (JPEG, WebP), values within 0.1 of black and white become black and white.
    Raises `ImageError` naming `path` for a picture that is no mask: of colours, of greys, or of the numbers 0 and 1.
    """
    picture = decode(path)
    alpha = None
    if picture.mode[0] not in "IF" and picture.has_transparency_data:
        alpha = torch.from_numpy(np.array(picture.convert("RGBA").getchannel("A")))[None, None].float() / 255
    try:
        if alpha is None or alpha.min() == 1 or _drawn_in_black(picture, alpha):
            known, words = _black_and_white(picture), ("white", "black")
        else:
            known, words = alpha, ("opaque", "transparent")
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    if picture.format in LOSSY:
        known = torch.where(known < NEAR, 0.0, torch.where(known > 1 - NEAR, 1.0, known))
    return MaskFile(1 - known if invert else known, f"{words[invert]} is known")


def _drawn_in_black(picture: Image.Image, alpha: Tensor) -> bool:
    """Whether what is opaque is a drawing in black (and white), and no photograph. In white alone: ImageError."""
    drawn = from_pil(picture.convert("RGBA").convert("RGB"))[(alpha > 0.5).expand(-1, 3, -1, -1)]
    if not len(drawn) or ((drawn > NEAR) & (drawn < 1 - NEAR)).float().mean() > COLOURED:
        return False
    if drawn.min() > 1 - NEAR:
        raise ImageError("a mask drawn in white on a transparent ground may mean either; save it on black or on white")
    return True


def _black_and_white(picture: Image.Image) -> Tensor:
    """The brightness of a black and white picture, [1, 1, H, W]."""
    x = from_pil(picture)
    expected = "a mask must be black (hidden) and white (known)"
    coloured = (x.amax(1) - x.amin(1) > NEAR).float().mean()
    if coloured > COLOURED:
        raise ImageError(f"{expected}; {100 * coloured:.0f} % of the pixels are coloured")
    x = x.mean(1, keepdim=True)
    if 0 < x.max() < NEAR:
        white = 65535 if picture.mode[0] == "I" else 255
        raise ImageError(f"{expected}; its lightest value is {x.max() * white:.0f}, expected {white}")
    grey = ((x > NEAR) & (x < 1 - NEAR)).float().mean()
    if grey > GREY:
        raise ImageError(f"{expected}; {100 * grey:.0f} % of the pixels are grey")
    return x

"""A photograph as it is: 8 bit, of up to 2^27 pixels, which a search would not fit."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rusr_core.decoding import MOST_PIXELS, decode
from rusr_core.images import from_pil, to_uint8
from rusr_core.parts import picture_strips

PLAIN = ("RGB", "L", "P")  # modes that become 8-bit RGB without a detour over floats


def load_picture(path: str | Path) -> Tensor:
    """The photograph in `path` as `[3, H, W]`, uint8, in sRGB, upright; transparency is composited over white.

    Raises `ImageError` as `images.load_image` does, but for over 2^27 pixels.
    """
    return torch.from_numpy(pixels_of(decode(path, most=MOST_PIXELS))).permute(2, 0, 1)


def pixels_of(picture: Image.Image) -> np.ndarray:
    """A Pillow image of any mode as `[H, W, 3]`, uint8, as `images.from_pil` says, in strips to save memory."""
    width, height = picture.size
    plain = picture.mode in PLAIN and not picture.has_transparency_data
    result = np.empty((height, width, 3), np.uint8)
    for rows, strip in picture_strips(picture):
        result[rows] = np.asarray(strip.convert("RGB")) if plain else to_uint8(from_pil(strip)[0]).permute(1, 2, 0)
    return result


def transparent(picture: Image.Image) -> np.ndarray | None:
    """Where a Pillow image is not opaque, `[H, W]` of bool; None if it is so everywhere."""
    if picture.mode[0] in "IF" or not picture.has_transparency_data:
        return None
    width, height = picture.size
    result = np.empty((height, width), bool)
    for rows, strip in picture_strips(picture):
        result[rows] = np.asarray(strip.convert("RGBA").getchannel("A")) < 255
    return result if result.any() else None


def as_picture(pixels: Tensor) -> Image.Image:
    """`[3, H, W]`, uint8, as a Pillow image in RGB."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())

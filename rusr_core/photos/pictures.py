"""A photograph as it is: 8 bit, of up to 2^27 pixels, which a search would not fit."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rusr_core.decoding import decode
from rusr_core.images import from_pil, to_uint8

MAX_PIXELS = 2**27  # 134 megapixels: 0.4 GB in 8 bit
PLAIN = ("RGB", "L", "P")  # modes that become 8-bit RGB without a detour over floats


def load_picture(path: str | Path) -> Tensor:
    """The photograph in `path` as `[3, H, W]`, uint8, in sRGB, upright; transparency is composited over white.

    Raises `ImageError` as `images.load_image` does, but for over 2^27 pixels.
    """
    picture = decode(path, most=MAX_PIXELS)
    if picture.mode in PLAIN and not picture.has_transparency_data:
        plain = picture if picture.mode == "RGB" else picture.convert("RGB")  # `convert` copies in any case
        return torch.from_numpy(np.array(plain)).permute(2, 0, 1)
    return to_uint8(from_pil(picture)[0])


def as_picture(pixels: Tensor) -> Image.Image:
    """`[3, H, W]`, uint8, as a Pillow image in RGB."""
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())

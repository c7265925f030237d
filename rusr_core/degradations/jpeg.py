"""JPEG as a file codec (Pillow) and as a differentiable function.

The differentiable codec follows the standard (ITU-T T.81) and libjpeg, step by step: YCbCr, chroma at half
size, 8x8 cosine transform, division by a table, rounding, and back with libjpeg's smooth chroma
interpolation. Rounding to whole pixel values passes gradients unchanged; rounding of coefficients has the
derivative of `round_coefficients`, which is what makes the codec useful to a search.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from rusr_core.degradations import jpeg
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import check, check_compat, is_whole, size_of, true_input
from rusr_core.degradations.resampling import _through_files

BLOCK = 8
ROUNDING = 0.8  # k in the derivative of rounding: afa53685 of the published code

# ITU-T T.81, annex K.1: the tables of quality 50, rows are vertical frequencies
LUMA = """
    16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55   14 13 16 24  40  57  69  56
    14 17 22 29  51  87  80  62   18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99"""
CHROMA = """
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99   47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99"""

# ITU-T T.871, section 7: Y, Cb - 128, Cr - 128 from R, G, B, all in [0, 255], and back
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def file_round_trip(picture: Image.Image, quality: int) -> Image.Image:
    """An RGB picture after Pillow has written it at `quality`, chroma 4:2:0, and read it again."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file) as decoded:
        return decoded.convert("RGB")


def tables(quality: int) -> tuple[Tensor, Tensor]:
    """libjpeg's luma and chroma tables `[8, 8]` (float32, 1 to 255) for a quality of 1 to 100. Rows are
    vertical frequencies."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (torch.tensor([int(v) for v in text.split()]).view(BLOCK, BLOCK) for text in (LUMA, CHROMA))
    return tuple(((table * scale + 50) // 100).clamp(1, 255).float() for table in (luma, chroma))


def differentiable_jpeg(x: Tensor, quality: int) -> Tensor:
    """`x` `[N, 3, H, W]` in [0, 1], any size -> what Pillow's JPEG of it decodes to, same shape, in [0, 1].

    Values outside [0, 1] are clamped as an 8-bit file would; their gradient passes. How well it agrees with
    Pillow: see `degradations.JPEG`.
    """
    height, width = x.shape[-2:]
    luma, chroma = tables(quality)
    pixels = _passing(255 * x, lambda v: v.round().clamp(0, 255))
    half = torch.tensor([0.5, 0.4999, 0.4999]).to(x).view(3, 1, 1)  # chroma's exact halves go down in libjpeg
    ycc = _passing(_colour(pixels, TO_YCC), lambda v: (v + half).floor())
    # libjpeg repeats the last column of the full-size picture, but the last row of the half-size chroma
    ycc = _extend(ycc, 2, 2 * BLOCK)
    y = _code(_extend(ycc[:, :1], BLOCK, 1), luma)
    c = _code(_extend(_halve(ycc[:, 1:]), BLOCK, 1), chroma)
    y, c = (_passing(v, lambda v: v.round().clamp(-128, 127)) for v in (y, c))
    c = _double(c[..., : math.ceil(height / 2), : math.ceil(width / 2)])
    ycc = torch.cat([y[..., :height, :width] + 128, c[..., :height, :width]], 1)
    return _passing(_colour(ycc, TO_RGB), lambda v: v.round().clamp(0, 255)) / 255


def published_jpeg(x: Tensor, quality: int) -> Tensor:
    """The surrogate of the published code: tables transposed, no rounding to whole pixels, no clamping.

    `x` `[N, 3, H, W]` in about [0, 1] -> same shape. Source: robust-unsupervised afa53685 (there through
    DiffJPEG).
    """
    height, width = x.shape[-2:]
    ycc = _extend(_colour(255 * x, TO_YCC), 2 * BLOCK, 2 * BLOCK)
    luma, chroma = (table.T for table in tables(quality))
    y = _code(ycc[:, :1], luma, as_libjpeg=False) + 128
    c = _code(F.avg_pool2d(ycc[:, 1:], 2), chroma, as_libjpeg=False)
    c = F.interpolate(c, scale_factor=2, mode="nearest")
    return _colour(torch.cat([y, c], 1), TO_RGB)[..., :height, :width] / 255


def round_coefficients(t: Tensor, k: float = ROUNDING) -> Tensor:
    """round(t) with the derivative (1 - k) + 3 k (t - round t)^2: 0.2 on whole numbers, 0.8 half way."""
    return _softly(t, t.detach().round(), k)


def _round_as_libjpeg(t: Tensor, k: float = ROUNDING) -> Tensor:
    """`round_coefficients`, but halves go away from zero."""
    return _softly(t, t.detach().sign() * (t.detach().abs() + 0.5).floor(), k)


def _softly(t: Tensor, whole: Tensor, k: float) -> Tensor:
    rest = t - whole
    soft = (1 - k) * rest + k * rest**3
    return whole + (soft - soft.detach())


class _Passing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, step: Callable) -> Tensor:
        return step(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def _passing(x: Tensor, step: Callable) -> Tensor:
    """`step(x)`, whose gradient is passed on unchanged."""
    return _Passing.apply(x, step)


def _colour(x: Tensor, matrix: tuple) -> Tensor:
    """A 3x3 matrix on the channels of `[N, 3, H, W]`; luma is returned and expected less 128 when coding."""
    if matrix is TO_YCC:
        offset = torch.tensor([-128.0, 0.0, 0.0]).to(x).view(3, 1, 1)
        return torch.einsum("ij,njhw->nihw", torch.tensor(matrix).to(x), x) + offset
    return torch.einsum("ij,njhw->nihw", torch.tensor(matrix).to(x), x)


def _extend(x: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat the last row and column until the height and width are multiples of `rows` and `columns`."""
    down, right = -x.shape[-2] % rows, -x.shape[-1] % columns
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def _halve(c: Tensor) -> Tensor:
    """2x2 means of whole numbers as libjpeg rounds them: halves go down and up in alternate columns."""
    bias = torch.tensor([0.25, 0.5]).to(c).repeat(c.shape[-1] // 4)
    return _passing(F.avg_pool2d(c, 2), lambda v: (v + bias).floor())


def _double(c: Tensor) -> Tensor:
    """libjpeg's "fancy" upsampling by 2 (weights 9, 3, 3, 1 of 16); it repeats pixels if there are 2 columns
    or less."""
    if c.shape[-1] <= 2:
        return F.interpolate(c, scale_factor=2, mode="nearest")
    smooth = F.interpolate(c, scale_factor=2, mode="bilinear", align_corners=False)
    bias = torch.tensor([8 / 16, 7 / 16]).to(c).repeat(c.shape[-1])
    return _passing(smooth, lambda v: (v + bias).floor())


@lru_cache(maxsize=8)
def _dct(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthonormal cosine transform of a flattened 8x8 block, `[64, 64]`: one product for both axes."""
    n = np.arange(BLOCK)
    basis = np.sqrt(2 / BLOCK) * np.cos((2 * n[None] + 1) * n[:, None] * np.pi / (2 * BLOCK))
    basis[0] /= np.sqrt(2)
    return torch.from_numpy(np.kron(basis, basis)).to(device, dtype)


def _code(x: Tensor, table: Tensor, as_libjpeg: bool = True) -> Tensor:
    """Transform, quantise by `table` `[8, 8]` and transform back each 8x8 block of `[N, C, H, W]`."""
    n, c, h, w = x.shape
    dct = _dct(x.dtype, x.device)
    steps = table.reshape(-1).to(x)
    blocks = x.view(n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK).transpose(3, 4).reshape(-1, BLOCK * BLOCK)
    blocks = blocks @ dct.T
    if as_libjpeg:  # its integer transform gives whole eighths, so that exact halves of a step are common
        blocks = _round_as_libjpeg(_passing(blocks, lambda v: (8 * v).round() / 8) / steps)
    else:
        blocks = round_coefficients(blocks / steps)
    blocks = (blocks * steps) @ dct
    blocks = blocks.view(n, c, h // BLOCK, w // BLOCK, BLOCK, BLOCK).transpose(3, 4)
    return blocks.reshape(n, c, h, w)


@dataclass(frozen=True)
class JPEG(Degradation):
    """JPEG compression at Pillow's `quality` (1 to 100) with chroma at half size (4:2:0), any image size.

    True: a file written and read by Pillow. Surrogate: `jpeg.differentiable_jpeg`.

    Agreement at qualities 6, 9, 12, 15, 18: 61 to 63 dB on the golden picture (published: 26 to 29). On the
    100 test portraits of 128 px the median PSNR is 70, 54, 61, 57, 55 dB (published: 33, 34, 35, 36, 36), and
    42 dB for the worst image (31).
    """

    quality: int
    compat: str | None = None
    name: ClassVar[str] = "jpeg"
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_compat(self.compat)
        whole = is_whole(self.quality) and 1 <= self.quality <= 100
        check(whole, "quality", "a whole number from 1 to 100", self.quality)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        step = partial(jpeg.file_round_trip, quality=self.quality)
        return _through_files(true_input(x), [step] * len(x), self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return (jpeg.published_jpeg if self.compat else jpeg.differentiable_jpeg)(x, self.quality)

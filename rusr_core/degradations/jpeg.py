"""JPEG as a file codec (Pillow) and as a differentiable function.

The differentiable codec follows the standard (ITU-T T.81) and libjpeg, step by step: YCbCr, chroma at full or half
size, 8x8 cosine transform, division by a table, rounding, and back with libjpeg's smooth chroma interpolation. Rounding
to whole pixel values passes gradients unchanged; rounding of coefficients has the derivative of `round_coefficients`,
which is what makes the codec useful to a search.
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

from rusr_core.arithmetic import plain_tensors
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import check, check_compat, size_of, true_input
from rusr_core.degradations.jpeg_tables import BLOCK, ENTRIES, Quality, check_quality, tables, three_tables
from rusr_core.degradations.resampling import _through_files
from rusr_core.limits import is_whole

__all__ = ["JPEG", "SAMPLINGS", "differentiable_jpeg", "file_round_trip", "published_jpeg", "tables", "three_tables"]

ROUNDING = 0.8  # k in the derivative of rounding: afa53685 of the published code

# by how much chroma is reduced: (rows, columns); a grey file has none
SAMPLINGS = {"4:2:0": (2, 2), "4:2:2": (1, 2), "4:4:4": (1, 1), "grey": None}

# ITU-T T.871, section 7: Y, Cb - 128, Cr - 128 from R, G, B, all in [0, 255], and back
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def check_sampling(sampling: object) -> None:
    """Raise `DegradationError` for a chroma sampling that no file of ours has."""
    known = isinstance(sampling, str) and sampling in SAMPLINGS
    check(known, "sampling", f"one of {', '.join(SAMPLINGS)}", sampling)


def file_round_trip(picture: Image.Image, quality: Quality, sampling: str = "4:2:0") -> Image.Image:
    """An RGB image after Pillow has written it at `quality` and chroma `sampling`, and read it again as RGB.

    Raises `DegradationError` for another quality or sampling.
    """
    check_quality(quality)
    check_sampling(sampling)
    file, options = io.BytesIO(), {"quality": quality}
    if isinstance(quality, tuple):
        options = {"qtables": [list(quality[i : i + ENTRIES]) for i in range(0, len(quality), ENTRIES)]}
    if sampling == "grey":
        picture = picture.convert("L")
    else:
        options["subsampling"] = sampling
    picture.save(file, "JPEG", **options)
    with Image.open(file) as decoded:
        return decoded.convert("RGB")


def differentiable_jpeg(x: Tensor, quality: Quality, sampling: str = "4:2:0") -> Tensor:
    """`x` `[N, 3, H, W]` in [0, 1], any size -> what Pillow's JPEG of it decodes to, same shape, in [0, 1].

    Values outside [0, 1] are clamped as an 8-bit file would; their gradient passes. How well it agrees with Pillow is
    stated in `JPEG`. Raises `DegradationError` for another quality or sampling.
    """
    check_sampling(sampling)
    height, width = x.shape[-2:]
    rows, columns = SAMPLINGS[sampling] or (1, 1)
    luma, *chroma = _steps(quality, False, x.dtype, x.device)
    pixels = _passing(255 * x, lambda v: v.round().clamp(0, 255))
    # chroma's exact halves go down in libjpeg
    half = _constant((0.5, 0.4999, 0.4999), x.dtype, x.device)[:, None, None]
    ycc = _passing(_to_ycc(pixels), lambda v: (v + half).floor())
    # libjpeg repeats the last column of the full-size picture, but the last row of the reduced chroma
    ycc = _extend(ycc, rows, columns * BLOCK)
    y = _shifted(_code(_extend(ycc[:, :1], BLOCK, 1), luma))
    if sampling == "grey":
        return (y[..., :height, :width] + 128).expand(-1, 3, -1, -1) / 255
    c = _shifted(_code_chroma(_extend(_reduce(ycc[:, 1:], rows, columns), BLOCK, 1), chroma))
    c = _enlarge(c[..., : math.ceil(height / rows), : math.ceil(width / columns)], rows, columns)
    ycc = torch.cat([y[..., :height, :width] + 128, c[..., :height, :width]], 1)
    return _passing(_colour(ycc, TO_RGB), lambda v: v.round().clamp(0, 255)) / 255


def published_jpeg(x: Tensor, quality: int) -> Tensor:
    """The surrogate of the published code: tables transposed, no rounding to whole pixels, no clamping, 4:2:0.

    `x` `[N, 3, H, W]` in about [0, 1] -> same shape. Source: robust-unsupervised afa53685 (there through DiffJPEG).
    """
    height, width = x.shape[-2:]
    ycc = _extend(_to_ycc(255 * x), 2 * BLOCK, 2 * BLOCK)
    luma, chroma, _ = _steps(quality, True, x.dtype, x.device)
    y = _code(ycc[:, :1], luma, as_libjpeg=False) + 128
    c = _code(F.avg_pool2d(ycc[:, 1:], 2), chroma, as_libjpeg=False)
    c = F.interpolate(c, scale_factor=2, mode="nearest")
    return _colour(torch.cat([y, c], 1), TO_RGB)[..., :height, :width] / 255


def round_coefficients(t: Tensor, k: float = ROUNDING) -> Tensor:
    """round(t) with the derivative (1 - k) + 3 k (t - round t)^2: 0.2 on whole numbers, 0.8 halfway."""
    return _softly(t, t.detach().round(), k)


def _round_as_libjpeg(t: Tensor, k: float = ROUNDING) -> Tensor:
    """`round_coefficients`, but halves go away from zero."""
    return _softly(t, t.detach().sign() * (t.detach().abs() + 0.5).floor(), k)


def _softly(t: Tensor, whole: Tensor, k: float) -> Tensor:
    rest = t - whole
    soft = (1 - k) * rest + k * rest**3
    return whole + (soft - soft.detach())


class _Passing(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, step: Callable) -> Tensor:
        return step(x)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None

    @staticmethod
    def jvp(ctx, tangent: Tensor, _: None) -> Tensor:
        return tangent.view_as(tangent)  # torch refuses an input as the result


def _passing(x: Tensor, step: Callable) -> Tensor:
    """`step(x)`, whose gradient is passed on unchanged."""
    return _Passing.apply(x, step)


@lru_cache(maxsize=64)
def _constant(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Numbers on a device, where they stay: a search asks for them at every step. Not to be changed."""
    with plain_tensors():
        return torch.tensor(values, device=device).to(dtype)


@lru_cache(maxsize=32)
def _steps(quality: Quality, transposed: bool, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """The steps of Y, Cb and Cr `[64]`, from `three_tables`, on a device."""
    with plain_tensors():
        luma, cb, cr = ((t.T if transposed else t).reshape(-1).to(device, dtype) for t in three_tables(quality))
        return luma, cb, cb if torch.equal(cb, cr) else cr


def _colour(x: Tensor, matrix: tuple) -> Tensor:
    """A 3x3 matrix on the channels of `[N, 3, H, W]`."""
    return torch.einsum("ij,njhw->nihw", _constant(matrix, x.dtype, x.device), x)


def _to_ycc(x: Tensor) -> Tensor:
    """Y - 128, Cb - 128, Cr - 128 of RGB, all `[N, 3, H, W]` in about [0, 255]."""
    return _colour(x, TO_YCC) + _constant((-128.0, 0.0, 0.0), x.dtype, x.device)[:, None, None]


def _extend(x: Tensor, rows: int, columns: int) -> Tensor:
    """Repeat the last row and column until the height and width are multiples of `rows` and `columns`."""
    down, right = -x.shape[-2] % rows, -x.shape[-1] % columns
    return F.pad(x, (0, right, 0, down), mode="replicate") if down or right else x


def _reduce(c: Tensor, rows: int, columns: int) -> Tensor:
    """Means of `rows` x `columns` whole numbers as libjpeg rounds them: halves go down and up in alternate columns."""
    if columns == 1:
        return c
    bias = _constant((0.25, 0.5) if rows == 2 else (0.0, 0.5), c.dtype, c.device).repeat(c.shape[-1] // 4)
    return _passing(F.avg_pool2d(c, (rows, columns)), lambda v: (v + bias).floor())


def _enlarge(c: Tensor, rows: int, columns: int) -> Tensor:
    """libjpeg's "fancy" upsampling, a triangle filter; it repeats pixels if there are 2 columns or less."""
    if columns == 1:
        return c
    if c.shape[-1] <= 2:
        return F.interpolate(c, scale_factor=(rows, columns), mode="nearest")
    smooth = F.interpolate(c, scale_factor=(rows, columns), mode="bilinear", align_corners=False)
    bias = _constant((8 / 16, 7 / 16) if rows == 2 else (1 / 4, 2 / 4), c.dtype, c.device).repeat(c.shape[-1])
    return _passing(smooth, lambda v: (v + bias).floor())


@lru_cache(maxsize=8)
def _dct(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthonormal cosine transform of a flattened 8x8 block, `[64, 64]`: one product for both axes."""
    n = np.arange(BLOCK)
    basis = np.sqrt(2 / BLOCK) * np.cos((2 * n[None] + 1) * n[:, None] * np.pi / (2 * BLOCK))
    basis[0] /= np.sqrt(2)
    with plain_tensors():
        return torch.from_numpy(np.kron(basis, basis)).to(device, dtype)


def _quantised(x: Tensor, steps: Tensor, as_libjpeg: bool = True) -> Tensor:
    """The whole numbers that are stored of each 8x8 block of `[N, C, H, W]`, row by row, `[blocks, 64]`."""
    n, c, h, w = x.shape
    blocks = x.view(n, c, h // BLOCK, BLOCK, w // BLOCK, BLOCK).transpose(3, 4).reshape(-1, BLOCK * BLOCK)
    blocks = blocks @ _dct(x.dtype, x.device).T
    if as_libjpeg:  # its integer transform gives whole eighths, so that exact halves of a step are common
        return _round_as_libjpeg(_passing(blocks, lambda v: (8 * v).round() / 8) / steps)
    return round_coefficients(blocks / steps)


def _code(x: Tensor, steps: Tensor, as_libjpeg: bool = True) -> Tensor:
    """Transform, quantise by `steps` `[64]` and transform back each 8x8 block of `[N, C, H, W]`."""
    n, c, h, w = x.shape
    blocks = (_quantised(x, steps, as_libjpeg) * steps) @ _dct(x.dtype, x.device)
    blocks = blocks.view(n, c, h // BLOCK, w // BLOCK, BLOCK, BLOCK).transpose(3, 4)
    return blocks.reshape(n, c, h, w)


def _shifted(x: Tensor) -> Tensor:
    """Decoded values, around 0, as the whole numbers that they are stored as."""
    return _passing(x, lambda v: v.round().clamp(-128, 127))


def _code_chroma(c: Tensor, steps: list[Tensor]) -> Tensor:
    """`_code` of Cb and Cr `[N, 2, H, W]`, at once if they share their steps."""
    if steps[0] is steps[1]:
        return _code(c, steps[0])
    return torch.cat([_code(channel, s) for channel, s in zip(c.split(1, 1), steps, strict=True)], 1)


@dataclass(frozen=True)
class JPEG(Degradation):
    """JPEG compression at Pillow's `quality` (1 to 100) and chroma `sampling`, any image size.

    In place of a quality, `quality` may be the tables themselves, which cameras and editors bring: 64, 128 or 192 whole
    numbers from 1, see `three_tables`; `photos.read_jpeg` finds them in a file.

    `sampling` is "4:2:0" (chroma at half size, Pillow's default and the benchmark's), "4:2:2" (at half width),
    "4:4:4" (at full size, as many phones and editors write) or "grey" (no colour). For a given file it must be the
    file's own: the surrogate of another is only 32 dB near at quality 12 (4:2:0 for 4:4:4, median over the test
    portraits of the table below).

    True: a file written and read by Pillow. Surrogate: `differentiable_jpeg`.

    Agreement of the two at qualities 6, 9, 12, 15, 18: 61 to 63 dB on the golden picture (published surrogate: 26 to
    29). On the 100 test portraits of 128 px, median PSNR and that of the worst image in dB:

        4:2:0   66, 54, 57, 58, 56   worst 44        published, 4:2:0   32, 34, 35, 35, 36   worst 30
        4:2:2   65, 54, 58, 57, 56   worst 45
        4:4:4   65, 53, 57, 57, 56   worst 45
        grey    67, 64, 58, 59, 58   worst 46
        tables of one's own, one, two or three, in each sampling: 54 to 57, worst 52; four times as coarse: 53, worst 47
    """

    CITES: ClassVar[tuple[str, ...]] = ("wallace1992jpeg",)

    quality: Quality
    sampling: str = "4:2:0"
    compat: str | None = None
    name: ClassVar[str] = "jpeg"
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_compat(self.compat)
        if isinstance(self.quality, list):
            object.__setattr__(self, "quality", tuple(self.quality))
        check_quality(self.quality)
        check_sampling(self.sampling)
        check(not self.compat or self.sampling == "4:2:0", "sampling", "4:2:0 with compat", self.sampling)
        check(not self.compat or is_whole(self.quality), "quality", "a whole number with compat", self.quality)
        single = not isinstance(self.quality, tuple) or len(self.quality) == ENTRIES
        check(self.sampling != "grey" or single, "quality", "one table of 64 numbers for a grey file", self.quality)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        step = partial(file_round_trip, quality=self.quality, sampling=self.sampling)
        return _through_files(true_input(x), [step] * len(x), self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return published_jpeg(x, self.quality) if self.compat else differentiable_jpeg(x, self.quality, self.sampling)

"""Images in, images out, and the one resize. An image is `[N, 3, H, W]`, float32, in [0, 1], everywhere."""

import io
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor

from rusr_core import files
from rusr_core.errors import RusrError

# Formats are named so that no file can make Pillow start another program (as PostScript would).
READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
READABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm")
WRITABLE = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
MAX_PIXELS = 2**26  # 8192 x 8192: 0.8 GB as float32; beyond it a header is a mistake or an attack
RESIZE_MODES = ("area", "bilinear", "bicubic", "lanczos", "nearest")
LANCZOS_LOBES = 3


class ImageError(RusrError):
    """A file that is no usable image, or an image that cannot be written."""


def load_image(path: str | Path, *, size: int | None = None, fit: str | None = None) -> Tensor:
    """The picture in `path` as `[1, 3, H, W]` in [0, 1].

    EXIF rotation is applied, grey and palette become RGB, 16-bit grey is scaled by 65535, transparency is
    composited over white. With `size` the result is `size` x `size`: a square picture is resized, any other
    needs `fit="crop"` (the centred square) or `fit="pad"` (black bars). `fit` alone makes the picture square.

    Raises `ImageError`: missing, truncated, empty or over 2^26 pixels, no image, not square and no `fit`.
    """
    path = Path(path)
    if fit not in (None, "crop", "pad"):
        raise ImageError(f"fit must be 'crop', 'pad' or None, got {fit!r}")
    if size is not None and size < 1:
        raise ImageError(f"size must be at least 1 px, got {size}")
    x = _square(from_pil(_open(path)), fit)
    height, width = x.shape[-2:]
    if size is None or (height, width) == (size, size):
        return x
    if height != width:
        raise ImageError(f"{path}: {width}x{height} px is not square; ask for fit='crop' or fit='pad'")
    return resize(x, size, "area" if height % size == 0 else "bicubic").clamp(0, 1)


def save_image(image: Tensor, path: str | Path, *, force: bool = False) -> Path:
    """Write one image `[1, 3, H, W]` or `[3, H, W]` in [0, 1] as 8 bit; the suffix chooses the format.

    The file appears complete or not at all. An existing file is only replaced with `force=True`.
    Returns the path. Raises `ImageError` (no image, an unknown suffix) and `files.FileError` (no such folder, no
    permission, a full disk, a file that exists).
    """
    path = Path(path)
    check_writable(path, force=force)
    picture = to_pil(image)
    kind = WRITABLE[path.suffix.lower()]
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    data = io.BytesIO()
    try:
        picture.save(data, kind, **options)
    except (OSError, ValueError) as error:  # sides beyond what the format can say
        raise ImageError(f"{path}: cannot be written as {kind} ({error})") from None
    return files.write_atomic(path, data.getvalue(), overwrite=force)


def check_writable(*paths: str | Path, force: bool = False, new_folders: bool = False) -> None:
    """Raise `ImageError` for a suffix that `save_image` does not know, and what `files.check_writable` raises."""
    for path in map(Path, paths):
        if path.suffix.lower() not in WRITABLE:
            kind = path.suffix or "a file without a suffix"
            raise ImageError(f"{path}: cannot write {kind}; use {', '.join(WRITABLE)}")
    files.check_writable(*paths, force=force, new_folders=new_folders)


def to_uint8(x: Tensor) -> Tensor:
    """`x` in [0, 1] as uint8 of the same shape: rounded to nearest, values outside are clamped."""
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8)


def quantize(x: Tensor) -> Tensor:
    """`x` in [0, 1] rounded to the 256 values an 8-bit file can hold; same shape, in [0, 1], no gradient."""
    return to_uint8(x).to(x.dtype) / 255


def to_pil(x: Tensor) -> Image.Image:
    """One image `[1, 3, H, W]` or `[3, H, W]` in [0, 1] as an 8-bit RGB Pillow image."""
    if x.dim() == 4 and len(x) == 1:
        x = x[0]
    if x.dim() != 3 or x.shape[0] != 3 or not x.numel():
        raise ImageError(f"expected one image [1, 3, H, W] or [3, H, W], got {list(x.shape)}")
    return Image.fromarray(to_uint8(x).permute(1, 2, 0).contiguous().cpu().numpy())


def from_pil(picture: Image.Image) -> Tensor:
    """A Pillow image of any mode as `[1, 3, H, W]` in [0, 1]; transparency is composited over white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture).astype(np.float32) / (1 if picture.mode == "F" else 65535)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            expected = "[0, 1]" if picture.mode == "F" else "16 bit"
            raise ImageError(f"an image of mode {picture.mode} must hold values within {expected}")
        values = np.repeat(values[None], 3, 0)
    else:
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        values = np.asarray(picture.convert("RGB")).transpose(2, 0, 1).astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(values))[None]


def resize(x: Tensor, size: int | tuple[int, int], mode: str = "area") -> Tensor:
    """`x` `[N, C, H, W]` resized to `size` (a side or (height, width)); differentiable in every mode.

    `bilinear`, `bicubic` (a = -0.5) and `lanczos` (3 lobes) widen their kernels when they shrink, as Pillow's
    filters do, and agree with Pillow's float mode to 1e-5. `area` averages, for shrinking by whole
    factors. `bicubic` and `lanczos` overshoot: clamp where a picture is wanted. Raises `ImageError` on an
    unknown mode or an empty size.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise ImageError(f"size must be at least 1x1 px, got {width}x{height}")
    if mode not in RESIZE_MODES:
        raise ImageError(f"unknown resize mode {mode!r}; expected one of {', '.join(RESIZE_MODES)}")
    if mode == "lanczos":
        rows = lanczos_weights(x.shape[-2], height).to(x)
        columns = lanczos_weights(x.shape[-1], width).to(x)
        return rows @ x @ columns.T
    if mode in ("area", "nearest"):
        return F.interpolate(x, (height, width), mode="area" if mode == "area" else "nearest-exact")
    return F.interpolate(x, (height, width), mode=mode, align_corners=False, antialias=True)


def lanczos_weights(length: int, size: int) -> Tensor:
    """The matrix `[size, length]` (float32, rows sum to 1) that resamples `length` points to `size`."""
    scale = length / size
    stretch = max(scale, 1.0)
    centres = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) * scale
    distance = (torch.arange(length, dtype=torch.float64)[None] + 0.5 - centres) / stretch
    weights = torch.sinc(distance) * torch.sinc(distance / LANCZOS_LOBES)
    weights = weights * (distance.abs() < LANCZOS_LOBES)
    return (weights / weights.sum(1, keepdim=True)).float()


def _open(path: Path) -> Image.Image:
    """The decoded picture, upright. Every way a file can be bad becomes one line."""
    if not path.is_file():
        raise ImageError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(path, formats=READABLE) as picture:
                width, height = picture.size
                if min(width, height) < 1 or width * height > MAX_PIXELS:
                    raise ImageError(f"{path}: {width}x{height} px; expected 1 to {MAX_PIXELS} pixels")
                picture.load()
                return ImageOps.exif_transpose(picture)
    except ImageError:
        raise
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path}: not an image ({', '.join(READABLE)} are read)") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: too large; expected at most {MAX_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{path}: cannot be decoded ({reason})") from None


def _square(x: Tensor, fit: str | None) -> Tensor:
    """`x` `[1, 3, H, W]` as a centred square; unchanged without `fit`."""
    height, width = x.shape[-2:]
    if fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return x[..., top : top + side, left : left + side]
    if fit == "pad":
        side = max(height, width)
        down, right = side - height, side - width
        return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
    return x

"""Images in, images out, and the one resize. An image is `[N, 3, H, W]`, float32, in [0, 1], everywhere."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, PngImagePlugin
from torch import Tensor

from rusr_core import files
from rusr_core.decoding import MAX_PIXELS, READABLE, ImageError, decode, unlimited
from rusr_core.limits import sides_of

WRITABLE = {".png": "PNG"} | dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG")
WRITABLE |= {".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
HOLD_METADATA = ("PNG", "JPEG", "WEBP", "TIFF")
TEXT_CHUNK, XMP_CHUNK, XMP_TAG = "rusr", "XML:com.adobe.xmp", 700  # of PNG, PNG and TIFF
RESIZE_MODES = ("area", "bilinear", "bicubic", "lanczos", "nearest")
LANCZOS_LOBES = 3
OVERSHOOT = 0.5  # beyond [0, 1]: more than interpolation and generators do, less than images in [-1, 1]


def load_image(path: str | Path, *, size: int | tuple[int, int] | None = None, fit: str | None = None) -> Tensor:
    """The picture in `path` as `[1, 3, H, W]` in [0, 1], in sRGB.

    EXIF's rotation and the colour profile are applied, grey and palette become RGB, 16-bit grey is scaled by 65535,
    transparency is composited over white. `size` and `fit` as in `fit_image`.

    Raises `ImageError`: missing, truncated, empty or over 2^26 pixels, no image, of another shape and no `fit`.
    Warns (`decoding.DecodingWarning`) of a colour profile that is broken, and of frames after the first.
    """
    try:
        return fit_image(from_pil(decode(path)), size, fit)
    except ImageError as error:
        text = str(error)
        raise ImageError(text if text.startswith(str(path)) else f"{path}: {text}") from None


def fit_image(
    x: Tensor, size: int | tuple[int, int] | None = None, fit: str | None = None, *, mode: str | None = None
) -> Tensor:
    """`x` `[N, C, H, W]` in [0, 1] brought to `size` (a side or (height, width)), `[N, C, h, w]` in [0, 1].

    A picture of the same shape is resized (`mode`; default: averaged where both sides shrink by whole factors, else
    bicubic). Any other needs `fit="crop"`, the largest window of that shape in its middle, or `fit="pad"`, black bars
    on two sides. Without a size, `fit` makes the picture square. Raises `ImageError`.
    """
    _check_batch(x)
    if fit not in (None, "crop", "pad"):
        raise ImageError(f"fit must be 'crop', 'pad' or None, got {fit!r}")
    height, width = x.shape[-2:]
    if size is None:
        side = {None: None, "crop": min(height, width), "pad": max(height, width)}[fit]
        target = (height, width) if side is None else (side, side)
    else:
        target = sides_of(size, MAX_PIXELS, ImageError)
    _check_area(target)
    if height * target[1] != width * target[0]:
        if fit is None:
            shape = "square" if target[0] == target[1] else f"of the shape of {target[1]}x{target[0]} px"
            raise ImageError(f"{width}x{height} px is not {shape}; ask for fit='crop' or fit='pad'")
        if fit == "pad":
            return _pad(x, target, mode)
        x = _crop(x, target)
    return _resized(x, target, mode)


def _resized(x: Tensor, size: tuple[int, int], mode: str | None) -> Tensor:
    height, width = x.shape[-2:]
    if (height, width) == tuple(size):
        return x
    best = "area" if height % size[0] == 0 == width % size[1] else "bicubic"
    return resize(x, size, mode or best).clamp(0, 1)


def _crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The largest window of the shape of `size` in the middle of `x`."""
    height, width = x.shape[-2:]
    scale = min(height / size[0], width / size[1])
    down, right = (max(1, min(have, round(scale * want))) for have, want in zip((height, width), size, strict=True))
    top, left = (height - down) // 2, (width - right) // 2
    return x[..., top : top + down, left : left + right]


def _pad(x: Tensor, size: tuple[int, int], mode: str | None) -> Tensor:
    """`x` in the middle of a black picture of `size`; shrunk first, so that a thin one needs no large square."""
    scale = min(size[0] / x.shape[-2], size[1] / x.shape[-1])
    inner = [max(1, min(want, round(scale * have))) for have, want in zip(x.shape[-2:], size, strict=True)]
    x = _resized(x, (inner[0], inner[1]), mode)
    down, right = size[0] - x.shape[-2], size[1] - x.shape[-1]
    return F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))


@dataclass(frozen=True)
class Metadata:
    """What a picture file says of itself."""

    xmp: bytes  # an XMP packet
    text: str  # ASCII; in PNG the chunk `TEXT_CHUNK`, elsewhere EXIF's ImageDescription


def save_image(
    image: Tensor | Image.Image, path: str | Path, *, force: bool = False, metadata: Metadata | None = None
) -> Path:
    """Write one image `[1, 3, H, W]` or `[3, H, W]` in [0, 1], or a Pillow image in RGB, as 8 bit.

    The suffix chooses the format. The file appears complete or not at all. An existing file is only replaced with
    `force=True`. Returns the path. Raises `ImageError` (no image, an unknown suffix, no place for `metadata`) and
    `files.FileError` (no such folder, no permission, a full disk, a file that exists).
    """
    path = files.as_path(path)
    check_writable(path, force=force)
    return files.write_atomic(path, encoded(image, path, metadata=metadata), overwrite=force)


def encoded(image: Tensor | Image.Image, path: Path, *, metadata: Metadata | None = None) -> bytes:
    """What `save_image` writes to `path`, of a suffix that it knows. Raises `ImageError`."""
    picture = image if isinstance(image, Image.Image) else to_pil(image)
    kind = WRITABLE[path.suffix.lower()]
    if metadata and not holds_metadata(path):
        raise ImageError(f"{path}: {kind} has no place for metadata; expected {', '.join(HOLD_METADATA)}")
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    options |= {} if metadata is None else _metadata_options(kind, metadata)
    data = io.BytesIO()
    try:
        picture.save(data, kind, **options)
    except (OSError, ValueError) as error:  # sides beyond what the format can say
        raise ImageError(f"{path}: cannot be written as {kind} ({error})") from None
    return data.getvalue()


def holds_metadata(path: Path) -> bool:
    """Whether a picture of this suffix, one of `WRITABLE`, has a place for `Metadata`."""
    return WRITABLE[path.suffix.lower()] in HOLD_METADATA


def _metadata_options(kind: str, metadata: Metadata) -> dict[str, object]:
    """What Pillow's `save` is told, so that a file of this kind holds the metadata."""
    if kind == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt(XMP_CHUNK, metadata.xmp.decode())
        chunks.add_text(TEXT_CHUNK, metadata.text)
        return {"pnginfo": chunks}
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = metadata.text
    if kind != "TIFF":
        return {"exif": exif, "xmp": metadata.xmp}
    exif[XMP_TAG] = metadata.xmp
    return {"exif": exif}


def read_metadata(path: str | Path) -> Metadata | None:
    """What `save_image` wrote as metadata; None if the file says nothing. Raises `ImageError` if it is no image."""
    try:
        with unlimited(), Image.open(path, formats=READABLE) as picture:
            exif, info = picture.getexif(), picture.info
            text = info.get(TEXT_CHUNK) if picture.format == "PNG" else exif.get(ExifTags.Base.ImageDescription)
            xmp = info.get(XMP_CHUNK) or info.get("xmp") or exif.get(XMP_TAG)
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise ImageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not isinstance(text, str) or not xmp:
        return None
    return Metadata(xmp if isinstance(xmp, bytes) else xmp.encode(), text)


def check_writable(*paths: str | Path, force: bool = False, new_folders: bool = False) -> None:
    """Raise `ImageError` for a suffix that `save_image` does not know, and what `files.check_writable` raises."""
    for path in map(Path, paths):
        if path.suffix.lower() not in WRITABLE:
            kind = path.suffix or "a file without a suffix"
            raise ImageError(f"{path}: cannot write {kind}; use {', '.join(WRITABLE)}")
    files.check_writable(*paths, force=force, new_folders=new_folders)


def to_uint8(x: Tensor) -> Tensor:
    """`x` in [0, 1] as uint8 of the same shape: rounded to nearest.

    Interpolation and generators overshoot: values up to 0.5 outside are clamped. Others, NaN and whole numbers are an
    `ImageError`: `x` has another range, such as [0, 255] or [-1, 1].
    """
    if not isinstance(x, Tensor):
        raise ImageError(f"expected a tensor of floats in [0, 1], got {in_words(x)}")
    if not x.is_floating_point():
        raise ImageError(f"expected floats in [0, 1], got {x.dtype}; divide 8-bit values by 255")
    if x.numel() and not (x.detach().amin() >= -OVERSHOOT and x.detach().amax() <= 1 + OVERSHOOT):  # NaN fails both
        low, high = (float(v) for v in x.detach().aminmax())
        raise ImageError(f"expected values in [0, 1], got {x.dtype} in [{low:g}, {high:g}]")
    return (x.detach() * 255).round().clamp(0, 255).to(torch.uint8)


def quantize(x: Tensor) -> Tensor:
    """`x` in [0, 1] rounded to the 256 values an 8-bit file can hold; same shape, in [0, 1], no gradient. Range and
    errors as in `to_uint8`."""
    return to_uint8(x).to(x.dtype) / 255


def to_pil(x: Tensor) -> Image.Image:
    """One image `[1, 3, H, W]` or `[3, H, W]` in [0, 1] as an 8-bit RGB Pillow image. Range as in `to_uint8`."""
    one = x[0] if isinstance(x, Tensor) and x.dim() == 4 and len(x) == 1 else x
    if not isinstance(x, Tensor) or one.dim() != 3 or one.shape[0] != 3 or not one.numel():
        raise ImageError(f"expected one image [1, 3, H, W] or [3, H, W], got {in_words(x)}")
    return Image.fromarray(to_uint8(one).permute(1, 2, 0).contiguous().cpu().numpy())


def from_pil(picture: Image.Image) -> Tensor:
    """A Pillow image of any mode as `[1, 3, H, W]` in [0, 1]; transparency is composited over white.

    The colours are taken as they are; `decoding.decode` brings those of a file to sRGB.
    """
    if picture.mode[0] in "IF":
        white = 1 if picture.mode == "F" else 65535
        raw = np.asarray(picture)
        if not (np.isfinite(raw).all() and raw.min() >= 0 and raw.max() <= white):
            kind, found = ("floats", raw) if white == 1 else ("16-bit greys", raw.astype(int))
            raise ImageError(f"expected {kind} within [0, {white}], got [{found.min():g}, {found.max():g}]")
        values = raw.astype(np.float32) / white
        if isinstance(picture.info.get("transparency"), int):
            values[raw == picture.info["transparency"]] = 1
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
    factors. `bicubic` and `lanczos` overshoot: clamp where a picture is wanted. Numbers of 16 bits are resized in 32
    and rounded at the end. Raises `ImageError` on an unknown mode, a size of none or of over 2^26 pixels, or what is
    no batch of floats.
    """
    _check_batch(x)
    height, width = sides_of(size, MAX_PIXELS, ImageError)
    _check_area((height, width))
    if mode not in RESIZE_MODES:
        raise ImageError(f"unknown resize mode {mode!r}; expected one of {', '.join(RESIZE_MODES)}")
    if x.dtype.itemsize < 4:
        return resize(x.float(), size, mode).to(x.dtype)
    if mode == "lanczos":
        rows = lanczos_weights(x.shape[-2], height).to(x)
        columns = lanczos_weights(x.shape[-1], width).to(x)
        return rows @ x @ columns.T
    if mode in ("area", "nearest"):
        return F.interpolate(x, (height, width), mode="area" if mode == "area" else "nearest-exact")
    return F.interpolate(x, (height, width), mode=mode, align_corners=False, antialias=True)


def _check_batch(x: Tensor) -> None:
    """ImageError unless `x` is a batch of images."""
    if not isinstance(x, Tensor) or x.dim() != 4 or not x.numel() or not x.is_floating_point():
        raise ImageError(f"expected images [N, C, H, W] of floats, got {in_words(x)}")


def _check_area(size: tuple[int, int]) -> None:
    """ImageError for a picture of (height, width) that is too large to be made."""
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(f"size must be 1 to {MAX_PIXELS} pixels, got {size[1]}x{size[0]} px")


def in_words(x: object) -> str:
    """What was given as an image, in the words of an error."""
    return f"{list(x.shape)} {x.dtype}" if isinstance(x, Tensor) else type(x).__name__


def lanczos_weights(length: int, size: int, corner: tuple[int, int] | None = None) -> Tensor:
    """The matrix `[size, length]` (float32, rows sum to 1) that resamples `length` points to `size`.

    `corner`: its first rows and columns only, of which the columns hold all that is not 0 in these rows.
    """
    rows, columns = corner or (size, length)
    scale = length / size
    stretch = max(scale, 1.0)
    centres = (torch.arange(rows, dtype=torch.float64)[:, None] + 0.5) * scale
    distance = (torch.arange(columns, dtype=torch.float64)[None] + 0.5 - centres) / stretch
    weights = torch.sinc(distance) * torch.sinc(distance / LANCZOS_LOBES)
    weights = weights * (distance.abs() < LANCZOS_LOBES)
    return (weights / weights.sum(1, keepdim=True)).float()

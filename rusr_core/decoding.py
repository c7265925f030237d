"""From the bytes of a picture file to an upright Pillow image in sRGB; every way a file can be bad is one line.

Images of one kind only leave this module: EXIF's rotation is applied, and colours are sRGB, whichever colour profile
the file brings. What cannot be used (a broken profile, the other frames of an animation) is a `DecodingWarning`.
"""

import contextlib
import io
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin

from rusr_core.errors import RusrError, RusrWarning
from rusr_core.files import as_path

# Formats are named so that no file can make Pillow start another program (as PostScript would).
READABLE = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
READABLE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".apng"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
MAX_PIXELS = 2**26  # 8192 x 8192: 0.8 GB as float32
MOST_PIXELS = 2**27  # of pictures that are kept in 8 bit: 0.4 GB; beyond it a header is a mistake or an attack
NOT_READ = {
    "HEIF, the format of phones,": re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL),
    "AVIF": re.compile(rb"....ftypavi", re.DOTALL),
    "JPEG XL": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "),
    "JPEG 2000": re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "),
    "a Photoshop file": re.compile(rb"8BPS"),
    "PDF": re.compile(rb"%PDF"),
}  # by how their files begin
SRGB_GAMMA = 0.45455  # of a PNG's gAMA chunk that means sRGB
ORIENTED = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # texts of a PNG that may hold the orientation
SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "float", 5: "complex", 6: "complex"}  # TIFF 6.0, section 19


class ImageError(RusrError):
    """A file that is no usable image, or an image that cannot be written."""


class DecodingWarning(RusrWarning):
    """Something that a picture file says and that is not used."""


def decode(path: str | Path, *, most: int = MAX_PIXELS) -> Image.Image:
    """The picture in `path`, upright and in sRGB, of any Pillow mode but CMYK, YCbCr and LAB; `format` is kept.

    Raises `ImageError` naming `path`: missing, truncated, empty or over `most` pixels, no image. Warns
    (`DecodingWarning`) of a profile that is broken, and of frames after the first.
    """
    path = as_path(path, ImageError)
    try:
        if not path.is_file():
            kinds = {"is a folder": path.is_dir(), "is no ordinary file": path.exists()}
            kinds |= {"is a link that leads to no file": path.is_symlink()}
            raise ImageError(f"{path}: {next((words for words, true in kinds.items() if true), 'no such file')}")
        try:
            picture = _load(path, path, most)
        except ValueError as error:
            if isinstance(error, ImageError) or "text" not in str(error).lower():
                raise
            picture = _load(path, io.BytesIO(_without_texts(path.read_bytes())), most)
        kind = picture.format
        picture = to_srgb(_upright(picture, path), path)
        picture.format = kind
        return picture
    except (ImageError, DecodingWarning):
        raise
    except Image.UnidentifiedImageError:
        raise ImageError(f"{path}: {_unidentified(path)}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: too large; expected at most {most} pixels") from None
    except MemoryError:
        raise ImageError(f"{path}: cannot be decoded (not enough memory for an image of this size)") from None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        text = getattr(error, "strerror", None) or str(error)
        reason = text.splitlines()[0] if text else type(error).__name__
        raise ImageError(f"{path}: cannot be decoded ({reason})") from None


@dataclass(frozen=True)
class Listing:
    """The files of a folder, each sorted by its path."""

    images: tuple[Path, ...]  # by their suffix
    left_out: tuple[Path, ...]  # files of other suffixes, and folders that were not entered
    hidden: int  # files and folders whose name begins with a dot, as what macOS lays beside each file does


def list_images(folder: Path, *, recursive: bool = False) -> Listing:
    """The images in `folder`, with `recursive` also those in its folders. Raises `ImageError` if it cannot be read.

    Links to folders are not entered.
    """
    images, left_out, hidden, waiting = [], [], 0, [Path(folder)]
    while waiting:
        place = waiting.pop()
        try:
            entries = list(os.scandir(place))
            for entry in entries:
                path = place / entry.name
                if entry.name.startswith("."):
                    hidden += 1
                elif os.path.isdir(path):  # unlike `entry.is_dir`, it says nothing against a link to itself
                    (waiting if recursive and not entry.is_symlink() else left_out).append(path)
                else:
                    (images if path.suffix.lower() in READABLE_SUFFIXES else left_out).append(path)
        except OSError as error:
            raise ImageError(f"{place}: cannot be read ({error.strerror or error})") from None
    return Listing(tuple(sorted(images)), tuple(sorted(left_out)), hidden)


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """Pillow opens files without a warning of its own about their size: the limits are ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _load(path: Path, source: Path | io.BytesIO, most: int) -> Image.Image:
    with unlimited():
        opened = Image.open(source, formats=READABLE)
    with opened as picture:
        width, height = picture.size
        if min(width, height) < 1 or width * height > most:
            raise ImageError(f"{path}: {width}x{height} px; expected 1 to {most} pixels")
        frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            _warn(path, f"holds {frames} pictures; the first is used")
            picture.seek(0)
        picture.load()
        return picture


def _without_texts(data: bytes) -> bytes:
    """A PNG less its texts, of which Pillow refuses those beyond 1 MB (workflows, long profiles): they are no picture.

    Texts that may say how the picture is turned are kept, and so is a colour profile, unless it is as long.
    """
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : end - 4]
        text = kind in (b"tEXt", b"zTXt", b"iTXt") and not (body.startswith(ORIENTED) and len(body) < 2**16)
        if kind == b"iCCP":
            packed = zlib.decompressobj()
            packed.decompress(body.partition(b"\0")[2][1:], PngImagePlugin.MAX_TEXT_CHUNK)
            text = bool(packed.unconsumed_tail)
        kept += [] if text else [data[at:end]]
        at = end
    return b"".join(kept)


def _unidentified(path: Path) -> str:
    """What a file is that is not read: a format of its own, a TIFF of a rare kind, or no image."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
            if not start:
                return "an empty file"
            other = next((name for name, mark in NOT_READ.items() if mark.match(start)), None)
            if other:
                return f"{other} is not read; save it as PNG or JPEG"
            tags = TiffImagePlugin.ImageFileDirectory_v2(start[:8])
            file.seek(tags.next)
            tags.load(file)
        bits, channels = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)), tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
        kind = SAMPLE_FORMATS.get(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,))[0], "unknown")
        return (
            f"a TIFF of {channels} {kind} channels of {bits[0]} bits is not read; expected 1, 3 or 4 of 8 or 16 "
            "unsigned bits, or one of 32-bit floats in [0, 1]"
        )
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, EOFError, struct.error):
        return f"not an image ({', '.join(READABLE)} are read)"


def _upright(picture: Image.Image, path: Path) -> Image.Image:
    """EXIF's rotation applied, without a copy of what needs none."""
    try:
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception as error:  # whatever a parser of damaged metadata may raise
        _warn(path, f"its EXIF data are broken and not used ({type(error).__name__})")
    return picture


def to_srgb(picture: Image.Image, path: Path) -> Image.Image:
    """`picture` with its colours in sRGB; the way there (ICC profile, CMYK, L*a*b*) is told by the picture itself.

    A profile by which no colour moves by more than 1 of 255 is sRGB, and the picture stays as it is, to the bit.
    """
    plain = picture.convert("RGB") if picture.mode in ("CMYK", "YCbCr", "HSV") else picture
    profile = _profile(picture, path)
    if profile is None:
        _warn_of_hints(picture, path)
        return plain
    kind = picture.mode if picture.mode in ("CMYK", "LAB") else "L" if picture.mode[0] in "1LIF" else "RGB"
    try:
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), kind, "RGB")
        probe = {"L": _greys, "RGB": _lattice}.get(kind)
        moved = probe and ImageCms.applyTransform(probe(), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _warn(path, f"its colour profile does not fit the picture and is not used ({error})")
        return plain
    if moved and np.abs(np.asarray(moved).astype(int) - np.asarray(probe().convert("RGB"))).max() <= 1:
        return picture
    if picture.mode[0] in "IF":  # 16 bit or float: through the curve of 256 greys
        return _through_curve(picture, np.asarray(moved)[0, :, 1] / 255)
    result = ImageCms.applyTransform(picture if picture.mode == kind else picture.convert(kind), transform)
    if picture.has_transparency_data:
        result.putalpha(picture.convert("RGBA").getchannel("A"))
    return result


def _profile(picture: Image.Image, path: Path) -> ImageCms.ImageCmsProfile | None:
    """The colour profile of the picture; None if there is none, or none that can be read."""
    if picture.mode == "LAB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    data = picture.info.get("icc_profile")
    if not data:
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(data))
    except (OSError, ImageCms.PyCMSError, TypeError):
        _warn(path, "its colour profile is broken; the colours are taken as sRGB")
        return None


def _warn_of_hints(picture: Image.Image, path: Path) -> None:
    """Colour spaces that a file names without bringing a profile."""
    gamma = picture.info.get("gamma")
    if gamma and "srgb" not in picture.info and abs(gamma - SRGB_GAMMA) > 0.02:
        _warn(path, f"its gamma, {gamma:g}, is not used; the colours are taken as sRGB ({SRGB_GAMMA})")
    try:
        exif = picture.getexif()
        camera = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        adobe = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except Exception:  # damaged metadata: told of where the rotation is looked for
        return
    if camera == 2 or str(adobe).startswith("R03"):  # DCF 2.0: the optional colour space
        _warn(path, "its EXIF data name Adobe RGB, without a profile; the colours are taken as sRGB")


def _greys() -> Image.Image:
    """All 256 greys, one row."""
    return Image.fromarray(np.arange(256, dtype=np.uint8)[None])


def _lattice() -> Image.Image:
    """Colours from the whole cube, 9 values a channel."""
    values = np.linspace(0, 255, 9).round().astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(values, values, values), -1).reshape(27, 27, 3))


def _through_curve(picture: Image.Image, curve: np.ndarray) -> Image.Image:
    """16-bit or float greys through `curve` [256], whose ends are black and white; of the same kind."""
    white = 1 if picture.mode == "F" else 65535
    values = np.asarray(picture).astype(np.float64) / white
    if not (values.min() >= 0 and values.max() <= 1):  # refused by whoever reads the values
        return picture
    curved = white * np.interp(values, np.linspace(0, 1, 256), curve)
    result = Image.fromarray(curved.astype(np.float32) if white == 1 else curved.round().astype(np.uint16))
    result.info = picture.info
    return result


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", DecodingWarning, stacklevel=2)

"""What happened to a file? An estimate of its degradation; of every number, where it comes from and how sure it is.

What stands in the file (tables, transparency) is read, what left a trace is measured, each by a module of its own, and
of the rest it is said that it is unknown. One damage hides the trace of another: what may be hidden is not stated.
"""

import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.decoding import MOST_PIXELS, ImageError, decode
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.jpeg_tables import BLOCK
from rusr_core.degradations.mask_files import load_mask
from rusr_core.degradations.noise import ReadNoise
from rusr_core.degradations.resampling import Downsample, Resize
from rusr_core.files import as_path
from rusr_core.limits import MAX_COUNT, check_whole, is_whole, shown
from rusr_core.photos.findings import (
    Finding,
    blur_findings,
    cast_findings,
    earlier_findings,
    jpeg_findings,
    noise_findings,
    size_finding,
)
from rusr_core.photos.holes import GROWN, find_hole, grown, rings
from rusr_core.photos.jpeg_file import JPEGFile, read_jpeg
from rusr_core.photos.masks import filled
from rusr_core.photos.pictures import pixels_of, transparent
from rusr_core.photos.true_size import find_enlarged

WIDTH = 82  # characters of a line of the table: two more fit a page of the book, by which `rusr inspect` indents it
PART = "only a part of this large picture was looked at"
SMALL = 48  # px, the shorter side below which strokes and flat colours are too small to be told from the picture


@dataclass(frozen=True)
class Estimate:
    """The degradation of a file, as far as it can be known."""

    path: Path
    height: int  # px, upright
    width: int
    findings: tuple[Finding, ...]
    stages: tuple[Degradation, ...] = field(repr=False)  # what is known of f, in order, at the file's own size
    before: tuple[int, int] = field(repr=False)  # height and width before it was enlarged, else its own
    mode: str | None = field(default=None, repr=False)  # of `images.resize`, if it was enlarged

    @property
    def notation(self) -> str:
        """What is known of f at the file's own size, in words: "noise:24,0.16", "identity"."""
        return str(Compose(*self._enlarging(), *self.stages))

    def degradation(self, side: int) -> Degradation:
        """The f that makes this file of a picture of `side` x `side` px. Raises `ImageError` if it is no square."""
        if self.height != self.width or self.before[0] != self.before[1]:
            raise ImageError(f"{self.path}: {self.width}x{self.height} px is not square; expected a picture cropped so")
        return Compose(*shrinking(side, self.before[0]), *self._enlarging(), *self.stages)

    def _enlarging(self) -> tuple[Degradation, ...]:
        return () if self.mode is None else (Resize((self.height, self.width), self.mode),)

    def lines(self) -> list[str]:
        """A table: what, its value or "unknown", how sure it is, and its source, which may take further lines."""
        sure = ["" if f.value is None else f"{100 * f.confidence:.0f} %" for f in self.findings]
        rows = [(f.name, f.words, s, f.source) for f, s in zip(self.findings, sure, strict=True)]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        begun = ["  ".join(word.ljust(w) for word, w in zip(row, widths, strict=False)) + "  " for row in rows]
        sources = [
            textwrap.wrap(row[3], max(30, WIDTH - len(start))) or [""] for start, row in zip(begun, rows, strict=True)
        ]
        parts = zip(begun, sources, strict=True)
        return [(" " * len(start) if i else start) + line for start, lines in parts for i, line in enumerate(lines)]

    def record(self) -> dict:
        """Plain values, as a JSON file holds them."""
        about = {"file": str(self.path), "height": self.height, "width": self.width, "degradation": self.notation}
        return about | {"findings": self.findings_record()}

    def findings_record(self) -> dict[str, dict[str, object]]:
        """The findings by their names, as plain values."""
        return {
            f.name: {"value": f.value, "words": f.words, "confidence": round(f.confidence, 3), "source": f.source}
            for f in self.findings
        }


def shrinking(side: int, size: int) -> tuple[Degradation, ...]:
    """What makes pictures of `size` x `size` px of those of `side` x `side`; nothing if they are the same.

    Raises `ImageError` for a side that is none.
    """
    for name, value in (("side", side), ("size", size)):
        check_whole(name, value, 1, MAX_COUNT, ImageError)
    if side == size:
        return ()
    return (Downsample(side // size) if side % size == 0 else Resize(size, "bicubic"),)


def estimate(
    path: str | Path, *, mask: str | Path | Tensor | None = None, window: tuple[int, int, int, int] | None = None
) -> Estimate:
    """What happened to the picture in `path`.

    `mask`: where it is hidden, a picture file as `load_mask` reads it or `[1, 1, H, W]`, 1 where the picture is known.
    `window`: of a very large picture, the part (left, upper, right, lower) in px that is looked at, and a little more;
    the true size and holes are then unknown. Pictures of up to 2^27 pixels are read, and what is measured in millions
    of them is measured in parts that are taken evenly: 10000 x 10000 px need less than 2 GB. Raises `ImageError` for
    what is no usable picture, or a mask of another size than the picture.
    """
    seen = _looked_at(as_path(path, ImageError), mask, window)
    pixels, jpeg, hidden = seen.pixels, seen.jpeg, None
    lossy = jpeg is not None or seen.kind == "WEBP"
    findings, coded = jpeg_findings(jpeg, seen.kind, seen.whole)
    saved, earlier = earlier_findings(pixels, jpeg)
    findings.append(saved)
    blocks = lossy or bool(earlier)
    if seen.known is not None:
        found = Finding.share("hole", 1 - float(seen.known.mean()), 1.0, "the mask that was given")
        hidden = (seen.known < 1)[0, 0].numpy()
    elif window is None:
        hidden, found = _hole(seen, lossy, bool(earlier))
    else:
        found = Finding.unknown("hole", PART)
    enlarged = find_enlarged(pixels, blocks, hidden) if window is None else None
    more, noise, noisy = noise_findings(pixels, hidden, _noise_hidden(jpeg, lossy, bool(earlier), enlarged is not None))
    findings += more
    if found.value == 0 and any(isinstance(stage, ReadNoise) for stage in noise):
        found = Finding.unknown("hole", "under read noise no colour is flat; --mask says what is hidden")
    coarsest = min(jpeg.quality if jpeg else 100, saved.value or 100)
    more, blur = blur_findings(pixels, hidden, _blur_hidden(noisy, blocks, enlarged is not None, coarsest), blocks)
    sharp = not blocks and not noisy and hidden is None and any(f.name == "blur" and f.value == 0 for f in more)
    size = size_finding(seen.whole, enlarged, sharp) if window is None else Finding.unknown("true size", PART)
    findings += [*more, size]
    more, fade = cast_findings(pixels, _cast_hidden(blocks, noisy, enlarged is not None))
    findings += [*more, found]
    stages = (*blur, *fade, *noise, *earlier, *coded, *_mask(seen.known, hidden))
    own = (pixels.shape[0], pixels.shape[1])
    before, mode = (own, None) if enlarged is None else ((enlarged.height, enlarged.width), enlarged.mode)
    return Estimate(Path(path), *own, tuple(findings), stages, before, mode)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a file holds, or a window of it."""

    pixels: np.ndarray  # [h, w, 3], uint8
    transparent: np.ndarray | None  # [h, w] of bool; None: opaque everywhere
    kind: str  # the format
    jpeg: JPEGFile | None
    whole: tuple[int, int]  # height and width of the whole picture
    known: Tensor | None  # [1, 1, h, w], of the mask that was given


def _looked_at(path: Path, mask: str | Path | Tensor | None, window: tuple[int, int, int, int] | None) -> _Seen:
    """The picture in `path` or a window of it."""
    picture, jpeg = decode(path, most=MOST_PIXELS), read_jpeg(path)
    whole, kind = (picture.height, picture.width), picture.format or "a picture"
    known = None if mask is None else _given(path, mask, whole)
    if window is not None:
        box = _on_grid(window, whole, jpeg)
        picture = picture.crop(box)
        known = None if known is None else known[..., box[1] : box[3], box[0] : box[2]]
    pixels = pixels_of(picture)
    if known is not None:  # what a mask hides tells nothing, whatever was painted there
        pixels = filled(torch.from_numpy(pixels).permute(2, 0, 1), known).permute(1, 2, 0).numpy()
    return _Seen(pixels, transparent(picture), kind, jpeg, whole, known)


def _mask(known: Tensor | None, hidden: np.ndarray | None) -> tuple[Mask, ...]:
    """The last stage: the mask that was given, or one of what was found to be hidden `[H, W]`."""
    if known is None and hidden is None:
        return ()
    return (Mask(torch.from_numpy(~hidden)[None, None] if known is None else known),)


def _on_grid(
    window: tuple[int, int, int, int], size: tuple[int, int], jpeg: JPEGFile | None
) -> tuple[int, int, int, int]:
    """A window in a picture of `size` (height, width), made larger so that it begins where blocks begin. ImageError."""
    whole = isinstance(window, tuple) and len(window) == 4 and all(map(is_whole, window))
    if not whole or not (0 <= window[0] < window[2] <= size[1] and 0 <= window[1] < window[3] <= size[0]):
        inside = f"whole numbers of px inside the picture of {size[1]}x{size[0]} px"
        raise ImageError(f"window is {shown(window)}: expected (left, upper, right, lower), {inside}")
    from_right, from_below = (False, False) if jpeg is None else jpeg.begins_at
    left, right = _snapped(window[0], window[2], size[1], from_right)
    upper, lower = _snapped(window[1], window[3], size[0], from_below)
    return left, upper, right, lower


def _snapped(low: int, high: int, length: int, from_end: bool) -> tuple[int, int]:
    grid = 2 * BLOCK  # of chroma at half its size
    return (low, length - (length - high) // grid * grid) if from_end else (low // grid * grid, high)


def _noise_hidden(jpeg: JPEGFile | None, lossy: bool, earlier: bool, enlarged: bool) -> str:
    """Why noise cannot be measured; "" if it can."""
    if earlier or jpeg is not None or lossy:
        return "the compression changed it"
    return "enlarging changed it" if enlarged else ""


def _blur_hidden(noisy: bool, blocks: bool, enlarged: bool, coarsest: int) -> str:
    """Why a blur cannot be measured; "" if it can. `coarsest`: the least quality at which the picture was saved."""
    if noisy:
        return "noise hides it"
    if blocks and coarsest < 60:
        return "the blocks of the compression hide it"
    return "the enlarging is a blur" if enlarged else ""


def _cast_hidden(blocks: bool, noisy: bool, enlarged: bool) -> str:
    """Why gain and offset cannot be measured; "" if they can. Whole photons are a rhythm of their own."""
    if noisy:
        return "noise has a rhythm of its own"
    if enlarged:
        return "enlarging changed the histogram"
    return "the compression filled the histogram" if blocks else ""


def _given(path: Path, mask: str | Path | Tensor, size: tuple[int, int]) -> Tensor:
    """The mask `[1, 1, H, W]` that was given for the picture of `size` (height, width) in `path`."""
    known = mask if isinstance(mask, Tensor) else load_mask(mask).known
    if known.shape[-2:] != size:
        have, want = ("x".join(str(n) for n in reversed(side)) for side in (known.shape[-2:], size))
        raise ImageError(f"{path}: the mask is {have} px, the picture {want} px")
    return known


def _hole(seen: _Seen, lossy: bool, earlier: bool) -> tuple[np.ndarray | None, Finding]:
    """What is hidden `[H, W]` of bool, or None for nothing; and the finding."""
    if seen.transparent is not None:
        hidden = grown(seen.transparent, GROWN)
        return hidden, Finding.share("hole", float(hidden.mean()), 1.0, f"transparency, grown by {GROWN} px")
    if lossy:
        return None, Finding.unknown("hole", "a lossy file has no exact colour; --mask says where one is")
    hole = find_hole(seen.pixels)
    if hole is not None and earlier and rings(seen.pixels, hole):
        return None, Finding.unknown("hole", "one was painted before a compression; --mask says where it ends")
    if hole is not None and not hole.sure:
        return None, Finding.unknown("hole", "a flat area fades into the picture; --mask says what is hidden")
    if hole is None and min(seen.pixels.shape[:2]) < SMALL:
        return None, Finding.unknown("hole", f"the picture has less than {SMALL} px")
    if hole is None:
        return None, Finding("hole", 0.0, "none", 0.8, "no region of one flat colour")
    words = ", ".join("+".join(map(str, colour)) for colour in hole.colours)
    return hole.hidden, Finding.share("hole", hole.share, 0.95, f"flat colour {words}, grown by {GROWN} px")

"""What a JPEG file says of its own compression: its tables, the size of its chroma, and how EXIF turns it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image

from rusr_core.decoding import ImageError, unlimited
from rusr_core.degradations.base import text
from rusr_core.degradations.jpeg import JPEG, SAMPLINGS
from rusr_core.degradations.jpeg_tables import BLOCK, LARGEST, Quality, tables, three_tables
from rusr_core.limits import check_whole

# (columns, rows) of luma for one of chroma: the names of ITU-T T.871 and of common use
RATIOS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1", (4, 2): "4:1:0"}
RGB = (ord("R"), ord("G"), ord("B"))  # numbers of components that are no luma and chroma
UPRIGHT, ORIENTATIONS = 1, range(1, 9)  # EXIF 2.3, tag 0x0112; from 5 on rows and columns are exchanged
LYING = 5


@dataclass(frozen=True)
class JPEGFile:
    """The last compression of a file; earlier ones leave no trace in its tables, see `earlier.find_earlier`."""

    quality: int  # libjpeg's, 1 to 100, whose tables are nearest to the file's
    sampling: str  # of its chroma: "4:4:4", "4:2:2", "4:2:0", "grey"; or none of `JPEG`'s: "4:1:1", ..., "other"
    distance: float  # mean difference of the tables to those of `quality`; 0: they are the same
    tables: tuple[int, ...]  # row by row: 64 numbers if all channels share them, 128 if both chromas do, or 192
    orientation: int = UPRIGHT  # EXIF's, by which the upright picture is turned against the compressed one

    @property
    def degradation(self) -> JPEG:
        """What made the upright picture: by its quality if the tables are libjpeg's, else by its tables.

        A sampling that `JPEG` does not know is taken for 4:2:0, see `exact`. Raises `DegradationError` for tables
        that libjpeg does not know either.
        """
        return turned(self.tables if self.distance else self.quality, self.sampling, self.orientation)

    @property
    def exact(self) -> bool:
        """Whether `degradation` can name the sampling of the upright picture: 4:2:2 lying down is none of `JPEG`'s."""
        return _upright(self.sampling, self.orientation) in SAMPLINGS

    @property
    def begins_at(self) -> tuple[bool, bool]:
        """Whether the blocks of the upright picture begin at its right border, and at its lower border."""
        return self.orientation in (2, 3, 6, 7), self.orientation in (3, 4, 7, 8)

    def on_grid(self, height: int, width: int) -> bool:
        """Whether the blocks of the upright picture begin at its upper left corner, as those of `JPEG` do."""
        right, down = self.begins_at
        side = BLOCK if self.sampling in ("4:4:4", "grey") else 2 * BLOCK
        return not (right and width % side) and not (down and height % side)

    @property
    def notation(self) -> str:
        """The degradation in words, as `degradations.notation.parse` reads them: "jpeg:40" or "jpeg:40,4:4:4"."""
        f = self.degradation
        return f"jpeg:{text(f.quality)}" + ("" if f.sampling == "4:2:0" else f",{f.sampling}")

    @property
    def words(self) -> str:
        """The tables and the sampling for people: the notation, but without the numbers of its own tables."""
        if not self.distance and self.exact and self.orientation < LYING:
            return self.notation
        own = f"tables of its own (nearest are those of quality {self.quality}, {self.distance:.1f} off)"
        lying = ", lying" if self.orientation >= LYING else ""
        return f"jpeg with {own if self.distance else f'quality {self.quality}'}, {self.sampling}{lying}"


def turned(quality: Quality, sampling: str, orientation: int) -> JPEG:
    """The `JPEG` of the upright picture, if what was compressed is turned by an EXIF orientation, 1 to 8.

    Where rows and columns are exchanged, so are those of the tables, and 4:4:0 is 4:2:2. An unknown sampling is taken
    for 4:2:0. Raises `ImageError` for another orientation.
    """
    check_whole("orientation", orientation, 1, 8, ImageError)
    if orientation >= LYING:
        quality = _joined([tuple(int(v) for v in table.T.flatten()) for table in three_tables(quality)])
    sampling = _upright(sampling, orientation)
    return JPEG(quality, sampling if sampling in SAMPLINGS else "4:2:0")


def _upright(sampling: str, orientation: int) -> str:
    """The sampling of the upright picture: where it lies, half as many columns are half as many rows."""
    return {"4:2:2": "4:4:0", "4:4:0": "4:2:2"}.get(sampling, sampling) if orientation >= LYING else sampling


def as_stored(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An upright picture `[H, W, C]` as the file holds it: against the turn of an EXIF orientation, 1 to 8.

    Raises `ImageError` for another orientation.
    """
    check_whole("orientation", orientation, 1, 8, ImageError)
    if orientation >= LYING:
        pixels = pixels.transpose(1, 0, 2)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (-1, 1), 7: (-1, -1), 8: (1, -1)}.get(orientation, (1, 1))
    return pixels[::rows, ::columns]


def read_jpeg(path: str | Path) -> JPEGFile | None:
    """The compression of a JPEG file; None if the file is none. Raises `ImageError` if it cannot be read.

    Baseline and progressive files, of libjpeg's tables or anybody's, colour or grey.
    """
    try:
        with unlimited(), Image.open(path, formats=("JPEG",)) as picture:
            layers, quantization = picture.layer, picture.quantization
            plain = picture.info.get("adobe_transform", 1) == 1
            orientation = _orientation(picture)
    except Image.UnidentifiedImageError:
        return None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise ImageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        found = [tuple(int(v) for v in quantization[layer[3]]) for layer in layers[:3]]
    except KeyError:
        raise ImageError(f"{path}: a JPEG file without its tables") from None
    if not found or any(len(table) != BLOCK**2 or not 1 <= min(table) <= max(table) <= LARGEST for table in found):
        raise ImageError(f"{path}: a JPEG file whose tables are broken; expected 64 numbers from 1 to {LARGEST} each")
    distances = {q: _distance(found, q) for q in range(1, 101)}
    quality = min(distances, key=distances.get)
    return JPEGFile(quality, _sampling(layers, plain), distances[quality], _joined(found), orientation)


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 if it has none or if its EXIF data are broken, which `decode` warns of."""
    try:
        found = picture.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # whatever a parser of damaged metadata may raise
        return UPRIGHT
    return found if found in ORIENTATIONS else UPRIGHT


def _sampling(layers: list[tuple[int, int, int, int]], plain: bool) -> str:
    """The name of the sampling of components (number, columns, rows, table); `plain`: they may be Y, Cb and Cr."""
    if len(layers) == 1:
        return "grey"
    if len(layers) != 3 or not plain or tuple(layer[0] for layer in layers) == RGB:
        return "other"
    (_, columns, rows, _), *chroma = layers
    if chroma[0][1:3] != chroma[1][1:3] or columns % chroma[0][1] or rows % chroma[0][2]:
        return "other"
    return RATIOS.get((columns // chroma[0][1], rows // chroma[0][2]), "other")


def _joined(found: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Tables as `JPEG.quality` takes them, none of them twice."""
    if len(found) > 1 and found[-1] == found[-2]:
        found = found[:-1]
    if len(found) == 2 and found[0] == found[1]:
        found = found[:1]
    return sum(found, ())


def _distance(found: list[tuple[int, ...]], quality: int) -> float:
    """The mean absolute difference of a file's tables, luma and perhaps chroma, to those of a quality."""
    luma, chroma = (table.flatten() for table in tables(quality))
    pairs = zip(found, (luma, chroma, chroma), strict=False)
    return float(sum((torch.tensor(a) - b).abs().mean() for a, b in pairs) / len(found))

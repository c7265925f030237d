"""What a JPEG file says of its own compression: the quality, from its tables, and the size of its chroma."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, JpegImagePlugin

from rusr_core.decoding import ImageError
from rusr_core.degradations.jpeg import BLOCK, tables

SAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # Pillow's numbers


@dataclass(frozen=True)
class JPEGFile:
    """The last compression of a file; earlier ones leave no trace in its tables."""

    quality: int  # libjpeg's, 1 to 100, whose tables are nearest to the file's
    sampling: str | None  # of its chroma: "4:4:4", "4:2:2", "4:2:0" or "other"; None: a grey file has none
    distance: float  # mean difference of the tables to those of `quality`; 0: they are the same

    @property
    def notation(self) -> str:
        """The degradation in words, as `degradations.notation.parse` reads them: "jpeg:40" or "jpeg:40,4:4:4"."""
        return f"jpeg:{self.quality}" + ("" if self.sampling in ("4:2:0", "other", None) else f",{self.sampling}")


def read_jpeg(path: str | Path) -> JPEGFile | None:
    """The compression of a JPEG file; None if the file is none. Raises `ImageError` if it cannot be read.

    Cameras and editors have tables of their own; then `distance` says how far the nearest quality is from them.
    """
    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            layers, quantization = picture.layer, picture.quantization
            sampling = JpegImagePlugin.get_sampling(picture)
    except Image.UnidentifiedImageError:
        return None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise ImageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        found = [torch.tensor(quantization[layer[3]]).view(BLOCK, BLOCK).float() for layer in layers[:3]]
    except KeyError:
        raise ImageError(f"{path}: a JPEG file without its tables") from None
    distances = {q: _distance(found, q) for q in range(1, 101)}
    quality = min(distances, key=distances.get)
    kind = SAMPLINGS.get(sampling, "other") if len(found) == 3 else None
    return JPEGFile(quality, kind, distances[quality])


def _distance(found: list[torch.Tensor], quality: int) -> float:
    """The mean absolute difference of a file's tables, luma and perhaps chroma, to those of a quality."""
    luma, chroma = tables(quality)
    expected = (luma, chroma, chroma)
    return float(sum((a - b).abs().mean() for a, b in zip(found, expected, strict=False)) / len(found))

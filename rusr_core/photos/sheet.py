"""A contact sheet: pictures side by side, a row for each, with their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from rusr_core.decoding import MOST_PIXELS, decode
from rusr_core.photos.pictures import pixels_of

SIDE, GAP, LINE = 256, 8, 16  # px


@dataclass(frozen=True, eq=False)
class Row:
    """One row of a sheet."""

    name: str
    pictures: tuple[Image.Image, ...]  # each at most `SIDE` px a side


def sheet_row(paths: Sequence[Path]) -> Row:
    """The pictures of a row, read and made small, under the name of the last. Raises `ImageError`."""
    return Row(paths[-1].name, tuple(map(_small, paths)))


def contact_sheet(rows: Sequence[Row]) -> Image.Image:
    """Each row's pictures side by side, above its name."""
    width = max(len(row.pictures) for row in rows) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, len(rows) * (SIDE + GAP + LINE) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = GAP + number * (SIDE + GAP + LINE)
        for column, small in enumerate(row.pictures):
            left = GAP + column * (SIDE + GAP)
            sheet.paste(small, (left + (SIDE - small.width) // 2, top + (SIDE - small.height) // 2))
        name = row.name.encode("ascii", "replace").decode()  # the built-in font has no other letters
        draw.text((GAP, top + SIDE + 2), name, fill="black")
    return sheet


def _small(path: Path) -> Image.Image:
    """A picture with its longer side `SIDE` px; small ones are shown enlarged, pixel by pixel."""
    picture = Image.fromarray(pixels_of(decode(path, most=MOST_PIXELS)))
    scale = SIDE / max(picture.size)
    size = tuple(max(1, round(scale * side)) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)

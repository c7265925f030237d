"""A contact sheet: pictures side by side, a row for each, with their names."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from rusr_core.decoding import MOST_PIXELS, decode

SIDE, GAP, LINE = 256, 8, 16  # px


def contact_sheet(rows: Sequence[tuple[Path, ...]]) -> Image.Image:
    """Each row's pictures side by side, at most 256 px a side, above the name of the last. Raises `ImageError`."""
    width = max(map(len, rows)) * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, len(rows) * (SIDE + GAP + LINE) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        top = GAP + number * (SIDE + GAP + LINE)
        for column, path in enumerate(row):
            small = decode(path, most=MOST_PIXELS).convert("RGB")
            scale = SIDE / max(small.size)  # small ones are shown enlarged, pixel by pixel
            size = tuple(max(1, round(scale * side)) for side in small.size)
            small = small.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
            left = GAP + column * (SIDE + GAP)
            sheet.paste(small, (left + (SIDE - size[0]) // 2, top + (SIDE - size[1]) // 2))
        name = row[-1].name.encode("ascii", "replace").decode()  # the built-in font has no other letters
        draw.text((GAP, top + SIDE + 2), name, fill="black")
    return sheet

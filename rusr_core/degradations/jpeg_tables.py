"""Quantisation tables of JPEG: libjpeg's by quality, or anybody's."""

import torch
from torch import Tensor

from rusr_core.degradations.checks import check
from rusr_core.limits import is_whole

BLOCK = 8
ENTRIES = BLOCK * BLOCK  # of a table
LARGEST = 2**15 - 1  # libjpeg's; tables beyond 255 are no baseline JPEG, but cjpeg writes them at low qualities

Quality = int | tuple[int, ...]  # libjpeg's, or the tables themselves, see `three_tables`

# ITU-T T.81, annex K.1: the tables of quality 50, rows are vertical frequencies
LUMA = """
    16 11 10 16  24  40  51  61   12 12 14 19  26  58  60  55   14 13 16 24  40  57  69  56
    14 17 22 29  51  87  80  62   18 22 37 56  68 109 103  77   24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101   72 92 95 98 112 100 103  99"""
CHROMA = """
    17 18 24 47 99 99 99 99   18 21 26 66 99 99 99 99   24 26 56 99 99 99 99 99   47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99   99 99 99 99 99 99 99 99"""


def tables(quality: int) -> tuple[Tensor, Tensor]:
    """libjpeg's tables of luma and chroma `[8, 8]` (float32, 1 to 255) for a quality of 1 to 100.

    Rows are vertical frequencies. Raises `DegradationError` for another quality.
    """
    check(is_whole(quality) and 1 <= quality <= 100, "quality", "a whole number from 1 to 100", quality)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    luma, chroma = (torch.tensor([int(v) for v in text.split()]).view(BLOCK, BLOCK) for text in (LUMA, CHROMA))
    return tuple(((table * scale + 50) // 100).clamp(1, 255).float() for table in (luma, chroma))


def three_tables(quality: Quality) -> tuple[Tensor, Tensor, Tensor]:
    """The tables of Y, Cb and Cr `[8, 8]` (float32): of libjpeg's quality, or of 64, 128 or 192 whole numbers.

    The numbers are tables row by row, one for all channels, one for Y and one for both chromas, or one for each.
    Raises `DegradationError` for another quality.
    """
    check_quality(quality)
    if not isinstance(quality, tuple):
        luma, chroma = tables(quality)
        return luma, chroma, chroma
    found = [torch.tensor(quality[i : i + ENTRIES]).float().view(BLOCK, BLOCK) for i in range(0, len(quality), ENTRIES)]
    return found[0], found[min(1, len(found) - 1)], found[-1]


def check_quality(quality: Quality) -> None:
    """Raise `DegradationError` if it is none."""
    if isinstance(quality, tuple):
        good = len(quality) in (64, 128, 192) and all(is_whole(v) and 1 <= v <= LARGEST for v in quality)
        found = f"{len(quality)} of {min(quality, default=None)} to {max(quality, default=None)}" if quality else "none"
        check(good, "quality", "one, two or three tables of 64 whole numbers from 1", found)
    else:
        whole = is_whole(quality) and 1 <= quality <= 100
        check(whole, "quality", "a whole number from 1 to 100", quality)

"""A person's own pictures: what has to be known of a file before it is restored."""

from rusr_core.photos.jpeg_file import JPEGFile, read_jpeg
from rusr_core.photos.masks import doubts, fit_mask

__all__ = ["JPEGFile", "doubts", "fit_mask", "read_jpeg"]

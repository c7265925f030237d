"""A person's own pictures: what has to be known of a file before it is restored."""

from rusr_core.photos.estimate import Estimate, estimate
from rusr_core.photos.findings import Finding
from rusr_core.photos.jpeg_file import JPEGFile, read_jpeg
from rusr_core.photos.masks import doubts, fit_mask

__all__ = ["Estimate", "Finding", "JPEGFile", "doubts", "estimate", "fit_mask", "read_jpeg"]

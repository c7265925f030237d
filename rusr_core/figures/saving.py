"""Figures as files."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from rusr_core.files import write_atomic


def save_figure(figure: Figure, path: Path, **options: object) -> Path:
    """Write a figure in the format of the path's suffix, complete or not at all; `options` of Matplotlib's `savefig`.

    Returns the path. Raises `FileError`, and ValueError for a format that Matplotlib does not know.
    """
    data = io.BytesIO()
    figure.savefig(data, format=path.suffix.lower().lstrip("."), **options)
    return write_atomic(path, data.getvalue())

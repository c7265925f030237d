"""Where files lie: the project's `data/` folder and the cache of downloads."""

from pathlib import Path

import torch

from rusr_core.errors import RusrError


class DataError(RusrError):
    """A file of the project's own data that is not installed."""


def data_path(relative: str) -> Path:
    """A file of the project's `data/` folder, in a checkout or in an installed wheel. Missing: DataError."""
    here = Path(__file__).resolve().parent
    for folder in (here / "_data", here.parent / "data"):
        if (folder / relative).exists():
            return folder / relative
    raise DataError(f"data file {relative!r} is not installed, expected it in {here / '_data'}")


def cache_dir() -> Path:
    """Downloads and computed sizes: `rusr` beside torch's own hub folder (TORCH_HOME, XDG_CACHE_HOME)."""
    return Path(torch.hub.get_dir()).parent / "rusr"

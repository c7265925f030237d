"""What a person hands in to `rusr app` in its tests."""

from pathlib import Path

import pytest
import torch

from rusr_core.degradations import JPEG
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image


@pytest.fixture
def after_jpeg(tmp_path) -> Path:
    """A portrait after JPEG, which `inspect` finds: the file mine.png."""
    clean = load_image(data_path("portraits/test/007.png"))
    return save_image(JPEG(12).degrade(clean, torch.Generator().manual_seed(0)), tmp_path / "mine.png")

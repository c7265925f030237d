"""Folders of pictures as people have them, for the tests of commands."""

from pathlib import Path

import torch
from conftest import PORTRAIT

from rusr_core.images import load_image, resize, save_image

UP = ("--task", "upsampling")
UP_S = (*UP, "--level", "S")


def fill(folder: Path, small: bytes, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(small)
    return folder


def written(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in files if path.suffix != ".json")


def raising(error: Exception):
    """A function that fails."""

    def fail(*_args, **_options):
        raise error

    return fail


def group(tmp_path, *places: tuple[int, int], size=(300, 460), side=128, name="group.png"):
    """A picture with the same portrait at several places."""
    x = torch.full((1, 3, *size), 0.4)
    portrait = resize(load_image(PORTRAIT), side, "bicubic").clamp(0, 1)
    for top, left in places:
        x[..., top : top + side, left : left + side] = portrait
    return save_image(x, tmp_path / name)

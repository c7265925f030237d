"""Motions from the dips of a spectrum, in drawn portraits and in photographs; and that no other picture has one."""

import numpy as np
import pytest
import torch
from skimage import data, transform

from rusr_core.degradations import Blur, parse
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.photos.blur_width import find_blur
from rusr_core.photos.motion import find_motion

PICTURES = {
    "portrait": lambda: load_image(data_path("portraits/test/004.png")),
    "astronaut": lambda: tensor(data.astronaut()[:200, 150:350]),
    "cat": lambda: tensor(data.chelsea()[50:250, 100:300]),
    "camera": lambda: tensor(np.repeat(data.camera()[100:300, 150:350, None], 3, 2)),
}


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


def pixels(x: torch.Tensor) -> np.ndarray:
    return (255 * x[0].permute(1, 2, 0)).round().byte().numpy()


def apart(one: float, other: float) -> float:
    """Degrees between two directions."""
    return abs((one - other + 90) % 180 - 90)


@pytest.mark.parametrize(("length", "direction"), [(5, 75), (9, -30), (16, 0), (25, 90)])
@pytest.mark.parametrize("name", PICTURES)
def test_length_and_direction(name, length, direction):
    found = find_blur(pixels(Blur(length=length, direction=direction).degrade(PICTURES[name]())))
    assert found.length == pytest.approx(length, rel=0.06) and apart(found.direction, direction) <= 3
    assert found.width is None


def test_it_does_not_hang_on_our_own_kernel():
    """The mean of pictures that scikit-image shifts along a path of 12 px, 40 degrees upwards."""
    shifts = (np.arange(48) + 0.5) / 4 - 6
    across, down = np.cos(np.deg2rad(40)), -np.sin(np.deg2rad(40))
    scene = data.astronaut()[90:366, 90:366]  # ten pixels more than are looked at, on every side
    moved = [transform.warp(scene, transform.AffineTransform(translation=(s * across, s * down)), order=1)
             for s in shifts]  # fmt: skip
    found = find_motion((255 * np.mean(moved, 0)[10:266, 10:266]).round().astype(np.uint8))
    assert found.sure and found.length == pytest.approx(12, rel=0.06) and apart(found.direction, 40) <= 3


@pytest.mark.parametrize("words", ["identity", "blur:1", "blur:3", "downsample:2", "strokes:5"])
@pytest.mark.parametrize("name", PICTURES)
def test_nothing_moved(name, words):
    x = parse(words).degrade(PICTURES[name](), torch.Generator().manual_seed(0))
    assert not find_motion(pixels(x)).sure


def test_patterns_are_no_motion():
    rows, columns = np.mgrid[:256, :256]
    for pattern in (127 + 100 * np.sin(columns / 3), 255 * (columns // 7 % 2), 255 * ((columns // 9 + rows // 9) % 2),
                    columns / 2 + rows / 4, np.full((256, 256), 90)):  # fmt: skip
        assert not find_motion(np.repeat(pattern[..., None], 3, 2).astype(np.uint8)).sure
    ring = np.hypot(*np.mgrid[-6:7, -6:7]) <= 5.5  # a lens out of focus, whose dips are rings
    defocus = Blur(kernel=torch.from_numpy(ring / ring.sum()).float())
    assert not find_motion(pixels(defocus.degrade(PICTURES["camera"]()))).sure


def test_a_motion_longer_than_any_that_is_tried_is_not_taken_for_a_shorter_one():
    assert not find_motion(pixels(Blur(length=70, direction=20).degrade(PICTURES["astronaut"]()))).sure


def test_paint_over_a_motion_leaves_it_unknown():
    x = parse("blur:length=12,direction=30 | strokes:5").degrade(
        PICTURES["portrait"](), torch.Generator().manual_seed(0)
    )
    assert find_blur(pixels(x), np.zeros((128, 128), dtype=bool)).length is None

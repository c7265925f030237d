"""What is painted over is told from what is black by itself, and from paint that other damages have changed."""

import numpy as np
import pytest
import torch
from skimage import data

from rusr_core.degradations import mask_of, parse
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image
from rusr_core.photos import estimate
from rusr_core.photos.holes import find_hole


def portrait(i: int = 0) -> torch.Tensor:
    return load_image(data_path(f"portraits/test/{i:03d}.png"))


def hole_of(words: str, i: int, path):
    """The estimate of a degraded portrait, and its finding of a hole."""
    save_image(parse(words).degrade(portrait(i), torch.Generator().manual_seed(i)), path)
    result = estimate(path)
    return result, next(item for item in result.findings if item.name == "hole")


@pytest.mark.parametrize(("words", "i"), [("noise:24,0.16 | strokes:9,seed=0", 54), ("noise:24,0.16 | strokes:9", 94)])
def test_paint_over_dead_pixels(words, i, tmp_path):
    """Black pixels beside the strokes once made a shadow of them, and the strokes many dead pixels."""
    result, _ = hole_of(words, i, tmp_path / "y.png")
    hidden, found = mask_of(parse(words), portrait()) < 0.99, result.stages[-1].visible < 0.5
    assert (hidden & found).sum() > 0.93 * hidden.sum() and (found & ~hidden).float().mean() < 0.03
    dead = next(item for item in result.findings if item.name == "dead pixels")
    assert dead.value == pytest.approx(0.16, abs=0.03)


@pytest.mark.parametrize("after", ["jpeg:60", "jpeg:30", "readnoise:0.05"])
def test_paint_under_another_damage_is_unknown(after, tmp_path):
    result, found = hole_of(f"strokes:5 | {after}", 91, tmp_path / "y.png")
    assert found.value is None and "--mask" in found.source
    assert not any(type(stage).__name__ == "Mask" for stage in result.stages)


def test_paint_of_several_colours(tmp_path):
    """Only the most frequent one was once looked for."""
    x, hidden = portrait(2), np.zeros((128, 128), bool)
    for top, left, colour in ((5, 5, (0.0, 0.0, 0.0)), (20, 80, (0.9, 0.2, 0.8)), (70, 50, (0.0, 1.0, 0.0))):
        x[..., top : top + 25, left : left + 30] = torch.tensor(colour)[:, None, None]
        hidden[top - 2 : top + 27, left - 2 : left + 32] = True
    save_image(x, tmp_path / "y.png")
    result = estimate(tmp_path / "y.png")
    assert np.array_equal(result.stages[-1].visible[0, 0].numpy() < 0.5, hidden)
    assert "0+0+0, " in next(item.source for item in result.findings if item.name == "hole")


def test_a_black_thing_of_a_photograph_is_no_paint():
    """A dark part of the space shuttle, of whose rim 9 % are nearly black; of paint it is 2 % at most."""
    hole = find_hole(np.ascontiguousarray(data.astronaut()[198:306, 370:466]))
    assert not hole.sure


@pytest.mark.parametrize(
    "words, found",
    [("downsample:2,bicubic | resize:128", "resize:128+128 | "), ("jpeg:30", "jpeg:30 | "), ("blur:1.5", "")],
)
def test_what_a_given_mask_hides_tells_nothing(tmp_path, words, found):
    """Be it flat, noisy or the picture itself: an edge or flat lines in the hole are none of the picture's."""
    y, known = parse(words).degrade(portrait(0), torch.Generator().manual_seed(0)), torch.ones(1, 1, 128, 128)
    known[..., 40:90, 30:80] = 0
    noise = torch.rand(y.shape, generator=torch.Generator().manual_seed(2))
    told = []
    for content in (torch.zeros_like(y), torch.full_like(y, 0.5), noise, y):
        path = save_image(torch.where(known > 0, y, content), tmp_path / "y.png", force=True)
        told.append(estimate(path, mask=known))
    assert told[0].notation == f"{found}mask:<1x1x128x128 tensor>"
    assert all(other.findings_record() == told[0].findings_record() for other in told)

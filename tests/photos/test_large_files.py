"""Large pictures are looked at in strips and in parts; both tell what the whole tells."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from rusr_core import parts
from rusr_core.degradations import parse
from rusr_core.files import data_path
from rusr_core.images import load_image, resize
from rusr_core.parts import cells, strips
from rusr_core.photos import blur_width, casts, earlier, holes, motion, noise_level
from rusr_core.photos.pictures import pixels_of, transparent
from rusr_core.photos.true_size import KERNELS, enlarging, find_enlarged


def pixels(words: str = "identity", i: int = 0) -> np.ndarray:
    x = load_image(data_path(f"portraits/test/{i:03d}.png"))
    y = parse(words).degrade(x, torch.Generator().manual_seed(i))
    return (255 * y[0].permute(1, 2, 0)).round().byte().numpy()


def test_cells_are_squares_of_the_grid():
    picture = np.arange(7 * 11 * 3).reshape(7, 11, 3)
    found = cells(picture, 3, 100)
    assert found.shape == (6, 3, 3, 3)
    assert np.array_equal(found[4], picture[3:6, 3:6])


@pytest.mark.parametrize(("shape", "most"), [((400, 800), 1000), ((100, 100), 9999), ((4, 90000), 512)])
def test_some_cells_are_spread_evenly(shape, most):
    """None twice, about as many as were asked for, as many in each half, and all columns of a period of five."""
    rows, columns = np.indices(shape)
    found = cells(np.stack([rows, columns], -1), 1, most)[:, 0, 0]
    assert 0.6 * most < len(np.unique(found, axis=0)) == len(found) <= most
    for axis in (0, 1):
        first = (found[:, axis] < shape[axis] / 2).mean()
        assert 0.45 < first < 0.55
        counts = np.bincount(found[:, axis] % 5, minlength=min(5, shape[axis]))
        assert counts.min() > 0.6 * counts.mean()


@pytest.mark.parametrize("margin", [0, 3, 50])
def test_strips_are_the_picture(margin, monkeypatch):
    monkeypatch.setattr(parts, "STRIP", 100)
    rows = np.arange(41)
    found = list(strips(41, 17, margin))
    assert np.array_equal(np.concatenate([rows[there][own] for there, own in found]), rows)
    assert len(found) == 9 and all(own.start == min(margin, 5 * i) for i, (_, own) in enumerate(found))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("height", "size"), [(1000, 800), (1000, 333), (1500, 1201), (100, 60)])
def test_the_first_rows_of_an_enlargement(kernel, height, size):
    num = min(height, 90)
    rows = enlarging(height, size, kernel, num)
    whole = resize(torch.eye(size, dtype=torch.float64)[None, None], (height, size), kernel)[0, 0, :num]
    assert rows.dtype == torch.float64 and torch.allclose(rows, whole[:, : rows.shape[1]], atol=1e-6)
    assert not whole[:, rows.shape[1] :].any()


def test_strips_change_no_number(monkeypatch):
    """The same numbers, to the bit, of the width of a blur (with and without a hole), of histograms and of repeats."""
    soft, hidden = pixels("blur:1.5", 1), np.zeros((128, 128), bool)
    hidden[30:60, 20:90] = True
    nearest = np.asarray(Image.fromarray(pixels()[:50, :64]).resize((128, 100), Image.Resampling.NEAREST))
    faded = pixels("fade:0.85,0.05", 4)

    def everything():
        blurs = blur_width.find_blur(soft), blur_width.find_blur(soft, hidden)
        return *blurs, casts.find_cast(faded), find_enlarged(nearest)

    whole = everything()
    assert whole[0].width == pytest.approx(1.5, rel=0.15) and (whole[3].height, whole[3].width) == (50, 64)
    monkeypatch.setattr(parts, "STRIP", 1000)
    assert everything() == whole


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "I;16"])
def test_pixels_in_strips(mode, monkeypatch):
    picture = Image.fromarray(pixels())
    if mode == "I;16":
        picture = Image.fromarray(np.linspace(0, 65535, 120 * 90).reshape(120, 90).astype(np.uint16))
    elif mode in ("RGBA", "LA"):
        picture = picture.convert(mode)
        picture.putalpha(Image.fromarray(np.linspace(0, 255, 128 * 128).reshape(128, 128).astype(np.uint8)))
    else:
        picture = picture.convert(mode)
    whole = pixels_of(picture)
    monkeypatch.setattr(parts, "STRIP", 1000)
    assert np.array_equal(pixels_of(picture), whole) and whole.shape == (*picture.size[::-1], 3)
    assert (transparent(picture) is not None) == (mode in ("RGBA", "LA"))


def test_parts_find_what_the_whole_tells(monkeypatch):
    """Noise, an earlier compression, a painted colour and a motion, of few parts of a picture."""
    monkeypatch.setattr(noise_level, "MOST", 300)
    assert noise_level.find_noise(pixels("noise:24,0.16", 2)).photons == pytest.approx(24, rel=0.25)
    monkeypatch.setattr(earlier, "MOST", 150)
    assert earlier.find_earlier(pixels("jpeg:30", 5)).quality == 30
    painted = pixels()
    painted[40:70, 50:90] = (255, 0, 255)
    monkeypatch.setattr(holes, "COUNTED", 3000)
    hole = holes.find_hole(painted)
    assert hole.colours == ((255, 0, 255),) and hole.share == 34 * 44 / 128**2
    tiled = np.tile(pixels("blur:length=16,direction=-60", 1), (3, 3, 1))
    monkeypatch.setattr(motion, "TILE", 128)
    monkeypatch.setattr(motion, "TILES", 2)
    found = motion.find_motion(tiled)
    assert found.sure and (found.length, found.direction) == (pytest.approx(16, abs=0.5), pytest.approx(-60, abs=2))


def test_deep_shadows_are_no_hole():
    """An eighth of NASA's photograph of Eileen Collins is black; it was once taken for painted."""
    photograph = data.astronaut()
    assert (photograph == 0).all(2).mean() > 0.1 and not holes.find_hole(photograph).sure
    photograph[100:160, 200:260] = 0
    assert (holes.find_hole(photograph[:256, :384]).hidden[98:162, 198:262]).all()


MEASURE = """
import resource, sys
from rusr_core.photos import estimate
estimate(sys.argv[1])  # a small one first, for what is loaded and kept
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimate(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_the_memory_of_an_estimate(tmp_path):
    """Of noise, which packs worst and has nearly as many colours as pixels; it once took 320 bytes a pixel."""
    draw, paths = np.random.default_rng(0), [tmp_path / "small.png", tmp_path / "large.png"]
    for path, side in zip(paths, (128, 2000), strict=True):
        Image.fromarray(draw.integers(0, 256, (side, side, 3), np.uint8)).save(path, compress_level=1)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", MEASURE, *paths], cwd=root, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    assert int(done.stdout) * unit < 90 * 2000**2

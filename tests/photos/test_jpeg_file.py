"""What a JPEG file says of itself is what was done to it."""

import numpy as np
import pytest
from PIL import Image

from rusr_core.decoding import ImageError
from rusr_core.degradations.notation import parse
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.metrics.scores import psnr
from rusr_core.photos.jpeg_file import read_jpeg

PORTRAIT = data_path("portraits/test/000.png")


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [5, 12, 40, 75, 92, 100])
@pytest.mark.parametrize("progressive", [False, True])
def test_quality_and_sampling(tmp_path, quality, sampling, progressive):
    picture = Image.open(PORTRAIT).convert("RGB")
    picture.save(tmp_path / "a.jpg", quality=quality, subsampling=sampling, progressive=progressive)
    found = read_jpeg(tmp_path / "a.jpg")
    assert (found.quality, found.sampling, found.distance) == (quality, sampling, 0)
    f = parse(found.notation)
    assert (f.quality, f.sampling) == (quality, sampling)
    assert found.notation == (f"jpeg:{quality}" if sampling == "4:2:0" else f"jpeg:{quality},{sampling}")


def test_grey_files(tmp_path):
    Image.open(PORTRAIT).convert("L").save(tmp_path / "a.jpg", quality=33)
    found = read_jpeg(tmp_path / "a.jpg")
    assert (found.notation, found.sampling) == ("jpeg:33", None)


@pytest.mark.parametrize("mode, sampling", [("RGB", "4:4:4"), ("RGB", "4:2:2"), ("RGB", "4:2:0"), ("L", "4:2:0")])
def test_the_surrogate_that_the_file_names_is_what_made_the_file(tmp_path, mode, sampling):
    """34 dB where 4:4:4 is taken for 4:2:0."""
    clean = Image.open(PORTRAIT).convert(mode)
    clean.save(tmp_path / "clean.png")
    clean.save(tmp_path / "a.jpg", quality=12, **({"subsampling": sampling} if mode == "RGB" else {}))
    f = parse(read_jpeg(tmp_path / "a.jpg").notation)
    assert psnr(f.forward(load_image(tmp_path / "clean.png")), load_image(tmp_path / "a.jpg")) > 50


def test_tables_of_ones_own(tmp_path):
    """A camera's tables: the nearest quality, and how far it is off."""
    rows = [list(np.linspace(8, 40, 64).astype(int)), list(np.linspace(9, 60, 64).astype(int))]
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", qtables=[[int(v) for v in row] for row in rows])
    found = read_jpeg(tmp_path / "a.jpg")
    assert found.distance > 1 and 40 < found.quality < 95


def test_other_files(tmp_path):
    assert read_jpeg(PORTRAIT) is None
    (tmp_path / "a.jpg").write_text("a diary")
    assert read_jpeg(tmp_path / "a.jpg") is None
    with pytest.raises(ImageError, match="missing.jpg: cannot be read"):
        read_jpeg(tmp_path / "missing.jpg")

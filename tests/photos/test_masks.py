"""A mask says what is known; whatever is no mask is told what it is; it goes the way of its photograph."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from rusr_core import parts
from rusr_core.decoding import MAX_PIXELS, MOST_PIXELS, ImageError
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.mask_files import load_mask
from rusr_core.files import data_path
from rusr_core.images import fit_image, load_image, save_image
from rusr_core.photos.align import AlignError
from rusr_core.photos.masks import doubts, filled, fit_mask

PORTRAIT = data_path("portraits/test/000.png")
HOLE = (40, 50, 90, 100)  # left, top, right, bottom, inclusive


def painted(ground: int | tuple, hole: int | tuple, mode: str = "L", size: int = 128) -> Image.Image:
    picture = Image.new(mode, (size, size), ground)
    ImageDraw.Draw(picture).rectangle(HOLE, fill=hole)
    return picture


@pytest.fixture
def truth() -> torch.Tensor:
    known = torch.ones(1, 1, 128, 128)
    known[..., 50:101, 40:91] = 0
    return known


def erased() -> Image.Image:
    photo = Image.open(PORTRAIT).convert("RGBA")
    photo.putalpha(painted(255, 0))
    return photo


def test_every_way_to_say_the_same_mask(tmp_path, truth, monkeypatch):
    pictures = {
        "grey.png": painted(255, 0),
        "colour.bmp": painted("white", "black", "RGB"),
        "bits.png": painted(255, 0).convert("1"),
        "palette.png": painted(255, 0).convert("P"),
        "sixteen.png": Image.fromarray(np.array(painted(255, 0)).astype(np.uint16) * 257),
        "lossy.jpg": painted("white", "black", "RGB"),
        "lossy.webp": painted("white", "black", "RGB"),
        "erased.png": erased(),
        "erased.webp": erased(),
        "drawn.png": painted((0, 0, 0, 0), (0, 0, 0, 255), "RGBA"),
        "opaque.png": painted((255, 255, 255, 255), (0, 0, 0, 255), "RGBA"),
    }
    for name, picture in pictures.items():
        options = {"lossless": True} if name == "erased.webp" else {"quality": 75}
        picture.save(tmp_path / name, **options)
        found, inverted = load_mask(tmp_path / name), load_mask(tmp_path / name, invert=True)
        same = (found.known - truth).abs() < 1e-6
        assert same.float().mean() > (0.97 if "lossy" in name else 0.9999), name  # ringing at the edges
        assert torch.equal(inverted.known, 1 - found.known)
        opaque = name.startswith("erased")
        assert (found.meaning, inverted.meaning) == (
            ("opaque is known", "transparent is known") if opaque else ("white is known", "black is known")
        )
        assert torch.equal(Mask(tmp_path / name).visible, found.known)
        with monkeypatch.context() as large:  # read in strips
            large.setattr(parts, "STRIP", 1000)
            again = load_mask(tmp_path / name)
        assert torch.equal(again.known, found.known) and again.meaning == found.meaning


@pytest.mark.slow
def test_a_mask_may_be_as_large_as_a_photograph(tmp_path):
    """Beyond 67 megapixels it was once refused, and its photograph taken."""
    side = 8200
    assert MAX_PIXELS < side**2 < MOST_PIXELS
    picture = Image.new("1", (side, side), 1)
    ImageDraw.Draw(picture).rectangle((0, 0, side - 1, side // 2 - 1), fill=0)
    picture.save(tmp_path / "mask.png")
    known = load_mask(tmp_path / "mask.png").known
    assert known.shape == (1, 1, side, side) and known[..., : side // 2, :].max() == 0
    assert known[..., side // 2 :, :].min() == 1
    Image.new("1", (side, 2 * side), 1).save(tmp_path / "mask.png")
    with pytest.raises(ImageError, match=f"8200x16400 px; expected 1 to {MOST_PIXELS} pixels"):
        load_mask(tmp_path / "mask.png")


def test_what_is_no_mask_is_told_what_it_is(tmp_path):
    photo = Image.open(PORTRAIT).convert("RGB")
    pictures = {
        "photo.png": (photo, r"% of the pixels are coloured"),
        "grey.png": (photo.convert("L"), r"% of the pixels are grey"),
        "labels.png": (painted(1, 0), "its lightest value is 1, expected 255"),
        "half.png": (painted(128, 0), r"8\d % of the pixels are grey"),
        "red.png": (painted("white", "red", "RGB"), r"1\d % of the pixels are coloured"),
        "white.png": (painted((0, 0, 0, 0), (255, 255, 255, 255), "RGBA"), "drawn in white on a transparent ground"),
    }
    for name, (picture, words) in pictures.items():
        picture.save(tmp_path / name)
        for read in (load_mask, Mask):
            with pytest.raises(ImageError, match=f"{name}: a mask .*{words}") as error:
                read(tmp_path / name)
            assert "\n" not in str(error.value)


def test_soft_edges_are_kept(tmp_path, truth):
    painted(255, 0).filter(ImageFilter.GaussianBlur(4)).save(tmp_path / "soft.png")
    known = load_mask(tmp_path / "soft.png").known
    assert 0.02 < ((known > 0.1) & (known < 0.9)).float().mean() < 0.25
    assert ((known > 0.5) == (truth > 0.5)).float().mean() > 0.99


@pytest.mark.parametrize(
    "shape, size, fit",
    [
        ((256, 256), (128, 128), None),
        ((480, 640), (128, 128), "crop"),
        ((640, 480), (128, 128), "pad"),
        ((300, 300), (128, 128), None),
        ((64, 64), (128, 128), None),
        ((100, 40), (32, 48), "crop"),
    ],
)
@pytest.mark.parametrize("content", [0.0, 1.0])
def test_no_hidden_pixel_leaves_a_trace_where_the_fitted_mask_shows(shape, size, fit, content):
    """The mask goes the way of the photograph: what stands in the hole changes no known pixel."""
    rng = torch.Generator().manual_seed(0)
    photo, known = torch.rand(1, 3, *shape, generator=rng), torch.ones(1, 1, *shape)
    top, left = shape[0] // 3, shape[1] // 3
    known[..., top : top + shape[0] // 5, left : left + shape[1] // 4] = 0
    a, b = (fit_image(photo * known + v * (1 - known), size, fit) for v in (0.5, content))
    fitted = fit_mask(known, size, fit)
    assert fitted.shape == (1, 1, *size) and set(fitted.unique().tolist()) == {0.0, 1.0}
    changed = ((a - b).abs().amax(1, keepdim=True) > 1e-6).float()
    assert (changed * fitted).sum() == 0
    bars = fit_image(torch.zeros_like(known) + 1, size, fit)
    assert (fitted * (bars == 0)).sum() == 0  # nothing is known of the bars
    content_area = (bars > 0).float()
    lost = (content_area * (1 - fitted) * (1 - changed)).sum() / content_area.sum()
    assert lost < 0.16  # no more is hidden than a rim around it


def test_a_mask_of_the_right_size_is_left_as_it_is():
    soft = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert fit_mask(soft, (8, 8), "crop") is soft


def test_doubts(truth):
    photo = load_image(PORTRAIT)
    assert doubts(truth, photo * truth) == [] == doubts(truth, photo)
    (word,) = doubts(torch.ones_like(truth), photo)
    assert "hides nothing" in word
    (word,) = doubts(torch.zeros_like(truth), photo)
    assert "hides everything" in word
    for colour in (0.0, 1.0, torch.tensor([0.2, 0.9, 0.1]).view(1, 3, 1, 1)):
        hole = photo * truth + colour * (1 - truth)
        (word,) = doubts(1 - truth, hole)
        assert "--invert-mask" in word
        assert doubts(truth, hole) == []
    assert doubts(truth, torch.zeros_like(photo)) == []  # a picture of one colour tells nothing


def test_doubts_of_a_lossy_picture(tmp_path, truth):
    hole = load_image(PORTRAIT) * truth
    (word,) = doubts(1 - truth, load_image(save_image(hole, tmp_path / "a.jpg")))
    assert "--invert-mask" in word


def test_hidden_pixels_are_filled_from_their_row(monkeypatch):
    picture, known = torch.arange(3 * 4 * 6, dtype=torch.uint8).view(3, 4, 6), torch.ones(1, 1, 4, 6)
    known[..., 1, 2:5], known[..., 2, :4], known[..., 3, :] = 0, 0.5, 0
    monkeypatch.setattr(parts, "STRIP", 12)  # two rows
    result = filled(picture, known)
    assert torch.equal(result[:, 0], picture[:, 0])
    assert torch.equal(result[:, 1], picture[:, 1][:, [0, 1, 1, 1, 5, 5]])
    assert torch.equal(result[:, 2], picture[:, 2][:, [4, 4, 4, 4, 4, 5]])
    assert (result[:, 3] == 128).all()
    assert filled(picture, torch.ones(1, 1, 4, 6)) is picture  # nothing to do, nothing copied
    with pytest.raises(AlignError, match=r"expected a mask \[1, 1, 4, 6\] for this picture, got \[1, 1, 6, 4\]"):
        filled(picture, torch.ones(1, 1, 6, 4))

"""Every kind of file a person may hand in becomes an image or one line of error; nothing is half-written."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from rusr_core import decoding, images
from rusr_core.errors import RusrError
from rusr_core.files import FileError, FileExistsAlreadyError
from rusr_core.images import ImageError, load_image, quantize, resize, save_image, to_pil, to_uint8


@pytest.fixture
def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that no pixel data supports."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp", "a.bmp"])
def test_lossless_round_trip(tmp_path, name):
    x = torch.rand(1, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    y = load_image(save_image(x, tmp_path / name))
    assert y.dtype == torch.float32 and y.shape == x.shape
    assert torch.equal(y, quantize(x))


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG"])
def test_jpeg_round_trip_is_close(tmp_path, name):
    x = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    assert (load_image(save_image(x, tmp_path / name)) - x).abs().max() < 0.03


def test_grey_palette_and_one_bit(tmp_path, picture):
    for mode in ("L", "P", "1"):
        picture.convert(mode).save(tmp_path / f"{mode}.png")
        x = load_image(tmp_path / f"{mode}.png")
        expected = np.asarray(picture.convert(mode).convert("RGB")).transpose(2, 0, 1) / 255
        assert x.shape == (1, 3, 12, 20) and np.allclose(x[0].numpy(), expected, atol=1e-6)


def test_cmyk_jpeg(tmp_path, picture):
    picture.convert("CMYK").save(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg").shape == (1, 3, 12, 20)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_composited_over_white(tmp_path, mode):
    colour = (0, 0, 0, 64) if mode == "RGBA" else (0, 64)
    Image.new(mode, (4, 4), colour).save(tmp_path / "a.png")
    assert torch.allclose(load_image(tmp_path / "a.png"), torch.tensor(1 - 64 / 255), atol=1 / 255)


def test_transparent_palette(tmp_path):
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "a.png", transparency=0)
    assert load_image(tmp_path / "a.png").min() == 1


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bit_keeps_its_precision(tmp_path, name):
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / name)
    x = load_image(tmp_path / name)
    assert x.shape == (1, 3, 8, 8) and np.allclose(x[0, 0].numpy(), values / 65535, atol=1e-6)


def test_float_tiff_outside_the_range_is_refused(tmp_path):
    Image.fromarray(np.full((4, 4), 3.0, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(ImageError, match=r"a.tiff: expected floats within \[0, 1\], got \[3, 3\]"):
        load_image(tmp_path / "a.tiff")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, picture, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif)
    x = load_image(tmp_path / "a.png")
    assert x.shape[-2:] == ((20, 12) if orientation >= 5 else (12, 20))
    first = torch.tensor(np.asarray(picture)[0, 0] / 255, dtype=torch.float32)
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    row, column = corner[orientation]
    assert torch.allclose(x[0, :, row, column], first)


def test_crop_and_pad_only_when_asked(tmp_path, picture):
    path = tmp_path / "a.png"
    picture.save(path)
    whole = load_image(path)
    with pytest.raises(ImageError, match="20x12 px is not square"):
        load_image(path, size=8)
    assert torch.equal(load_image(path, fit="crop"), whole[..., 4:16])
    padded = load_image(path, fit="pad")
    assert padded.shape == (1, 3, 20, 20) and torch.equal(padded[..., 4:16, :], whole)
    assert padded[..., :4, :].max() == 0
    assert load_image(path, size=8, fit="crop").shape == (1, 3, 8, 8)
    with pytest.raises(ImageError, match="'crop', 'pad' or None, got 'stretch'"):
        load_image(path, fit="stretch")


def test_a_size_that_is_not_square(tmp_path, picture):
    """The window, or the bars, follow the shape that is asked for."""
    picture.save(tmp_path / "a.png")  # 20x12
    whole = load_image(tmp_path / "a.png")
    assert torch.equal(load_image(tmp_path / "a.png", size=(6, 10)), resize(whole, (6, 10)).clamp(0, 1))
    crop = load_image(tmp_path / "a.png", size=(12, 6), fit="crop")
    assert torch.equal(crop, whole[..., 7:13])
    pad = load_image(tmp_path / "a.png", size=(20, 20), fit="pad")
    assert torch.equal(pad[..., 4:16, :], whole) and pad[..., :4, :].max() == 0
    with pytest.raises(ImageError, match="a.png: 20x12 px is not of the shape of 10x5 px"):
        load_image(tmp_path / "a.png", size=(5, 10))


@pytest.mark.parametrize("shape", [(1, 40_000), (40_000, 1), (2, 9_000)])
def test_a_thin_picture_is_shrunk_before_it_is_padded(tmp_path, shape):
    """40000 x 1 px is 201 bytes as a file; its square would take 19 GB."""
    Image.new("RGB", shape[::-1], "white").save(tmp_path / "thin.png")
    tracemalloc.start()
    x = load_image(tmp_path / "thin.png", size=128, fit="pad")
    assert x.shape == (1, 3, 128, 128) and x.max() > 0.999 and 0 < (x > 0).float().mean() < 0.01
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert load_image(tmp_path / "thin.png", size=128, fit="crop").min() > 0.999
    if max(shape) > 8192:
        with pytest.raises(ImageError, match=r"thin.png: size must be 1 to 67108864 pixels, got (\d+)x\1 px"):
            load_image(tmp_path / "thin.png", fit="pad")


def one_line(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert "\n" not in text and text
    return text


def test_bad_files_are_one_line(tmp_path, picture):
    picture.resize((64, 64)).save(tmp_path / "whole.png")
    picture.resize((64, 64)).save(tmp_path / "whole.jpg")
    bad = {
        "text.png": b"this is a diary",
        "empty.png": b"",
        "zero.png": png_header(0, 0),
        "huge.png": png_header(100_000, 100_000),
        "large.png": png_header(9_000, 9_000),
        "hollow.png": png_header(16, 16),
        "short.png": (tmp_path / "whole.png").read_bytes()[:-800],
        "short.jpg": (tmp_path / "whole.jpg").read_bytes()[:-300],
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ImageError) as error:
            load_image(tmp_path / name)
        assert name in one_line(error)
    with pytest.raises(ImageError, match="no such file"):
        load_image(tmp_path / "missing.png")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)


def test_postscript_is_never_opened(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    with pytest.raises(ImageError, match="not an image"):
        load_image(tmp_path / "a.png")


def test_nothing_is_overwritten_or_left_behind(tmp_path, monkeypatch):
    x = torch.zeros(1, 3, 4, 4)
    path = save_image(x, tmp_path / "a.png")
    before = path.read_bytes()
    with pytest.raises(FileExistsAlreadyError, match="exists already"):
        save_image(x + 1, path)
    assert path.read_bytes() == before
    save_image(x + 1, path, force=True)
    assert load_image(path).min() == 1
    for target, words in (
        ("a.xyz", "cannot write .xyz"),
        ("no/a.png", "does not exist"),
        ("a", "without a suffix"),
    ):
        with pytest.raises(RusrError, match=words):
            save_image(x, tmp_path / target)
    with pytest.raises(ImageError, match=r"got \[2, 3, 4, 4\]"):
        save_image(torch.zeros(2, 3, 4, 4), tmp_path / "b.png")

    def full_disk(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(FileError, match="No space left"):
        save_image(x, tmp_path / "c.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_eight_bit_rounds_and_clamps():
    x = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 1.5])
    assert to_uint8(x).tolist() == [0, 0, 0, 1, 255, 255]
    assert torch.equal(quantize(quantize(x)), quantize(x))


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda x: (255 * x).byte(), "torch.uint8"),
        (lambda x: (255 * x).long(), "torch.int64"),
        (lambda x: x > 0.5, "torch.bool"),
        (lambda x: 255 * x, r"\[0, 255\]"),
        (lambda x: 2 * x - 1, r"\[-1, 1\]"),
        (lambda x: torch.where(x > 0.9, torch.nan, x), "nan"),
        (lambda x: torch.where(x > 0.9, torch.inf, x), "inf"),
    ],
)
def test_images_of_another_range_or_type_are_refused_everywhere(tmp_path, wrong, words):
    x = wrong(torch.linspace(0, 1, 48).view(1, 3, 4, 4))
    for write in (lambda v: save_image(v, tmp_path / "a.png"), to_pil, to_uint8, quantize):
        with pytest.raises(ImageError, match=words):
            write(x)
    assert list(tmp_path.iterdir()) == []


def test_overshoot_is_clamped(tmp_path):
    edge = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 3, 4, 4)
    sharp = resize(edge, 32, "lanczos")
    assert sharp.min() < -0.05 and sharp.max() > 1.05
    assert torch.equal(load_image(save_image(sharp, tmp_path / "a.png")), quantize(sharp.clamp(0, 1)))


def test_pil_round_trip():
    x = quantize(torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(2)))
    assert torch.equal(images.from_pil(to_pil(x))[0], x)


def test_the_images_of_a_folder(tmp_path):
    """What a Mac leaves on other disks is hidden; whatever else is no image is told of; folders are no images."""
    names = ["b.jfif", "a.PNG", "c.gif", "d.ppm", "notes.txt", "e.heic", "._a.PNG", ".DS_Store"]
    for name in [*names, "sub/f.png", "sub/._f.png", "x.png/g.webp", ".cache/h.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = decoding.list_images(tmp_path)
    assert [p.name for p in found.images] == ["a.PNG", "b.jfif", "c.gif", "d.ppm"] and found.hidden == 3
    assert [p.name for p in found.left_out] == ["e.heic", "loop", "notes.txt", "sub", "x.png"]
    found = decoding.list_images(tmp_path, recursive=True)
    relative = [str(p.relative_to(tmp_path)) for p in found.images]
    assert relative == ["a.PNG", "b.jfif", "c.gif", "d.ppm", "sub/f.png", "x.png/g.webp"] and found.hidden == 4
    assert [p.name for p in found.left_out] == ["e.heic", "loop", "notes.txt"]
    with pytest.raises(ImageError, match="missing: cannot be read"):
        decoding.list_images(tmp_path / "missing")

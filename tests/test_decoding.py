"""Colours become sRGB, whatever profile a file brings; metadata never cost the picture; what is not used is said."""

import io
import os
import struct
import warnings
import zlib
from functools import lru_cache

import numpy as np
import pytest
import torch
from colour_profiles import PRIMARIES, cmyk_profile, grey_profile, in_srgb, rgb_profile, srgb_curve, to_xyz
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from rusr_core.decoding import DecodingWarning, ImageError, decode
from rusr_core.images import load_image, save_image


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("space", ["P3", "Adobe"])
def test_wide_colours_become_srgb(tmp_path, quiet, space, suffix):
    colour = (210, 120, 100)
    path = tmp_path / f"a.{suffix}"
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(suffix, {})
    Image.new("RGB", (16, 16), colour).save(path, icc_profile=rgb_profile(space), **options)
    expected = in_srgb(colour, space)
    assert np.abs(expected - np.array(colour) / 255).max() > 0.04
    found = load_image(path)[0, :, 8, 8].numpy()
    assert np.abs(found - expected).max() < 3 / 255, (found * 255, expected * 255)


def test_transparency_and_palettes_keep_their_place(tmp_path, quiet):
    profile, colour = rgb_profile("P3"), (210, 120, 100)
    picture = Image.new("RGBA", (4, 4), (*colour, 255))
    picture.paste((*colour, 0), (0, 0, 2, 4))
    picture.save(tmp_path / "a.png", icc_profile=profile)
    picture.convert("RGB").quantize(4).save(tmp_path / "p.png", icc_profile=profile)
    x = load_image(tmp_path / "a.png")
    assert x[..., :2].min() == 1 and np.abs(x[0, :, 0, 3].numpy() - in_srgb(colour, "P3")).max() < 3 / 255
    found = load_image(tmp_path / "p.png")[0, :, 0, 3].numpy()
    assert np.abs(found - in_srgb(colour, "P3")).max() < 3 / 255


def test_srgb_stays_as_it_is_to_the_bit(tmp_path, quiet):
    values = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(values).save(tmp_path / "a.png", icc_profile=srgb)
    assert np.array_equal((load_image(tmp_path / "a.png")[0] * 255).round().byte().permute(1, 2, 0).numpy(), values)


@pytest.mark.parametrize("kind", ["L", "I;16", "F"])
def test_grey_profiles(tmp_path, quiet, kind):
    """Gamma 1 is linear light. 16 bit keep steps finer than 8 bit."""
    linear = np.linspace(0.05, 0.95, 64).reshape(8, 8)
    values = {"L": (255 * linear).round().astype(np.uint8), "I;16": (65535 * linear).round().astype(np.uint16)}
    picture = Image.fromarray(values.get(kind, linear.astype(np.float32)))
    assert picture.mode == kind
    picture.save(tmp_path / "a.tif", icc_profile=grey_profile(1.0))
    x = load_image(tmp_path / "a.tif")
    assert np.abs(x[0, 0].numpy() - srgb_curve(linear)).max() < 0.02 and torch.equal(x[:, 0], x[:, 2])
    assert len(x.unique()) == 64


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_by_its_profile(tmp_path, quiet, suffix):
    Image.new("CMYK", (16, 16), (0, 0, 0, 0)).save(tmp_path / f"w.{suffix}", icc_profile=cmyk_profile())
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / f"c.{suffix}", icc_profile=cmyk_profile(), quality=100)
    white, cyan = (load_image(tmp_path / f"{name}.{suffix}")[0, :, 8, 8] for name in "wc")
    assert white.min() > 0.97
    linear = np.where(cyan.numpy() <= 0.04045, cyan.numpy() / 12.92, ((cyan.numpy() + 0.055) / 1.055) ** 2.4)
    assert abs((to_xyz(PRIMARIES["sRGB"]) @ linear)[1] - ((70 + 16) / 116) ** 3) < 0.02  # the luminance of L* = 70
    assert cyan[0] < 0.3 < cyan[1] < cyan[2]


def test_lab_pictures(tmp_path, quiet):
    Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (136, 128, 128)]).save(tmp_path / "a.tif")  # a* = b* = 0
    x = load_image(tmp_path / "a.tif")
    assert x.shape == (1, 3, 8, 8) and abs(float(x.mean()) - 0.499) < 0.01 and float(x.std()) < 0.01  # L* = 53.3


def test_what_is_not_used_is_said(tmp_path):
    picture = Image.new("RGB", (8, 8), (200, 100, 50))
    picture.save(tmp_path / "broken.png", icc_profile=b"not a profile")
    picture.save(tmp_path / "cut.png", icc_profile=rgb_profile("P3")[:200])
    picture.save(tmp_path / "other.png", icc_profile=grey_profile(1.0))
    picture.save(tmp_path / "frames.gif", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}}  # ColorSpace: uncalibrated; InteroperabilityIndex
    picture.save(tmp_path / "camera.jpg", exif=exif)
    chunk = b"gAMA" + struct.pack(">I", 100000)
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    picture.save(tmp_path / "plain.png")
    whole = (tmp_path / "plain.png").read_bytes()
    (tmp_path / "gamma.png").write_bytes(whole[:33] + chunk + whole[33:])
    said = {
        "broken.png": "profile is broken",
        "cut.png": "profile",
        "other.png": "does not fit the picture",
        "frames.gif": "holds 2 pictures; the first is used",
        "camera.jpg": "Adobe RGB",
        "gamma.png": "its gamma, 1, is not used",
    }
    for name, words in said.items():
        with pytest.warns(DecodingWarning, match=f"{name}: .*{words}"):
            x = load_image(tmp_path / name)
        assert torch.allclose(x[0, :, 4, 4], torch.tensor([200, 100, 50]) / 255, atol=0.03), name


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "many"])
def test_long_texts_do_not_cost_the_picture(tmp_path, quiet, kind):
    """A workflow of 3 MB in a text of 3 kB; the rotation, which may be a text, too, is still applied."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    if kind == "iTXt":
        info.add_itxt("workflow", "x" * 3_000_000, zip=True)
    for i in range(70 if kind == "many" else kind == "zTXt"):
        info.add_text(f"t{i}", "x" * (1_000_000 if kind == "many" else 3_000_000), zip=True)
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png", pnginfo=info, icc_profile=rgb_profile("sRGB"))
    assert load_image(tmp_path / "a.png").shape == (1, 3, 6, 4)


def test_a_text_after_the_picture(tmp_path, quiet):
    info = PngImagePlugin.PngInfo()
    info.add_text("late", "x" * 3_000_000, zip=True)
    Image.new("RGB", (4, 4), "white").save(tmp_path / "a.png", pnginfo=info)
    data = (tmp_path / "a.png").read_bytes()
    at = data.index(b"zTXt") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    (tmp_path / "a.png").write_bytes(data[:at] + data[end:-12] + data[at:end] + data[-12:])
    assert load_image(tmp_path / "a.png").min() == 1


def float_tiff(path, channels: int, bits: int) -> None:
    """A TIFF of float samples, written by hand: Pillow writes none of several channels."""
    values = np.zeros((4, 4, channels), {32: np.float32, 64: np.float64}[bits]).tobytes()
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[256] = tags[257] = 4
    tags[258], tags[259], tags[262], tags[277] = (bits,) * channels, 1, 2 if channels == 3 else 1, channels
    tags[278], tags[279], tags[339], tags[273] = 4, len(values), (3,) * channels, 0
    tags[273] = 8 + len(tags.tobytes(8))
    path.write_bytes(b"II*\0\x08\0\0\0" + tags.tobytes(8) + values)


@pytest.mark.parametrize("channels, bits", [(3, 32), (1, 64), (3, 64)])
def test_float_tiffs_are_named_for_what_they_are(tmp_path, channels, bits):
    float_tiff(tmp_path / "a.tif", channels, bits)
    with pytest.raises(ImageError, match=f"a TIFF of {channels} float channels of {bits} bits is not read; expected"):
        decode(tmp_path / "a.tif")


def test_grey_floats_within_the_range_are_read(tmp_path):
    values = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert np.allclose(load_image(tmp_path / "a.tif")[0, 1].numpy(), values)


def test_broken_exif_does_not_cost_the_picture(tmp_path):
    Image.new("RGB", (6, 4), "white").save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\7" * 40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_image(tmp_path / "a.jpg").shape == (1, 3, 4, 6)


def test_what_is_saved_is_read_back_without_a_word(tmp_path, quiet):
    x = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    for suffix in ("png", "jpg", "tif", "webp", "bmp"):
        load_image(save_image(x, tmp_path / f"a.{suffix}"))


def test_formats_that_are_not_read_are_named(tmp_path):
    for mark, words in (
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIF, the format of phones, is not read; save it as PNG or JPEG"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "AVIF is not read"),
        (b"\xff\x0a" + bytes(20), "JPEG XL is not read"),
        (b"\0\0\0\x0cjP  \r\n" + bytes(20), "JPEG 2000 is not read"),
        (b"8BPS" + bytes(20), "a Photoshop file is not read"),
        (b"%PDF-1.7\n", "PDF is not read"),
        (b"a diary", "not an image"),
        (b"", "an empty file"),
    ):
        (tmp_path / "a.png").write_bytes(mark)
        with pytest.raises(ImageError, match=f"a.png: {words}"):
            decode(tmp_path / "a.png")


def test_files_that_cannot_be_opened_are_one_line(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="pipe.png: is no ordinary file"):
        decode(tmp_path / "pipe.png")
    for name in ("x" * 300 + ".png", "a\0b.png"):
        with pytest.raises(ImageError) as error:
            decode(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")

    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied", "a.png")

    monkeypatch.setattr(Image, "open", refused)
    with pytest.raises(ImageError, match=r"a.png: cannot be decoded \(Permission denied\)$"):
        decode(tmp_path / "a.png")


@lru_cache
def files() -> dict[str, bytes]:
    """A small picture in every format, with a profile and EXIF data where the format has a place for them."""
    values = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    extras = {"icc_profile": rgb_profile("P3"), "exif": exif}
    kinds = {"PNG": extras, "JPEG": extras, "WEBP": extras, "TIFF": extras, "BMP": {}, "GIF": {}, "PPM": {}}
    contents = {}
    for kind, options in kinds.items():
        file = io.BytesIO()
        Image.fromarray(values).save(file, kind, **options)
        contents[kind] = file.getvalue()
    return contents


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_images_or_one_line(tmp_path, data):
    content = bytearray(files()[data.draw(st.sampled_from(sorted(files())))])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    (tmp_path / "a.png").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            x = load_image(tmp_path / "a.png")
        except ImageError as error:
            assert "a.png: " in str(error) and "\n" not in str(error)
        else:
            assert x.dim() == 4 and x.shape[1] == 3 and x.min() >= 0 and x.max() <= 1

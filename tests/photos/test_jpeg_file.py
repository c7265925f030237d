"""What a JPEG file says of itself is what was done to it."""

import io
from dataclasses import replace

import pytest
from PIL import ExifTags, Image, ImageOps

from rusr_core.decoding import ImageError
from rusr_core.degradations import JPEG
from rusr_core.degradations.notation import parse
from rusr_core.files import data_path
from rusr_core.images import from_pil, load_image, to_pil
from rusr_core.metrics.scores import psnr
from rusr_core.photos import estimate
from rusr_core.photos.jpeg_file import read_jpeg, turned

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
    assert (found.notation, found.sampling) == ("jpeg:33,grey", "grey")
    assert read_jpeg(tmp_path / "a.jpg").degradation.degrade(load_image(PORTRAIT)).equal(load_image(tmp_path / "a.jpg"))


@pytest.mark.parametrize("mode, sampling", [("RGB", "4:4:4"), ("RGB", "4:2:2"), ("RGB", "4:2:0"), ("L", "grey")])
def test_the_surrogate_that_the_file_names_is_what_made_the_file(tmp_path, mode, sampling):
    """34 dB where 4:4:4 is taken for 4:2:0."""
    clean = Image.open(PORTRAIT).convert(mode)
    clean.save(tmp_path / "clean.png")
    clean.save(tmp_path / "a.jpg", quality=12, **({"subsampling": sampling} if mode == "RGB" else {}))
    f = parse(read_jpeg(tmp_path / "a.jpg").notation)
    assert psnr(f.forward(load_image(tmp_path / "clean.png")), load_image(tmp_path / "a.jpg")) > 50


def table(first: int, down: int, right: int) -> list[int]:
    """Entries that grow with the frequencies, none of libjpeg's."""
    return [min(255, first + down * row + right * column) for row in range(8) for column in range(8)]


CAMERA = (table(3, 2, 4), table(5, 6, 3), table(4, 3, 7))


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}], ids=str)
@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0", "grey"])
def test_tables_of_ones_own_are_exact(tmp_path, num, options, sampling):
    picture = Image.open(PORTRAIT).convert("L" if sampling == "grey" else "RGB")
    num = 1 if sampling == "grey" else num
    chroma = {} if sampling == "grey" else {"subsampling": sampling}
    picture.save(tmp_path / "a.jpg", qtables=CAMERA[:num], **options, **chroma)
    found = read_jpeg(tmp_path / "a.jpg")
    assert found.tables == tuple(sum(CAMERA[:num], [])) and found.sampling == sampling
    assert found.distance > 1 and 40 < found.quality < 95 and "tables of its own" in found.words
    f = parse(found.notation)
    assert f == found.degradation and f.degrade(load_image(PORTRAIT)).equal(load_image(tmp_path / "a.jpg"))


@pytest.mark.parametrize(
    ("factors", "name"),
    [(0x11, "4:4:4"), (0x12, "4:4:0"), (0x41, "4:1:1"), (0x42, "4:1:0"), (0x31, "other")],
)
def test_samplings_that_no_jpeg_of_ours_has_are_named(tmp_path, factors, name):
    """The sampling factors of luma stand in the header: they are written there, the picture is not decoded."""
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", quality=30)
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    start = data.index(b"\xff\xc0") + 10  # SOF0: length, precision, height, width, number; then the first component
    assert data[start : start + 2] == b"\x01\x22"
    data[start + 1] = factors
    (tmp_path / "b.jpg").write_bytes(data)
    found = read_jpeg(tmp_path / "b.jpg")
    assert (found.sampling, found.quality, found.exact) == (name, 30, name == "4:4:4")
    assert found.degradation.sampling == ("4:4:4" if found.exact else "4:2:0") and name in found.words


def test_colours_that_are_no_luma_and_chroma(tmp_path):
    Image.open(PORTRAIT).convert("CMYK").save(tmp_path / "a.jpg", quality=30)
    assert read_jpeg(tmp_path / "a.jpg").sampling == "other"
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "b.jpg", quality=30, keep_rgb=True)
    assert read_jpeg(tmp_path / "b.jpg").sampling == "other"


def test_tables_beyond_8_bit(tmp_path, capfd):
    coarse = tuple(300 + i for i in range(64))
    x = load_image(PORTRAIT)
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", qtables=[list(coarse)])
    found = read_jpeg(tmp_path / "a.jpg")
    assert found.tables == coarse and found.degradation.degrade(x).equal(load_image(tmp_path / "a.jpg"))
    assert psnr(found.degradation.forward(x), found.degradation.degrade(x)) > 40
    assert "too coarse for baseline" in capfd.readouterr().err  # libjpeg says so itself


def test_other_files(tmp_path):
    assert read_jpeg(PORTRAIT) is None
    (tmp_path / "a.jpg").write_text("a diary")
    assert read_jpeg(tmp_path / "a.jpg") is None
    with pytest.raises(ImageError, match="missing.jpg: cannot be read"):
        read_jpeg(tmp_path / "missing.jpg")


def turned_file(path, orientation: int, size=(128, 128), **options):
    """A JPEG file that EXIF turns, and what it shows upright before it was compressed."""
    stored = Image.open(PORTRAIT).convert("RGB").crop((0, 0, *size))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(path, "JPEG", exif=exif, **options)
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    return from_pil(ImageOps.exif_transpose(Image.open(file)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_that_exif_turns(orientation, tmp_path):
    """The estimate is of the upright picture: for a square of whole blocks, f makes what the file shows."""
    clean = turned_file(tmp_path / "a.jpg", orientation, quality=20, subsampling="4:4:4")
    found, shown = read_jpeg(tmp_path / "a.jpg"), load_image(tmp_path / "a.jpg")
    assert (found.quality, found.orientation, found.exact) == (20, orientation, True)
    assert found.on_grid(128, 128) and parse(found.notation) == found.degradation
    assert psnr(found.degradation.degrade(clean), shown) > 50 > psnr(JPEG(20, "4:2:0").degrade(clean), shown)
    if orientation > 4:  # tables of rows and columns: not as the file names them
        assert (
            psnr(JPEG(20, "4:4:4").degrade(clean), shown) < 45 and found.words == "jpeg with quality 20, 4:4:4, lying"
        )


def test_the_grid_of_a_turned_file_and_its_chroma(tmp_path):
    turned_file(tmp_path / "a.jpg", 3, size=(120, 128), quality=50, subsampling="4:2:0")
    found = read_jpeg(tmp_path / "a.jpg")
    assert found.on_grid(128, 128) and not found.on_grid(128, 120) and found.begins_at == (True, True)
    (jpeg, *_) = estimate(tmp_path / "a.jpg").findings
    assert "its blocks begin in another corner" in jpeg.source
    turned_file(tmp_path / "b.jpg", 6, quality=50, subsampling="4:2:2")
    lying = read_jpeg(tmp_path / "b.jpg")
    assert not lying.exact and lying.degradation.sampling == "4:2:0" and lying.begins_at == (True, False)
    for orientation, known in ((1, False), (3, False), (5, True), (6, True), (8, True)):  # half as many rows, lying
        other = replace(lying, sampling="4:4:0", orientation=orientation)
        assert (other.exact, other.degradation.sampling) == (known, "4:2:2" if known else "4:2:0")


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_earlier_compression_is_looked_for_as_the_file_lies(orientation, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    to_pil(JPEG(20).degrade(load_image(PORTRAIT))).save(tmp_path / "a.jpg", quality=60, exif=exif)
    earlier, last = estimate(tmp_path / "a.jpg").stages
    assert last == read_jpeg(tmp_path / "a.jpg").degradation
    assert earlier == (JPEG(20) if orientation == 3 else turned(20, "4:2:0", 6)) and earlier != last


def test_broken_exif_is_upright(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", exif=exif)
    assert read_jpeg(tmp_path / "a.jpg").orientation == 1

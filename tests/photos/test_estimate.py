"""What is estimated of files whose truth is known; the whole measurement is benchmarks/estimates.py."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from rusr_core.decoding import ImageError
from rusr_core.degradations import JPEG, Compose, Downsample, Resize, mask_of, parse
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image, to_pil
from rusr_core.photos import estimate
from rusr_core.photos.casts import find_cast
from rusr_core.photos.earlier import find_earlier
from rusr_core.photos.noise_level import find_noise
from rusr_core.photos.true_size import find_enlarged


def portrait(i: int = 0) -> torch.Tensor:
    return load_image(data_path(f"portraits/test/{i:03d}.png"))


def found(path) -> dict[str, object]:
    return {item.name: item.value for item in estimate(path).findings}


@pytest.fixture
def degraded(tmp_path):
    """`degraded(words, i)` is a PNG of the portrait i after a degradation."""

    def make(words: str, i: int = 0):
        path = tmp_path / "given.png"
        save_image(parse(words).degrade(portrait(i), torch.Generator().manual_seed(i)), path, force=True)
        return path

    return make


@pytest.mark.parametrize("i", [0, 3, 6])
def test_an_undamaged_file_gets_no_damage(i, degraded):
    result = estimate(degraded("identity", i))
    assert result.stages == () and result.notation == "identity" and result.mode is None
    assert all(item.value in (None, 0, "none", (128, 128)) for item in result.findings)
    assert all((item.confidence == 0) == (item.value is None) and item.source for item in result.findings)


@pytest.mark.parametrize("words", ["noise:96,0.04", "noise:24,0.16", "noise:12,0.32"])
def test_photons_and_dead_pixels(words, degraded):
    result, true = found(degraded(words, 2)), parse(words)
    assert result["photons"] == pytest.approx(true.photons, rel=0.2)
    assert result["dead pixels"] == pytest.approx(true.p, abs=0.02)


def test_read_noise(degraded):
    assert found(degraded("readnoise:0.05", 2))["read noise"] == pytest.approx(0.05, rel=0.15)


def test_noise_of_flat_patches_is_that_of_its_formula():
    """Without any texture, 40 brightnesses: variance = mean / photons + sigma^2."""
    rng = np.random.default_rng(0)
    mean = np.repeat(np.linspace(0.15, 0.7, 40), 9).repeat(120).reshape(360, 120)[..., None].repeat(3, 2)
    for photons, sigma in ((60, 0.0), (60, 0.06), (1e9, 0.06)):
        x = np.clip(rng.poisson(mean * photons) / photons + sigma * rng.normal(size=mean.shape), 0, 1)
        level = find_noise((255 * x).round())
        if photons < 1e9:
            assert level.photons == pytest.approx(photons, rel=0.15)
        if sigma:
            assert level.read == pytest.approx(sigma, rel=0.1)
        assert (level.photons is None) == (photons == 1e9) and (level.read is None) == (sigma == 0)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [32, 50])
def test_the_size_before_enlarging_is_exact(mode, size):
    """Enlarged by Pillow itself."""
    small = to_pil(portrait(1)).resize((size, size), Image.Resampling.BICUBIC)
    large = small.resize((128, 128), getattr(Image.Resampling, mode.upper()))
    result = find_enlarged(np.asarray(large))
    assert (result.height, result.width, result.mode) == (size, size, mode) and result.contrast < 0.3


def test_enlarged_pictures_that_are_no_squares_or_large():
    small = to_pil(portrait(1)).crop((0, 10, 128, 110))
    result = find_enlarged(np.asarray(small.resize((384, 300), Image.Resampling.BICUBIC)))
    assert (result.height, result.width, result.mode) == (100, 128, "bicubic")
    for words in ("identity", "blur:2", "noise:24,0.1"):
        pixels = parse(words).degrade(portrait(1), torch.Generator().manual_seed(0))
        assert find_enlarged(255 * pixels[0].permute(1, 2, 0).numpy()) is None


@pytest.mark.parametrize("width", [1.5, 2])
def test_the_width_of_a_blur(width, degraded):
    result = found(degraded(f"blur:{width}", 1))
    assert result["blur"] == pytest.approx(width, rel=0.15) and result["motion"] == 0


def test_a_motion(degraded):
    result = found(degraded("blur:length=16,direction=-60", 1))
    assert result["motion"][0] == pytest.approx(16, abs=0.5) and abs(result["motion"][1] + 60) <= 2
    assert result["blur"] is None


def test_gains_from_the_histograms():
    for gain, offset in ((0.6, 0.05), (0.85, 0.05), (1.3, -0.1)):
        pixels = 255 * parse(f"fade:{gain},{offset}").degrade(portrait(4))[0].permute(1, 2, 0).numpy()
        cast = find_cast(pixels.round().astype(int))
        assert [g for g in cast.gain if g is not None] == pytest.approx([gain] * 3, abs=0.01)
    ramp = np.linspace(0, 255, 96 * 96).reshape(96, 96, 1).repeat(3, 2)  # black and white are there: the offset, too
    ramp = np.floor(0.7 * np.round(ramp) + 25.5 + 0.5).astype(int)
    assert find_cast(ramp).gain == pytest.approx((0.7,) * 3, abs=0.01)
    assert find_cast(ramp).offset == pytest.approx((0.1,) * 3, abs=0.01)


@pytest.mark.parametrize("gamma", [0.7, 1.4, 2.2])
def test_gammas_from_the_histograms(gamma, degraded):
    """A power without a gain; with a gain nothing is stated."""
    result = estimate(degraded(f"fade:1,0,{gamma}", 4))
    (fade,) = result.stages
    assert fade.gain == (1,) * 3 and fade.offset == (0,) * 3 and fade.gamma == pytest.approx((gamma,) * 3, abs=0.005)
    both = found(degraded(f"fade:0.9,0.05,{gamma}", 4))
    assert both["gain"] is both["gamma"] is None
    assert found(degraded("fade:0.6,0.05", 4))["gamma"] == (1, 1, 1)


@pytest.mark.parametrize("first", [9, 30, 75, 88])
def test_an_earlier_compression_of_an_exact_file(first, degraded):
    result = estimate(degraded(f"jpeg:{first},4:2:2", 5))
    assert result.stages == (JPEG(first, "4:2:2"),)


@pytest.mark.parametrize(("first", "last"), [(20, 60), (40, 85), (60, 95)])
def test_an_earlier_compression_of_a_jpeg_file(first, last, tmp_path):
    twice = to_pil(JPEG(first).degrade(portrait(5)))
    twice.save(tmp_path / "twice.jpg", quality=last, subsampling="4:2:0")
    assert estimate(tmp_path / "twice.jpg").stages == (JPEG(first), JPEG(last))
    to_pil(portrait(5)).save(tmp_path / "once.jpg", quality=last)
    assert find_earlier(np.asarray(Image.open(tmp_path / "once.jpg")), last) is None


@pytest.mark.parametrize("first", [15, 45])
def test_an_earlier_compression_too_near_to_the_last_is_unknown(first):
    """The coarsest quality that was looked for once stood for a finer one that was not."""
    for i, more in enumerate((8, 12, 14)):
        file = io.BytesIO()
        to_pil(JPEG(first).degrade(portrait(i))).save(file, "JPEG", quality=first + more)
        assert find_earlier(np.asarray(Image.open(file)), first + more) is None


@pytest.mark.parametrize("slope", [(60, 40), (90, 0), (0, 55), (30, 30)])
def test_a_smooth_slope_was_not_saved_before(slope):
    """All its blocks are alike: one coefficient at one multiple once stood for a whole table."""
    down, across = np.linspace(0, slope[1], 260)[:, None], np.linspace(0, slope[0], 420)
    picture = (90 + down + across)[..., None] + np.array([0, 8, 20])
    assert find_earlier(picture.astype(np.uint8)) is None


def test_holes_by_colour_by_transparency_and_by_a_mask(tmp_path, degraded):
    path = degraded("strokes:5")
    hidden = mask_of(parse("strokes:5"), portrait()) < 0.99
    known = estimate(path).stages[-1].visible
    assert ((known < 0.5) & hidden).sum() >= 0.93 * hidden.sum() and ((known < 0.5) & ~hidden).float().mean() < 0.01
    painted = portrait()
    painted[..., 40:70, 50:90] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    save_image(painted, tmp_path / "painted.png")
    result = estimate(tmp_path / "painted.png")
    assert torch.equal(result.stages[-1].visible[0, 0, 38:72, 48:92], torch.zeros(34, 44))
    assert float((result.stages[-1].visible < 1).sum()) == 34 * 44
    alpha = np.full((128, 128), 255, np.uint8)
    alpha[20:40, 30:60] = 0
    picture = to_pil(portrait()).convert("RGBA")
    picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "alpha.png")
    assert float((estimate(tmp_path / "alpha.png").stages[-1].visible == 0).sum()) == 24 * 34
    save_image(torch.from_numpy(alpha / 255.0).float().expand(1, 3, -1, -1), tmp_path / "mask.png")
    given = estimate(data_path("portraits/test/000.png"), mask=tmp_path / "mask.png")
    assert float((given.stages[-1].visible == 0).sum()) == 20 * 30
    with pytest.raises(ImageError, match="the mask is 128x128 px, the picture 64x64 px"):
        save_image(portrait()[..., :64, :64], tmp_path / "small.png")
        estimate(tmp_path / "small.png", mask=tmp_path / "mask.png")


def test_the_degradation_makes_the_file_of_the_generators_picture(degraded, tmp_path):
    small = estimate(degraded("downsample:4,bicubic"))
    assert str(small.degradation(128)).startswith("downsample:4")
    large = estimate(degraded("resize:32,area | resize:128,bicubic"))
    assert large.degradation(128) == Compose(Downsample(4), Resize((128, 128), "bicubic"))
    assert (
        large.degradation(64).stages[0] == Downsample(2)
        and large.degradation(32).stages == large.degradation(32).stages
    )
    assert large.degradation(48).stages[0] == Resize(32, "bicubic")
    save_image(portrait()[..., :100, :], tmp_path / "wide.png")
    with pytest.raises(ImageError, match="128x100 px is not square"):
        estimate(tmp_path / "wide.png").degradation(128)


def test_the_record_is_plain_and_the_lines_say_unknown(degraded):
    result = estimate(degraded("noise:24,0.16"))
    record = json.loads(json.dumps(result.record()))
    assert record["degradation"] == result.notation and record["findings"]["blur"]["value"] is None
    assert record["findings"]["photons"]["value"] == pytest.approx(24, rel=0.2)
    assert any(line.split()[:2] == ["blur", "unknown"] for line in result.lines())
    assert max(map(len, result.lines())) <= 82


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5), (16, 16), (33, 9)])
def test_tiny_pictures(size, tmp_path):
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    save_image(x, tmp_path / "tiny.png")
    to_pil(x).save(tmp_path / "tiny.jpg")
    for name in ("tiny.png", "tiny.jpg"):
        result = estimate(tmp_path / name)
        assert (result.height, result.width) == size


def test_flat_pictures_and_bad_files(tmp_path):
    for value in (0.0, 0.5, 1.0):
        save_image(torch.full((1, 3, 64, 64), value), tmp_path / "flat.png", force=True)
        assert estimate(tmp_path / "flat.png").notation == "identity"
    (tmp_path / "letter.jpg").write_text("I am no picture.")
    with pytest.raises(ImageError, match="letter.jpg"):
        estimate(tmp_path / "letter.jpg")
    file = io.BytesIO()
    to_pil(portrait()).save(file, "JPEG")
    (tmp_path / "half.jpg").write_bytes(file.getvalue()[:900])
    with pytest.raises(ImageError, match="half.jpg"):
        estimate(tmp_path / "half.jpg")


def test_the_recorded_measurement_keeps_its_promise():
    """Of the numbers of each kind that were stated, less than 2 % are wrong; what stands in a JPEG file never is."""
    with open(data_path("results/estimates/estimates.csv"), encoding="utf-8") as file:
        rows = {
            row["finding"]: {k: float(v or 0) for k, v in row.items() if k != "finding"} for row in csv.DictReader(file)
        }
    everything, jpeg = rows["all"], rows["jpeg"]
    for name, row in rows.items():
        assert row["wrong"] < 0.02 * (1 - row["unknown"]), name
    assert everything["estimates"] > 2000 and everything["wrong"] < 0.02 * (1 - everything["unknown"])
    assert jpeg["wrong"] == 0 == jpeg["unknown"] and jpeg["right_of_damaged"] == 1 and jpeg["damaged"] > 50

"""Masks that go the way of their photograph, JPEG files that say their quality, versions, devices."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest
import torch
from conftest import PORTRAIT, run
from PIL import Image, ImageDraw

import rusr_core
from rusr_core.images import load_image, save_image


def paint(path: Path, size: tuple[int, int], ground: object, hole: object, mode: str = "L") -> Path:
    """A picture of `size` (width, height) with a hole of its middle third."""
    picture = Image.new(mode, size, ground)
    ImageDraw.Draw(picture).rectangle([v // 3 for v in size] + [2 * v // 3 for v in size], fill=hole)
    picture.save(path)
    return path


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photograph of 320 x 240 px with a white hole."""
    picture = Image.open(PORTRAIT).convert("RGB").resize((320, 240))
    ImageDraw.Draw(picture).rectangle((106, 80, 213, 160), fill="white")
    picture.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_mask_goes_the_way_of_its_photograph(tmp_path, photo, searches, fit, capsys):
    mask = paint(tmp_path / "mask.png", (320, 240), 255, 0)
    assert run("restore", photo, tmp_path / "x.png", "--mask", mask, "--fit", fit) == 0
    y, known = searches[0].y, searches[0].f.visible
    assert y.shape == (1, 3, 128, 128) and known.shape == (1, 1, 128, 128)
    assert (y.amin(1, keepdim=True)[known == 1] < 1).float().mean() > 0.9  # the white hole is hidden, with its rim
    assert y[..., 64, 64].min() > 0.99 and known[..., 64, 64] == 0
    assert (fit == "pad") == (float(known[..., 5, 64]) == 0)  # of bars nothing is known
    out, err = capsys.readouterr()
    assert "mask.png: white is known, 11." in out and "warning" not in err


def test_transparency_is_a_mask(tmp_path, photo, searches, capsys):
    erased = Image.open(photo).convert("RGBA")
    erased.putalpha(Image.open(paint(tmp_path / "alpha.png", (320, 240), 255, 0)))
    erased.save(tmp_path / "erased.png")
    words = ("--mask", tmp_path / "erased.png", "--fit", "crop")
    assert run("restore", tmp_path / "erased.png", tmp_path / "x.png", *words) == 0
    assert searches[0].f.visible[..., 64, 64] == 0 and "erased.png: opaque is known" in capsys.readouterr().out


def test_an_inverted_mask(tmp_path, photo, searches, capsys):
    mask = paint(tmp_path / "mask.png", (320, 240), 0, 255)
    assert run("restore", photo, tmp_path / "x.png", "--mask", mask, "--fit", "crop") == 0
    assert "one flat colour wherever the mask shows it" in (err := capsys.readouterr().err) and "--invert-mask" in err
    assert run("restore", photo, tmp_path / "z.png", "--mask", mask, "--fit", "crop", "--invert-mask") == 0
    assert "warning" not in capsys.readouterr().err and searches[1].f.visible[..., 64, 64] == 0
    assert run("restore", photo, tmp_path / "w.png", "--task", "denoising", "--invert-mask") == 2
    assert "--invert-mask needs --mask" in capsys.readouterr().err


@pytest.mark.parametrize("value, words", [(0, "hides everything"), (255, "hides nothing")])
def test_masks_that_hide_all_or_nothing(tmp_path, searches, capsys, value, words):
    mask = paint(tmp_path / "mask.png", (128, 128), value, value)
    assert run("restore", PORTRAIT, tmp_path / "x.png", "--mask", mask) == 0
    assert words in capsys.readouterr().err


def test_what_is_no_mask_or_of_another_size_is_refused(tmp_path, photo, searches, capsys):
    assert run("restore", PORTRAIT, tmp_path / "x.png", "--mask", PORTRAIT) == 2
    assert "coloured" in capsys.readouterr().err
    mask = paint(tmp_path / "mask.png", (64, 64), 255, 0)
    assert run("restore", photo, tmp_path / "x.png", "--mask", mask, "--fit", "crop") == 2
    assert "the mask is 64x64 px, the image 320x240 px" in capsys.readouterr().err and not searches


def test_a_folder_of_masks(tmp_path, searches, capsys):
    given, masks = tmp_path / "in", tmp_path / "masks"
    given.mkdir(), masks.mkdir()
    for name, ground in (("a", 255), ("b", 255), ("c", 255)):
        Image.open(PORTRAIT).save(given / f"{name}.png")
        paint(masks / f"{name}.bmp", (128, 128), ground, 0)
    paint(masks / "b.bmp", (128, 128), 0, 255)
    assert run("restore", given, tmp_path / "out", "--mask", masks) == 0
    (call,) = searches  # one batch, each image with its mask
    assert call.f.visible[:, 0, 64, 64].tolist() == [0, 1, 0] and call.f.visible[:, 0, 0, 0].tolist() == [1, 0, 1]
    (masks / "c.bmp").unlink()
    assert run("restore", given, tmp_path / "out", "--mask", masks, "--force") == 2
    assert "c.png: no mask c in" in capsys.readouterr().err
    assert run("restore", given / "b.png", tmp_path / "b.png", "--mask", masks) == 0
    assert searches[-1].f.visible[0, 0, 64, 64] == 1
    (given / "b.png").rename(given / "c.png")
    for folder in (given, masks):
        (folder / "sub").mkdir()
    Image.open(PORTRAIT).save(given / "sub/c.png")
    paint(masks / "c.png", (128, 128), 255, 0), paint(masks / "sub/c.png", (128, 128), 0, 255)
    assert run("restore", given, tmp_path / "deep", "--mask", masks, "--recursive") == 0
    assert searches[-1].f.visible[:, 0, 64, 64].tolist() == [0, 0, 1]  # a, c, sub/c
    paint(masks / "a.png", (128, 128), 255, 0)
    assert run("restore", given, tmp_path / "deep", "--mask", masks, "--force") == 2
    assert "holds two masks for a" in capsys.readouterr().err


def test_degrade_takes_the_same_masks(tmp_path, photo):
    mask = paint(tmp_path / "mask.png", (320, 240), 0, 255)
    words = ("--mask", mask, "--invert-mask", "--fit", "crop", "--size", 64)
    assert run("degrade", photo, tmp_path / "y.png", *words) == 0
    y = load_image(tmp_path / "y.png")
    assert y.shape[-1] == 64 and y[..., 32, 32].max() == 0 and y[..., 2, 2].max() > 0


@pytest.fixture
def jpegs(tmp_path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, quality in (("a", 40), ("b", 40), ("c", 12)):
        Image.open(PORTRAIT).convert("RGB").save(folder / f"{name}.jpg", quality=quality, subsampling="4:2:0")
    return folder


def test_jpeg_auto_reads_each_file(tmp_path, jpegs, searches, capsys):
    """Files of one quality are restored together; what was read is said."""
    assert run("restore", jpegs, tmp_path / "out", "--degradation", "jpeg:auto") == 0
    assert [(str(call.f), len(call.y)) for call in searches] == [("jpeg:40", 2), ("jpeg:12", 1)]
    out = capsys.readouterr().out
    assert "a.jpg: jpeg:40, read from the file" in out and "c.jpg: jpeg:12, read from the file" in out
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "full.jpg", quality=30, subsampling="4:4:4")
    assert run("restore", tmp_path / "full.jpg", tmp_path / "full.png", "--degradation", "jpeg:auto") == 0
    assert searches[-1].f.sampling == "4:4:4" and "full.jpg: jpeg:30,4:4:4, read" in capsys.readouterr().out
    assert run("restore", tmp_path / "full.jpg", tmp_path / "full2.png", "--degradation", "jpeg:30") == 0
    assert "the file says jpeg:30,4:4:4, and jpeg:30 is assumed" in capsys.readouterr().err
    words = ("--degradation", "noise:24,0.1 | JPEG : auto | strokes:2")
    assert run("restore", jpegs / "c.jpg", tmp_path / "c.png", *words) == 0
    assert str(searches[-1].f).startswith("noise:24,0.1 | jpeg:12 | strokes:2")


def test_jpeg_auto_is_refused_where_the_tables_tell_nothing(tmp_path, jpegs, searches, capsys):
    assert run("restore", PORTRAIT, tmp_path / "x.png", "--degradation", "jpeg:auto") == 2
    assert "000.png: is no JPEG file" in capsys.readouterr().err
    assert run("restore", jpegs / "a.jpg", tmp_path / "x.png", "--degradation", "jpeg:auto | downsample:4") == 2
    assert "jpeg:auto must be the last stage" in capsys.readouterr().err
    Image.open(PORTRAIT).convert("RGB").resize((200, 150)).save(tmp_path / "large.jpg")
    words = ("--degradation", "jpeg:auto", "--fit", "crop")
    assert run("restore", tmp_path / "large.jpg", tmp_path / "x.png", *words) == 2
    assert "large.jpg: 200x150 px; jpeg:auto needs 128x128 px" in capsys.readouterr().err and not searches


def test_a_stated_quality_that_the_file_contradicts(tmp_path, jpegs, searches, capsys):
    for words, odd in (("jpeg:12", ["a.jpg", "b.jpg"]), ("jpeg:40", ["c.jpg"]), ("noise:24,0.1", [])):
        assert run("restore", jpegs, tmp_path / "out", "--degradation", words, "--force") == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if "the file says jpeg" in line]
        assert len(lines) == len(odd) and all(name in line for name, line in zip(odd, lines, strict=True))
        assert all("jpeg:auto takes what the file says" in line for line in lines)


def test_version(capsys, monkeypatch):
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith(f"rusr {rusr_core.__version__} (Python {sys.version.split()[0]}, torch ")
    monkeypatch.setattr(sys, "argv", ["rusr_core", "--version"])
    with pytest.raises(SystemExit) as ended:  # what `python -m rusr_core --version` does
        runpy.run_module("rusr_core", run_name="__main__", alter_sys=True)
    assert ended.value.code == 0 and capsys.readouterr().out.startswith(f"rusr {rusr_core.__version__} ")


@pytest.mark.parametrize("device", ["meta", "warp9", "cuda:99", "mps", ""])
def test_devices_that_cannot_compute_are_one_line(tmp_path, capsys, device):
    assert run("restore", PORTRAIT, tmp_path / "x.png", "--task", "denoising", "--device", device) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and f"device {device!r} is not available" in err


def test_warnings_of_a_file_are_one_line(tmp_path, searches, capsys):
    save_image(torch.zeros(3, 16, 16), tmp_path / "y.png")
    Image.open(tmp_path / "y.png").save(tmp_path / "z.png", icc_profile=b"broken")
    for _ in range(2):
        assert run("restore", tmp_path / "z.png", tmp_path / "x.png", "--task", "upsampling", "--force") == 0
        lines = capsys.readouterr().err.splitlines()
        (line,) = (line for line in lines if "z.png: its colour profile is broken" in line)
        assert line.startswith("rusr: warning: ")


@pytest.mark.parametrize("gpu", [False, True])
def test_all_commands_have_one_default_device(tmp_path, monkeypatch, gpu):
    """`auto`, which is a GPU if there is one; on a cluster, whose machines are not known here, the CPU."""
    from rusr_core.commands import bench, options, restore

    for add in (restore.restore_options, bench.bench_options):
        parser = argparse.ArgumentParser()
        add(parser)
        assert parser.get_default("device") == "auto"
    monkeypatch.setattr(options.torch.cuda, "is_available", lambda: gpu)
    found = []

    def stop(config, *_args, **_options):
        found.append(config.device)
        raise rusr_core.RusrError("stopped by the test")

    monkeypatch.setattr(bench, "run", stop)
    for words in ((), ("--scheduler", "local"), ("--scheduler", "tcp://10.0.0.1:8786"), ("--device", "cpu")):
        assert run("bench", tmp_path / "out", "--num-images", 1, *words) == 2
    assert found == (["cuda", "cuda", "cpu", "cpu"] if gpu else ["cpu"] * 4)


OWN = '''
"""A person's own operators."""
import torch.nn.functional as F


def blur(x):
    return F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, stride=1)


class Noise:
    def forward(self, x, generator=None):
        import torch
        return x + 0.1 * torch.randn(x.shape, generator=generator)
'''


def test_an_operator_of_ones_own(tmp_path, monkeypatch, searches, capsys):
    """MODULE:NAME, from the working directory, alone and as a stage; a file with a comma in its name is quoted."""
    (tmp_path / "own_operators_of_a_test.py").write_text(OWN)
    paint(tmp_path / "my,mask|1.png", (128, 128), 255, 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = "own_operators_of_a_test"
    for name, words in (
        ("a", f"{module}:blur"),
        ("b", f"{module}:blur | jpeg:90 | {module}:Noise"),
        ("c", 'mask:"my,mask|1.png"'),
    ):
        assert run("degrade", PORTRAIT, f"{name}.png", "--degradation", words) == 0, capsys.readouterr().err
        assert run("restore", f"{name}.png", f"{name}{name}.png", "--degradation", words) == 0, capsys.readouterr().err
        assert searches[-1].y.shape == (1, 3, 128, 128)
    a, b, c = (load_image(f"{name}.png") for name in "abc")
    clean = load_image(PORTRAIT)
    assert 0.001 < (a - clean).abs().mean() < 0.1 and (b - a).abs().mean() > 0.03 and c[..., 64, 64].max() == 0
    for words, message in ((f"{module}:sharpen", "sharpen"), ("no_such_module:f", "no_such_module")):
        assert run("degrade", PORTRAIT, "d.png", "--degradation", words) == 2
        assert message in (err := capsys.readouterr().err) and err.count("\n") == 1

"""The commands as a person types them: what they write; bad input is one line, status 2, nothing written."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PORTRAIT, failure, run
from PIL import Image

from rusr_core.checkpoints import load_generator, save_generator
from rusr_core.files import data_path
from rusr_core.images import load_image, read_metadata, save_image
from rusr_core.photos.marks import SOURCE_TYPE
from rusr_core.photos.records import read_record
from rusr_core.restore import restore


@pytest.fixture
def degraded(tmp_path) -> Path:
    assert run("degrade", PORTRAIT, tmp_path / "y.png", "--degradation", "downsample:8,bicubic") == 0
    return tmp_path / "y.png"


def test_degrade_then_restore_a_file(tmp_path, degraded, capsys):
    assert load_image(degraded).shape == (1, 3, 16, 16)
    out = tmp_path / "x.png"
    assert run("restore", degraded, out, "--task", "upsampling", "--steps", 2) == 0
    assert load_image(out).shape == (1, 3, 128, 128)
    assert f"{out}: 6 steps" in capsys.readouterr().out
    first, record = out.read_bytes(), json.loads(out.with_suffix(".json").read_text())
    assert record["steps"] == [6] and record["mark"] == SOURCE_TYPE and read_metadata(out) is not None
    assert read_record(out) == {key: value for key, value in record.items() if key != "seconds"}
    assert "already" in failure(capsys, "restore", degraded, out.with_suffix(".tif"), "--task", "upsampling")
    plain = tmp_path / "plain.png"
    assert run("restore", degraded, plain, "--task", "upsampling", "--steps", 1, "--no-mark") == 0
    assert read_metadata(plain) is None and "--no-mark" in read_record(plain)["mark"]  # from plain.json
    assert run("restore", degraded, out, "--task", "upsampling", "--steps", 2, "--force") == 0
    assert out.read_bytes() == first


def test_a_number_that_is_not_known_is_found_and_told(tmp_path, capsys):
    words = (tmp_path / "x.png", "--degradation", "blur:0.5..4@1", "--steps", 1)
    assert run("restore", PORTRAIT, *words) == 0
    assert re.search(r"x\.png: 3 steps, .* s, blur\.width from 1 to [\d.]+\n", capsys.readouterr().out)
    assert run("degrade", PORTRAIT, tmp_path / "y.png", "--degradation", "blur:0.5..4@1") == 1
    assert "has free numbers: expected a degradation that is known" in capsys.readouterr().err


@pytest.mark.slow
def test_several_answers_lie_beside_the_first(tmp_path, degraded, capsys):
    out, one = tmp_path / "x.png", tmp_path / "one.png"
    words = ("restore", degraded, out, "--task", "upsampling", "--steps", 1)
    assert run(*words, "--samples", 2) == 0
    names = ["x.answer2.png", "x.invented.png", "x.mean.png", "x.png"]
    assert sorted(path.name for path in tmp_path.glob("x*.png")) == names
    printed = capsys.readouterr().out
    assert "x.answer2.png: misfit" in printed and "% of the picture's variance in the prior is left open" in printed
    assert run("restore", degraded, one, "--task", "upsampling", "--steps", 1) == 0
    first, second, mean = (load_image(tmp_path / name) for name in ("x.png", "x.answer2.png", "x.mean.png"))
    assert torch.equal(first, load_image(one)) and not torch.equal(first, second)
    several, single = (json.loads((tmp_path / name).read_text()) for name in ("x.json", "one.json"))
    assert (several["answers"], several["steps"]) == (2, [3, 3]) and (single["answers"], single["steps"]) == (1, [3])
    told = float(re.search(r"x\.png: 3 steps, ([\d.]+) s", printed)[1])
    assert abs(told - several["seconds"]) <= 0.0551  # the same seconds, rounded to 0.1 here and to 0.01 there
    torch.testing.assert_close(mean, (first + second) / 2, atol=1.01 / 255, rtol=0)
    out.unlink()
    out.with_suffix(".json").unlink()
    capsys.readouterr()
    assert "x.answer2.png" in failure(capsys, *words, "--samples", 2)  # nothing is overwritten


@pytest.mark.slow
def test_a_folder_keeps_names_and_equals_single_files(tmp_path):
    clean, given, found = (tmp_path / name for name in ("clean", "given", "found"))
    clean.mkdir()
    for name in ("000", "001", "002"):
        shutil.copy(data_path(f"portraits/test/{name}.png"), clean)
    (clean / "notes.txt").write_text("not an image, left alone")
    words = ("--degradation", "downsample:8 | jpeg:12")
    assert run("degrade", clean, given, *words) == 0
    assert run("restore", given, found, *words, "--steps", 1, "--batch", 2) == 0
    assert sorted(p.name for p in found.glob("*.png")) == ["000.png", "001.png", "002.png"]
    assert run("restore", given / "001.png", tmp_path / "one.png", *words, "--steps", 1) == 0
    together, alone = load_image(found / "001.png"), load_image(tmp_path / "one.png")
    assert (together - alone).abs().max() <= 1 / 255 + 1e-6


def test_seed_fixes_the_strokes_and_the_noise(tmp_path):
    def made(name: str, seed: int) -> bytes:
        run("degrade", PORTRAIT, tmp_path / name, "--task", "NP", "--seed", seed)
        return (tmp_path / name).read_bytes()

    assert made("a.png", 1) == made("b.png", 1) != made("c.png", 2)


def test_a_mask_from_a_file(tmp_path):
    mask = torch.ones(1, 3, 128, 128)
    mask[..., :64] = 0
    save_image(mask, tmp_path / "mask.png")
    assert run("degrade", PORTRAIT, tmp_path / "y.png", "--mask", tmp_path / "mask.png") == 0
    assert torch.equal(load_image(tmp_path / "y.png"), load_image(PORTRAIT) * mask)
    assert run("restore", tmp_path / "y.png", tmp_path / "x.png", "--mask", tmp_path / "mask.png", "--steps", 1) == 0


@pytest.mark.slow
def test_what_stands_in_the_hole_changes_nothing(tmp_path):
    """People paint it black or white, or leave what covers the face."""
    known = torch.ones(1, 3, 128, 128)
    known[..., 50:100, 40:90] = 0
    save_image(known, tmp_path / "mask.png")
    portrait = load_image(PORTRAIT)
    for name, content in (("black", 0.0), ("white", 1.0), ("object", portrait.flip(3))):
        (tmp_path / "in").mkdir(exist_ok=True)
        save_image(portrait * known + content * (1 - known), tmp_path / f"in/{name}.png")
    words = (tmp_path / "in", tmp_path / "out", "--mask", tmp_path / "mask.png", "--steps", 2)
    assert run("restore", *words) == 0
    black, white, other = (load_image(tmp_path / f"out/{name}.png") for name in ("black", "white", "object"))
    assert torch.equal(black, white) and torch.equal(black, other)


def test_other_shapes_only_when_asked(tmp_path, capsys):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "y.png")
    words = ("restore", tmp_path / "y.png", tmp_path / "x.png", "--task", "upsampling", "--steps", 1)
    message = failure(capsys, *words)
    assert "30x20 px" in message and "16x16 px" in message
    assert run(*words, "--fit", "crop") == 0


def test_sizes_that_do_not_fit_name_both(tmp_path, degraded, capsys):
    capsys.readouterr()
    message = failure(capsys, "restore", degraded, tmp_path / "x.png", "--task", "upsampling", "--level", "XL")
    assert "16x16 px" in message and "4x4 px" in message
    assert not (tmp_path / "x.png").exists()


BAD_OPTIONS = {
    "sharpening": ("--task", "sharpening"),
    "XXL": ("--task", "denoising", "--level", "XXL"),
    "not both": ("--task", "denoising", "--degradation", "jpeg:12"),
    "haze": ("--degradation", "haze:3"),
    "quality": ("--degradation", "jpeg:900"),
    "method 'fast': expected one of default, cvpr2023, nothing": ("--task", "denoising", "--method", "fast"),
    "argument --steps: '0': expected a whole number from 1 to 100000": ("--task", "denoising", "--steps", "0"),
    "'warp9' is not available": ("--task", "denoising", "--device", "warp9"),
    "from 1 to 8192 px, got 1000000": ("--degradation", "resize:1000000"),
    "no-such.png": ("--mask", "no-such.png"),
    "no-such.safetensors": ("--task", "denoising", "--prior", "no-such.safetensors"),
}


@pytest.mark.parametrize("words", BAD_OPTIONS)
def test_bad_options(words, tmp_path, capsys):
    assert re.search(words, failure(capsys, "restore", PORTRAIT, tmp_path / "x.png", *BAD_OPTIONS[words]))
    assert list(tmp_path.iterdir()) == []


def test_degrade_needs_a_degradation(tmp_path, capsys):
    """`restore` estimates it where nothing is said."""
    assert "expected either --task" in failure(capsys, "degrade", PORTRAIT, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def bad_files(folder: Path) -> dict[str, Path]:
    whole = PORTRAIT.read_bytes()
    contents = {"truncated": whole[:-900], "text": b"a diary", "empty": b"", "headless": whole[8:]}
    paths = {"missing": folder / "missing.png"}
    for name, content in contents.items():
        paths[name] = folder / f"{name}.png"
        paths[name].write_bytes(content)
    return paths


@pytest.mark.parametrize("command", ["restore", "degrade"])
@pytest.mark.parametrize("kind", ["missing", "truncated", "text", "empty", "headless"])
def test_bad_images(command, kind, tmp_path, capsys):
    path = bad_files(tmp_path)[kind]
    message = failure(capsys, command, path, tmp_path / "x.png", "--task", "denoising")
    assert path.name in message and not (tmp_path / "x.png").exists()


def test_one_bad_image_stops_a_folder_before_it_begins(tmp_path, capsys):
    given = tmp_path / "given"
    given.mkdir()
    shutil.copy(PORTRAIT, given / "a.png")
    (given / "b.png").write_bytes(PORTRAIT.read_bytes()[:-900])
    for command in ("restore", "degrade"):
        assert "b.png" in failure(capsys, command, given, tmp_path / "found", "--task", "denoising")
    assert not (tmp_path / "found").exists()
    (tmp_path / "hollow").mkdir()
    assert "no images" in failure(capsys, "degrade", tmp_path / "hollow", tmp_path / "found", "--task", "denoising")


def test_mask_of_another_size(tmp_path, capsys):
    save_image(torch.ones(1, 3, 64, 64), tmp_path / "mask.png")
    words = ("--mask", tmp_path / "mask.png")
    for command in ("restore", "degrade"):
        message = failure(capsys, command, PORTRAIT, tmp_path / "x.png", *words)
        assert "64x64" in message and "128x128" in message
    assert not (tmp_path / "x.png").exists()


def test_weights_with_one_wrong_byte(tmp_path, capsys):
    path = tmp_path / "bad.safetensors"
    save_generator(load_generator(data_path("portraits/generator.safetensors")), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    message = failure(capsys, "restore", PORTRAIT, tmp_path / "x.png", "--task", "U", "--prior", path)
    assert "bad.safetensors" in message and not (tmp_path / "x.png").exists()


def test_outputs_are_kept_without_force(tmp_path, capsys):
    target = tmp_path / "x.png"
    target.write_bytes(b"precious")
    for command in ("restore", "degrade"):
        assert "exists already" in failure(capsys, command, PORTRAIT, target, "--task", "denoising")
        assert "cannot write .xyz" in failure(capsys, command, PORTRAIT, tmp_path / "a.xyz", "--task", "denoising")
        assert "does not exist" in failure(capsys, command, PORTRAIT, tmp_path / "no/a.png", "--task", "denoising")
    assert target.read_bytes() == b"precious"


def test_interruption_saves_what_there_is(tmp_path, monkeypatch, capsys):
    def interrupted_restore(prior, y, f, *, callback, **options):
        def ctrl_c(step):
            callback(step)
            if step.phase == "W+" and step.step == 1:
                raise KeyboardInterrupt

        return restore(prior, y, f, callback=ctrl_c, **options)

    monkeypatch.setattr("rusr_core.commands.searching.restore", interrupted_restore)
    out = tmp_path / "x.png"
    assert run("restore", PORTRAIT, out, "--task", "denoising", "--steps", 3) == 130
    assert load_image(tmp_path / "x.interrupted.png").shape == (1, 3, 128, 128)
    assert not out.exists()  # only finished images have their name
    assert "5 steps" in (text := capsys.readouterr().out) and "interrupted" in text


def test_a_folder_goes_on_where_it_stopped(tmp_path, capsys):
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    inputs.mkdir()
    for name in ("a.png", "b.gif"):
        Image.open(PORTRAIT).save(inputs / name)
    command = ("degrade", inputs, outputs, "--task", "deartifacting")
    assert run(*command) == 0 and sorted(p.name for p in outputs.iterdir()) == ["a.png", "b.png"]
    before = (outputs / "a.png").stat().st_mtime_ns
    (outputs / "b.png").unlink()
    capsys.readouterr()
    assert "--force" in failure(capsys, *command)
    assert run(*command, "--skip-existing") == 0
    assert (outputs / "b.png").exists() and (outputs / "a.png").stat().st_mtime_ns == before


def test_errors_of_the_system_and_of_seeds_are_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    assert "file" in failure(capsys, "bench", tmp_path / "file", "--num-images", 1)
    for seed in ("-1", 10**23):
        assert "below 2^63" in failure(
            capsys, "degrade", PORTRAIT, tmp_path / "x.png", "--task", "denoising", "--seed", seed
        )


def test_the_seed_places_strokes_that_name_none(tmp_path):
    for name, words in (("a", ("strokes:9", "--seed", 1)), ("b", ("strokes:9,seed=1",)), ("c", ("strokes:9",))):
        assert run("degrade", PORTRAIT, tmp_path / f"{name}.png", "--degradation", *words) == 0
    a, b, c = (load_image(tmp_path / f"{name}.png") for name in "abc")
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_out_of_memory_is_one_line(tmp_path, monkeypatch, capsys):
    def exhausted(*_args, **_options):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("rusr_core.commands.searching.restore", exhausted)
    assert "not enough memory" in failure(capsys, "restore", PORTRAIT, tmp_path / "x.png", "--task", "denoising")

    def defective(*_args, **_options):
        raise RuntimeError("a defect of this program")

    monkeypatch.setattr("rusr_core.commands.searching.restore", defective)
    with pytest.raises(RuntimeError, match="defect"):
        run("restore", PORTRAIT, tmp_path / "x.png", "--task", "denoising")

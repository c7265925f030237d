"""`rusr inspect`, and `rusr restore` without a degradation, which uses the same estimate."""

import json
import shutil
import warnings

import pytest
import torch
from PIL import Image

from rusr_core.commands import main
from rusr_core.commands.estimates import briefly
from rusr_core.commands.output import readable_output
from rusr_core.decoding import DecodingWarning
from rusr_core.degradations import JPEG, Compose, Mask
from rusr_core.errors import RusrWarning
from rusr_core.files import data_path
from rusr_core.photos import estimate

PORTRAIT = data_path("portraits/test/003.png")


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture
def jpeg(tmp_path):
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", quality=30, subsampling="4:4:4")
    return tmp_path / "a.jpg"


def test_a_table_and_json(jpeg, capsys):
    assert run("inspect", jpeg) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("a.jpg: 128x128 px, jpeg:30,sampling=4:4:4")
    assert lines[1].split() == [
        "jpeg",
        "jpeg:30,4:4:4",
        "100",
        "%",
        "the",
        "tables",
        "and",
        "factors",
        "in",
        "the",
        "file",
    ]
    assert any(line.split()[:2] == ["photons", "unknown"] for line in lines)
    assert run("inspect", jpeg, "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["degradation"] == "jpeg:30,sampling=4:4:4" and record["findings"]["jpeg"]["confidence"] == 1


def test_tables_of_its_own_are_said_briefly(tmp_path, capsys):
    """A camera's file once took three lines of numbers; the record has them all."""
    table = [2 + i for i in range(64)]
    Image.open(PORTRAIT).convert("RGB").save(tmp_path / "a.jpg", qtables=[table], subsampling="4:4:4")
    assert run("inspect", tmp_path / "a.jpg") == 0
    head, first, *lines = capsys.readouterr().out.splitlines()
    assert head.endswith("a.jpg: 128x128 px, jpeg:2+3+4+...,sampling=4:4:4")
    assert first.split("100 %")[0].split() == ["jpeg", "tables", "of", "its", "own,", "4:4:4"]
    assert max(map(len, lines)) <= 84
    assert run("inspect", tmp_path / "a.jpg", "--json") == 0
    assert "+".join(map(str, table)) in json.loads(capsys.readouterr().out)[0]["degradation"]
    assert briefly(Compose(JPEG(30), Mask(torch.ones(4, 4)))) == "jpeg:30 | a mask"
    assert briefly("fade:0.85+0.7+0.6,0.1+0.05+0.02") == "fade:0.85+0.7+0.6,0.1+0.05+0.02"


def test_a_file_is_warned_of_once(capsys):
    with readable_output():
        for _ in range(3):
            warnings.warn("a.gif: holds 2 pictures", DecodingWarning, stacklevel=1)
            warnings.warn("another kind", RusrWarning, stacklevel=1)
            warnings.simplefilter("always")  # as a change of filters makes Python forget what it has shown
    lines = capsys.readouterr().err.splitlines()
    assert lines.count("rusr: warning: a.gif: holds 2 pictures") == 1 < lines.count("rusr: warning: another kind")


def test_a_folder_with_a_broken_file(jpeg, capsys):
    shutil.copy(PORTRAIT, jpeg.parent / "b.png")
    (jpeg.parent / "c.png").write_text("a letter")
    assert run("inspect", jpeg.parent, "--json") == 1
    out, err = capsys.readouterr()
    assert [record["degradation"] for record in json.loads(out)] == ["jpeg:30,sampling=4:4:4", "identity"]
    assert "left out:" in err and "c.png" in err


def test_bad_input_is_one_line(tmp_path, capsys):
    assert run("inspect", tmp_path / "nowhere.png") == 2 and run("inspect", tmp_path) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2 and "no such file" in err[0] and "no images in this folder" in err[1]


def test_restore_says_what_it_assumes(jpeg, tmp_path, capsys):
    assert run("restore", jpeg, tmp_path / "out.png", "--steps", "1") == 0
    out = capsys.readouterr().out
    assert "a.jpg: assumed jpeg:30,sampling=4:4:4 (" in out and "unknown: " in out and "blur" in out
    assert Image.open(tmp_path / "out.png").size == (128, 128)


@pytest.mark.slow
def test_files_of_other_sizes_are_restored_at_the_generators(tmp_path, capsys):
    for size, words in ((32, "downsample:4"), (64, "downsample:2"), (192, "resize:192")):
        Image.open(PORTRAIT).convert("RGB").resize((size, size)).save(tmp_path / "in.png")
        assert run("restore", tmp_path / "in.png", tmp_path / "out.png", "--steps", "1", "--force") == 0
        assert f"assumed {words}" in capsys.readouterr().out and Image.open(tmp_path / "out.png").size == (128, 128)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fit", "crop"), "--fit needs --task, --degradation or --mask; resizing and cropping hide"),
        (("--level", "M"), "--level needs --task"),
        (("--invert-mask",), "--invert-mask needs --task, --degradation or --mask"),
    ],
)
def test_options_that_mean_nothing_without_a_degradation(words, message, jpeg, tmp_path, capsys):
    assert run("restore", jpeg, tmp_path / "out.png", *words) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out.png").exists()


def test_what_is_not_square_is_refused(tmp_path, capsys):
    Image.open(PORTRAIT).crop((0, 0, 128, 100)).save(tmp_path / "in.png")
    assert run("restore", tmp_path / "in.png", tmp_path / "out.png") == 2
    assert "128x100 px is not square; expected a picture cropped so" in capsys.readouterr().err


def test_what_is_left_out_of_a_folder_is_named(jpeg, capsys):
    (jpeg.parent / "notes.txt").write_text("text")
    (jpeg.parent / ".hidden.png").write_bytes(b"")
    (jpeg.parent / "more").mkdir()
    assert run("inspect", jpeg.parent) == 0
    err = capsys.readouterr().err
    assert "left out: more/, notes.txt (" in err and "--recursive" in err and "1 hidden file" in err


def test_a_picture_too_large_for_the_memory_costs_no_other(jpeg, monkeypatch, capsys):
    shutil.copy(jpeg, jpeg.with_name("b.jpg"))

    def lacking(path, **options):
        if path == jpeg:
            raise MemoryError
        return estimate(path, **options)

    monkeypatch.setattr("rusr_core.commands.inspect.estimate", lacking)
    assert run("inspect", jpeg.parent) == 1
    out, err = capsys.readouterr()
    assert f"left out: {jpeg}: not enough memory" in err and "b.jpg: 128x128 px" in out
    assert run("inspect", jpeg) == 2

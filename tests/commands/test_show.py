"""`rusr show` and `rusr sheet`: what a picture carries, and before and after side by side."""

import json

import numpy as np
from conftest import run
from picture_folders import UP_S, group
from PIL import Image

from rusr_core.images import load_image


def test_show_and_sheet(tmp_path, searches, capsys):
    given = tmp_path / "in"
    given.mkdir()
    group(given, (30, 20), name="a.png")
    assert run("photo", given, tmp_path / "out", *UP_S) == 0
    capsys.readouterr()
    assert run("show", tmp_path / "out/a.png") == 0
    out = capsys.readouterr().out
    assert "downsample:4" in out and "compositeWithTrainedAlgorithmicMedia" in out and "sha256" in out
    assert run("show", given / "a.png") == 2 and "carries no record" in capsys.readouterr().err
    sheet = tmp_path / "sheet.png"
    assert run("sheet", given, tmp_path / "out", sheet) == 0
    assert load_image(sheet).shape == (1, 3, 288, 536)
    assert run("sheet", given, tmp_path / "out", sheet) == 2 and "exists" in capsys.readouterr().err
    assert run("sheet", tmp_path, tmp_path / "out", tmp_path / "no.png") == 2
    bad = {"format": 1, "estimate": {"noise": 3}, "input": None}
    (given / "a.json").write_text(json.dumps(bad))  # a record may be anybody's
    assert run("show", given / "a.png") == 0 and '{"noise": 3}' in capsys.readouterr().out


def test_a_sheet_shows_what_was_invented(tmp_path, searches, capsys):
    given, out, sheet = tmp_path / "in", tmp_path / "out", tmp_path / "sheet.png"
    given.mkdir()
    group(given, (30, 20), name="a.png")
    assert run("photo", given, out, *UP_S, "--samples", 2) == 0
    group(given, (30, 20), name="b.png")
    assert run("photo", given / "b.png", out / "b.png", *UP_S) == 0
    capsys.readouterr()
    assert run("sheet", given, out, sheet) == 0
    said = capsys.readouterr()
    assert "2 of 2 pictures, before and after, and what was invented" in said.out and said.err == ""
    shown = load_image(sheet)  # two rows, three columns; the second row has no map
    assert shown.shape == (1, 3, 568, 800)
    assert shown[..., 8:264, 536:792].mean() < 0.9 and (shown[..., 288:544, 536:792] == 1).all()


def test_a_sheet_names_what_has_no_partner(tmp_path, capsys):
    given, found = tmp_path / "in", tmp_path / "out"
    for folder, names in ((given, ("a.png", "c.png")), (found, ("a.png", "b.png"))):
        folder.mkdir()
        for name in names:
            group(folder, name=name)
    assert run("sheet", given, found, tmp_path / "sheet.png") == 0
    out, err = capsys.readouterr()
    assert "1 of 2 pictures" in out and f"left out: b.png (no picture of {given} has their name)" in err
    assert f"left out: c.png (no picture of {found} has their name)" in err
    group(given, name="a.bmp")
    assert run("sheet", given, found, tmp_path / "more.png") == 2
    assert "would be one picture of the sheet" in capsys.readouterr().err and not (tmp_path / "more.png").exists()


def test_pictures_that_cannot_be_read_cost_a_sheet_no_other(tmp_path, capsys):
    """Greys of 16 bits are shown as they are."""
    given, found = tmp_path / "in", tmp_path / "out"
    for folder in (given, found):
        folder.mkdir()
        for name in ("a.png", "b.png", "c.png"):
            Image.fromarray(np.full((8, 8), 64 * 257, np.uint16)).save(folder / name)
    (given / "a.png").write_bytes(b"none")
    (found / "c.png").write_bytes(b"none")
    assert run("sheet", given, found, tmp_path / "sheet.png") == 1
    out, err = capsys.readouterr()
    assert "1 of 3 pictures" in out and f"left out: {given / 'a.png'}" in err and f"left out: {found / 'c.png'}" in err
    assert (load_image(tmp_path / "sheet.png")[..., 8:264, 8:264] * 255 - 64).abs().max() < 0.01
    (found / "b.png").write_bytes(b"none")
    assert run("sheet", given, found, tmp_path / "more.png") == 2
    assert "3 of 3 rows cannot be shown" in capsys.readouterr().err and not (tmp_path / "more.png").exists()


def test_all_pictures_without_a_record_are_named(tmp_path, capsys):
    paths = [group(tmp_path, name=f"{name}.png") for name in "ab"]
    assert run("show", *paths) == 2
    err = capsys.readouterr().err
    assert all(f"error: {path}: " in err for path in paths)

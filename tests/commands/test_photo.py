"""Photographs from file to file: faces found, restored, pasted back; bad input is a line each, and costs no other."""

import io
import json

import pytest
import torch
from conftest import PORTRAIT, run
from picture_folders import UP_S, group
from PIL import Image

from rusr_core.commands import jobs
from rusr_core.commands.saving import beside, save
from rusr_core.commands.subjects import Subject
from rusr_core.decoding import MOST_PIXELS
from rusr_core.files import data_path
from rusr_core.images import load_image, read_metadata, save_image, to_uint8
from rusr_core.photos.align import PORTRAITS, corners, quad_of, side_of
from rusr_core.photos.faces import find_faces
from rusr_core.photos.pictures import load_picture


@pytest.mark.slow
def test_both_faces_are_restored_and_the_rest_stays(tmp_path, searches, capsys):
    source, out = group(tmp_path, (30, 20), (140, 290)), tmp_path / "out.png"
    assert run("photo", source, out, *UP_S) == 0
    printed = capsys.readouterr().out
    assert "face 1 of 2" in printed and "face 2 of 2" in printed and "2 faces" in printed
    assert len(searches) == 1 and searches[0].y.shape == (2, 3, 32, 32)
    before, after = load_picture(source), load_picture(out)
    changed = (before != after).any(0)
    record = json.loads(out.with_suffix(".json").read_text())
    assert [face["number"] for face in record["faces"]] == [1, 2] and record["enlarged"] == 1
    allowed = torch.zeros_like(changed)
    for face in record["faces"]:
        low, high = torch.tensor(face["square"]).aminmax(dim=0)
        left, upper, right, lower = *low.floor().int().clamp(0).tolist(), *high.ceil().int().tolist()
        assert changed[upper:lower, left:right].float().mean() > 0.3
        allowed[upper:lower, left:right] = True
    assert not (changed & ~allowed).any()
    assert "compositeWithTrainedAlgorithmicMedia" in read_metadata(out).xmp.decode()


@pytest.mark.slow
def test_one_face_by_its_number_and_resuming(tmp_path, searches, capsys):
    source, out = group(tmp_path, (30, 20), (140, 290)), tmp_path / "out.png"
    assert run("photo", source, out, *UP_S, "--face", 2, "--no-mark") == 0
    assert searches[0].y.shape[0] == 1 and read_metadata(out) is None
    assert [face["number"] for face in json.loads(out.with_suffix(".json").read_text())["faces"]] == [2]
    assert run("photo", source, out, *UP_S) == 2 and "exists already" in capsys.readouterr().err
    assert run("photo", source, out, *UP_S, "--skip-existing") == 0 and len(searches) == 1
    assert run("photo", source, tmp_path / "none.png", *UP_S, "--face", 3) == 2
    assert "no face 3; found 2" in capsys.readouterr().err and not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(("words", "times"), [((), 2), (("--keep-size",), 1)])
def test_a_small_face_is_shown_in_full_unless_the_size_is_kept(tmp_path, searches, words, times):
    source, out = group(tmp_path, (20, 30), side=64, size=(100, 140)), tmp_path / "out.png"
    assert run("photo", source, out, *UP_S, *words) == 0
    assert load_picture(out).shape == (3, 100 * times, 140 * times)


@pytest.mark.slow
def test_bad_pictures_are_named_and_cost_no_other(tmp_path, searches, capsys):
    """No face, a face cut by the border, one pixel, a truncated file and a header of 200 megapixels."""
    given = tmp_path / "in"
    given.mkdir()
    group(given, (30, 20), name="a.png")
    save_image(torch.full((1, 3, 90, 90), 0.5), given / "b.png")
    whole = io.BytesIO()
    Image.open(PORTRAIT).resize((300, 300)).save(whole, "PNG")
    (given / "c.png").write_bytes(whole.getvalue()[:9000])
    Image.new("RGB", (1, 1)).save(given / "d.png")
    cut = Image.new("RGB", (300, 220), (140, 140, 150))
    cut.paste(Image.open(data_path("portraits/test/002.png")).resize((200, 200), Image.Resampling.BICUBIC), (-70, 10))
    cut.save(given / "e.png")
    Image.new("1", (16384, 12288)).save(given / "f.png")
    group(given, (30, 20), name="g.png")
    assert run("photo", given, tmp_path / "out", *UP_S) == 2 and not (tmp_path / "out").exists()
    assert "5 of 7 images cannot be used; --skip-bad" in capsys.readouterr().err and not searches
    assert run("photo", given, tmp_path / "out", *UP_S, "--skip-bad") == 1
    err = capsys.readouterr().err
    reasons = {"b": "no face found", "c": "cannot be decoded", "d": "no face", "e": "cut by the border"}
    for name, reason in (reasons | {"f": str(MOST_PIXELS)}).items():
        (line,) = [line for line in err.splitlines() if f"{name}.png" in line]
        assert "left out" in line and reason in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.json", "a.png", "g.json", "g.png"]


@pytest.mark.slow
def test_align_writes_every_face(tmp_path, capsys):
    source, out = group(tmp_path, (30, 20), (140, 290)), tmp_path / "face.png"
    assert run("align", source, out, "--size", 64) == 0
    assert load_image(out).shape == load_image(beside(out, "face2")).shape == (1, 3, 64, 64)
    quad = quad_of(find_faces(to_uint8(load_image(source)[0]))[0].landmarks, PORTRAITS)
    assert (quad.mean(0) - torch.tensor([84.0, 94]).double()).norm() < 4 or (
        quad.mean(0) - torch.tensor([354.0, 204]).double()
    ).norm() < 4
    assert run("align", source, tmp_path / "x.png", "--face", 9) == 2


def test_an_aligned_picture_needs_no_face(tmp_path, searches):
    source = save_image(torch.full((1, 3, 140, 200), 0.5), tmp_path / "x.png")
    assert run("photo", source, tmp_path / "out.png", *UP_S, "--aligned") == 0
    assert searches[0].y.shape == (1, 3, 32, 32)


def test_without_a_degradation_the_file_says_it(tmp_path, searches, capsys):
    """Small faces are searched at their own size, with the compression of the file; each face by itself."""
    with Image.open(group(tmp_path, (30, 20), (140, 250), side=96)) as picture:
        picture.save(tmp_path / "group.jpg", quality=60, subsampling="4:4:4")
    assert run("photo", tmp_path / "group.jpg", tmp_path / "out.png") == 0
    printed = capsys.readouterr().out
    assert "group.jpg: jpeg:60,4:4:4" in printed and "unknown: saved before, photons" in printed
    record = json.loads((tmp_path / "out.json").read_text())
    assert record["estimate"]["jpeg"]["value"] == "jpeg:60,4:4:4" and len(record["faces"]) == 2
    for face in record["faces"]:
        assert f"face {face['number']}: assumed {face['degradation']}; the blocks" in printed
        size = side_of(torch.tensor(face["square"]))
        assert face["degradation"] == f"resize:{round(size)} | jpeg:60,sampling=4:4:4"
        assert any(search.y.shape == (1, 3, round(size), round(size)) for search in searches)
    assert run("show", tmp_path / "out.png") == 0
    shown = capsys.readouterr().out.splitlines()
    assert "  estimate     jpeg          jpeg:60,4:4:4" in shown and f"{'':15}photons       unknown" in shown


@pytest.mark.slow
def test_a_mask_goes_the_way_of_the_photograph(tmp_path, searches, capsys):
    source, mask = group(tmp_path, (30, 20), (140, 290)), torch.ones(1, 3, 300, 460)
    mask[..., 180:220, 330:380] = 0  # in the second portrait
    save_image(mask, tmp_path / "mask.png")
    assert run("photo", source, tmp_path / "out.png", "--mask", tmp_path / "mask.png", "--degradation", "jpeg:50") == 0
    hidden = [
        float((search.f.stages[-1].visible < 1).float().mean()) for search in searches if len(search.f.stages) > 1
    ]
    assert len(searches) == 2 and len(hidden) == 1
    share = 40 * 50 / 128**2  # and 2 px around
    assert share < hidden[0] < 1.6 * share
    assert run("photo", source, tmp_path / "b.png", "--mask", tmp_path / "mask.png", "--invert-mask") == 0
    assert all("mask" in str(search.f) for search in searches[2:]) and len(searches) == 4
    assert run("photo", source, tmp_path / "c.png", "--mask", PORTRAIT) == 2
    assert run("photo", source, tmp_path / "c.png", "--invert-mask") == 2
    assert "--invert-mask needs --mask" in capsys.readouterr().err and not (tmp_path / "c.png").exists()


@pytest.mark.parametrize("words", [(), ("--degradation", "jpeg:50")])
def test_what_stands_in_a_hole_changes_nothing_of_a_photograph(tmp_path, searches, words):
    """At the square's edge, too, where the photograph leads the colours of what is pasted."""
    known, portrait = torch.ones(1, 3, 128, 128), load_image(PORTRAIT)
    known[..., 30:80, 95:] = 0
    save_image(known, tmp_path / "mask.png")
    for name, content in (("black", 0.0), ("white", 1.0)):
        save_image(portrait * known + content * (1 - known), tmp_path / f"{name}.png")
        options = ("--aligned", "--mask", tmp_path / "mask.png", *words)
        assert run("photo", tmp_path / f"{name}.png", tmp_path / f"{name}.out.png", *options) == 0
    assert torch.equal(searches[0].y, searches[1].y)
    assert torch.equal(load_image(tmp_path / "black.out.png"), load_image(tmp_path / "white.out.png"))


@pytest.mark.slow
def test_several_answers_and_what_was_invented(tmp_path, searches, capsys):
    source, out = group(tmp_path, (30, 20), (140, 290)), tmp_path / "out.png"
    assert run("photo", source, out, *UP_S, "--samples", 3, "--batch", 4) == 0
    assert [search.y.shape[0] for search in searches] == [1, 1]  # three answers to each, four at once
    names = [beside(out, word) for word in ("answer2", "answer3", "mean", "invented")]
    first, second, third, mean, invented = (load_picture(path).int() for path in (out, *names))
    assert len({tuple(picture.flatten().tolist()) for picture in (first, second, third)}) == 3
    middle = (slice(None), slice(60, 130), slice(50, 120))  # of the first face, away from the seam
    assert ((first + second + third)[middle] / 3 - mean[middle]).abs().max() <= 2
    before = load_picture(source).int()
    assert (invented[:, :20] == 0).all() and invented[middle].float().mean() > 2
    assert all((picture[:, :20] == before[:, :20]).all() for picture in (second, mean))
    assert json.loads(out.with_suffix(".json").read_text())["steps"] == [3] * 6
    assert read_metadata(names[0]) is not None and not names[0].with_suffix(".json").exists()
    assert run("photo", source, tmp_path / "x.png", *UP_S, "--samples", 2, "--method", "nothing") == 2
    assert (
        "--samples 2: nothing draws no samples; expected a preset, na_nhmc, ddrm, dps or daps"
        in capsys.readouterr().err
    )


def test_a_format_without_a_place_for_the_mark_says_so(tmp_path, searches, capsys):
    source, out = group(tmp_path, (30, 20)), tmp_path / "out.bmp"
    assert run("photo", source, out, *UP_S) == 0
    assert "out.bmp: .bmp files have no place for the mark" in capsys.readouterr().err
    assert "no place" in json.loads(out.with_suffix(".json").read_text())["mark"]
    assert run("restore", PORTRAIT, out, "--degradation", "identity", "--force", "--no-mark") == 0
    assert "no place" not in capsys.readouterr().err
    assert "--no-mark" in json.loads(out.with_suffix(".json").read_text())["mark"]


@pytest.mark.slow
def test_ten_faces(tmp_path, searches, capsys):
    """All ten are found and restored at once."""
    places = [(10 + 75 * row, 10 + 75 * column) for row in range(2) for column in range(5)]
    source = group(tmp_path, *places, size=(160, 395), side=64)
    assert run("photo", source, tmp_path / "out.png", *UP_S, "--batch", 10, "--keep-size") == 0
    assert len(searches) == 1 and searches[0].y.shape[0] == 10 and "face 10 of 10" in capsys.readouterr().out


@pytest.fixture
def two_faces(monkeypatch):
    """Two squares are found in every picture."""
    quads = [corners(16), corners(16) + 16]
    found = [Subject(number, quad) for number, quad in enumerate(quads, 1)]
    monkeypatch.setattr("rusr_core.commands.align.subjects_of", lambda *_: found)


def test_an_interrupted_alignment_is_resumed_whole(tmp_path, two_faces, monkeypatch):
    """The first face was once saved first: what came after it was left out for ever."""
    source, out = group(tmp_path), tmp_path / "face.png"
    saved = []

    def one(*words):
        if saved:
            raise KeyboardInterrupt
        saved.append(save(*words))
        return saved[0]

    with monkeypatch.context() as patch:
        patch.setattr("rusr_core.commands.align.save", one)
        assert run("align", source, out, "--size", 16) == 130 and len(saved) == 1
    assert run("align", source, out, "--size", 16, "--skip-existing") == 0
    assert out.exists() and beside(out, "face2").exists()


def test_names_beside_a_picture_are_looked_at_before_the_work(tmp_path, two_faces, searches, capsys):
    given = tmp_path / "in"
    given.mkdir()
    group(given, name="a.png")
    group(given, name="a.face2.png")
    assert run("align", given, tmp_path / "out", "--force") == 2
    assert "would both be written to" in capsys.readouterr().err and not (tmp_path / "out").exists()
    (given / "a.face2.png").rename(given / "a.answer2.png")
    for command in ("restore", "photo"):
        words = ("--fit", "crop") if command == "restore" else ("--aligned",)
        assert run(command, given, tmp_path / "out", *UP_S, *words, "--samples", 2, "--force") == 2
        assert "a.answer2.png" in capsys.readouterr().err
    out = tmp_path / "face.png"
    beside(out, "face2").write_bytes(b"somebody's")
    assert run("align", given / "a.png", out) == 2
    assert "exists already" in capsys.readouterr().err and not out.exists() and not searches


@pytest.mark.parametrize("command", ["photo", "align"])
def test_a_photograph_that_vanishes_costs_no_other(command, tmp_path, two_faces, searches, monkeypatch, capsys):
    monkeypatch.setattr("rusr_core.commands.jobs.HELD", 0)  # each is read a second time when its turn has come
    given = tmp_path / "in"
    given.mkdir()
    for name in ("a.png", "b.png"):
        group(given, name=name)
    monkeypatch.setattr(jobs.Inputs, "take", vanishing(jobs.Inputs.take, given / "a.png"))
    words = (*UP_S, "--aligned") if command == "photo" else ("--size", 16)
    assert run(command, given, tmp_path / "out", *words) == 1
    err = capsys.readouterr().err
    assert f"error: {given / 'a.png'}: no such file" in err and (tmp_path / "out/b.png").exists()


def vanishing(take, path):
    """`Inputs.take`, before which a file is gone."""

    def taken(inputs, job):
        path.unlink(missing_ok=True)
        return take(inputs, job)

    return taken

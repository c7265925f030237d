"""A folder as people have it: foreign files, bad ones, long and strange names, two jobs at once. No work is lost."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import PORTRAIT, run
from picture_folders import UP, fill, raising, written
from PIL import Image

from rusr_core.commands import jobs, searching
from rusr_core.images import load_image, save_image
from rusr_core.restore import RestorationError


@pytest.mark.parametrize("command", ["restore", "degrade"])
def test_hidden_files_are_left_out_and_counted(command, tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "a.png")
    (given / "._a.png").write_bytes(b"\0\5\26\7")
    (given / ".DS_Store").write_bytes(b"x")
    words = UP if command == "restore" else ("--degradation", "jpeg:50")
    assert run(command, given, tmp_path / "out", *words) == 0
    assert written(tmp_path / "out") == ["a.png"]
    assert "left out: 2 hidden files" in capsys.readouterr().err


def test_nothing_is_left_out_silently(tmp_path, small, searches, capsys):
    jfif = io.BytesIO()
    Image.open(io.BytesIO(small)).save(jfif, "JPEG")
    given = fill(tmp_path / "in", jfif.getvalue(), "b.jfif", "c.JPG", "d.jpe")
    fill(given, small, "a.png", "e.heic", "notes.txt", "sub/f.png", "x.png/g.png")
    assert run("restore", given, tmp_path / "out", *UP) == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "c.png", "d.png"]
    assert "left out: e.heic, notes.txt, sub/, x.png/ " in (err := capsys.readouterr().err) and "--recursive" in err
    assert run("restore", given, tmp_path / "out", *UP, "--recursive", "--skip-existing") == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "c.png", "d.png", "sub/f.png", "x.png/g.png"]
    out, err = capsys.readouterr()
    assert "left out: e.heic, notes.txt (" in err and "4 of 6 images exist already" in out


def test_an_option_for_folders_is_not_ignored_in_silence(tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "a.png") / "a.png"
    assert run("restore", given, tmp_path / "out.png", *UP, "--recursive") == 0
    assert f"--recursive changes nothing: {given} is a file" in capsys.readouterr().err


def test_results_inside_the_input_folder_are_no_inputs(tmp_path, small, searches):
    given = fill(tmp_path / "in", small, "a.png")
    for _ in range(2):
        assert run("restore", given, given / "out", *UP, "--recursive", "--force") == 0
    assert written(given / "out") == ["a.png"]


@pytest.mark.parametrize("command", ["restore", "degrade"])
def test_links_that_lead_to_no_file_cost_no_other(command, tmp_path, small, searches, capsys):
    """One to itself once ended the whole folder."""
    given = fill(tmp_path / "in", small, "a.png")
    (given / "loop.png").symlink_to("loop.png")
    (given / "lost.png").symlink_to("nowhere.png")
    words = UP if command == "restore" else ("--degradation", "jpeg:50")
    assert run(command, given, tmp_path / "out", *words, "--recursive", "--skip-bad") == 1
    assert written(tmp_path / "out") == ["a.png"]
    err = capsys.readouterr().err
    for name in ("loop", "lost"):
        assert f"{name}.png: is a link that leads to no file" in err


def test_images_that_would_overwrite_each_other(tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "a.png", "a.bmp", "sub/b.png")
    assert run("restore", given, tmp_path / "out", *UP, "--recursive") == 2
    err = capsys.readouterr().err
    assert "a.bmp and" in err and "a.png would both be written to" in err and not searches
    (given / "a.bmp").unlink()
    fill(given, small, "b.png")
    assert run("restore", given, tmp_path / "out", *UP, "--recursive") == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "sub/b.png"]


@pytest.mark.parametrize("command", ["restore", "degrade"])
def test_all_bad_images_are_named_at_once(command, tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "a.png", "c.png", "e.png")
    for name in ("b.png", "d.png"):
        (given / name).write_bytes(small[:-40])
    words = UP if command == "restore" else ("--degradation", "jpeg:50")
    assert run(command, given, tmp_path / "out", *words) == 2
    out, err = capsys.readouterr()
    assert out == "" and "b.png: cannot be decoded" in err and "d.png: cannot be decoded" in err
    assert "2 of 5 images cannot be used; --skip-bad" in err and not (tmp_path / "out").exists()
    assert run(command, given, tmp_path / "out", *words, "--skip-bad") == 1
    assert written(tmp_path / "out") == ["a.png", "c.png", "e.png"]
    assert (err := capsys.readouterr().err).count("left out: ") == 2 and "d.png" in err
    (given / "b.png").unlink(), (given / "d.png").unlink()
    assert run(command, given, tmp_path / "out", *words, "--skip-bad", "--skip-existing") == 0


def test_with_nothing_but_bad_images_nothing_is_done(tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small[:-40], "a.png")
    assert run("restore", given, tmp_path / "out", *UP, "--skip-bad") == 2
    assert "1 of 1 images cannot be used" in capsys.readouterr().err and not searches


@pytest.mark.parametrize("command", ["restore", "degrade", "photo", "align"])
def test_a_resumed_folder_with_only_bad_images_left_has_failed_in_part(command, tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small[:-40], "a.png", "b.png")
    fill(tmp_path / "out", small, "a.png")
    words = {"restore": UP, "degrade": ("--degradation", "jpeg:50"), "photo": UP, "align": ()}[command]
    assert run(command, given, tmp_path / "out", *words, "--skip-bad", "--skip-existing") == 1
    out, err = capsys.readouterr()
    assert "1 of 2 images exist already" in out and "left out: " in err and "b.png" in err and not searches
    assert run(command, given, tmp_path / "out", *words, "--skip-existing") == 2  # nobody asked to go on without


IN_BOTH_ENCODINGS = """import os, sys
from rusr_core.commands import main
assert main(sys.argv[1:]) == 0
print("in ASCII", flush=True)
for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding="ascii", errors="strict")
assert main(sys.argv[1:]) == 0
os.chdir(sys.argv[2])
assert main([*sys.argv[1:-1], "--fit", "crop"]) == 2  # all names are taken"""


@pytest.mark.slow
def test_a_name_that_is_no_text(tmp_path, small):
    """caf\\xe9.png in Latin-1, on a strict UTF-8 terminal, or on one that knows ASCII only."""
    given = fill(tmp_path / "in", small, "zz.png", "\u5b57.png")
    (Path(os.fsdecode(os.fsencode(given) + b"/caf\xe9.png"))).write_bytes(small)
    words = ["degrade", str(given), str(tmp_path / "out"), "--degradation", "jpeg:50", "--force"]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    command = [sys.executable, "-c", IN_BOTH_ENCODINGS, *words]
    done = subprocess.run(command, env=environment, capture_output=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    modern, old = done.stdout.split(b"in ASCII\n")
    for said, ours in ((modern, "\u5b57".encode()), (old, rb"\u5b57")):
        assert b"/caf\xe9.png: 16x16 px" in said and ours + b".png: 16x16 px" in said
    assert len(list((tmp_path / "out").iterdir())) == 3 and b"Traceback" not in done.stderr


def test_the_streams_are_left_as_they_were(capsys):
    before = (sys.stdout.errors, sys.stderr.errors)
    run("--version")
    assert (sys.stdout.errors, sys.stderr.errors) == before


def test_names_with_line_breaks_are_one_line(tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "a\nb.png", "c\x1b[31m.png")
    (given / "d\n.png").write_bytes(b"broken")
    assert run("restore", given, tmp_path / "out", *UP) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run("restore", given, tmp_path / "out", *UP, "--skip-bad") == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 2 and "a\\nb.png: 3 steps" in out and "\x1b" not in out and "d\\n.png" in err
    assert written(tmp_path / "out") == ["a\nb.png", "c\x1b[31m.png"]


@pytest.mark.parametrize("held", [jobs.HELD, 4000])
def test_each_input_is_decoded_once(tmp_path, small, searches, monkeypatch, held):
    """While there is room: what does not fit into memory is decoded again at its turn."""
    given = fill(tmp_path / "in", small, "a.png", "b.png", "c.png")
    decoded = []

    def counted(path, **options):
        decoded.append(path.name)
        return load_image(path, **options)

    monkeypatch.setattr("rusr_core.commands.restore.load_image", counted)
    monkeypatch.setattr(jobs, "HELD", held)
    assert run("restore", given, tmp_path / "out", *UP) == 0
    assert decoded == ["a.png", "b.png", "c.png"] + (["b.png", "c.png"] if held == 4000 else [])
    assert len(searches) == 1 and searches[0].y.shape == (3, 3, 16, 16)


def test_degrade_writes_as_it_goes(tmp_path, small, monkeypatch):
    given = fill(tmp_path / "in", small, "a.png", "b.png")
    from rusr_core.degradations.jpeg import JPEG

    degrade, calls = JPEG.degrade, []

    def counted(self, *args, **options):
        calls.append(written(tmp_path / "out") if (tmp_path / "out").exists() else [])
        return degrade(self, *args, **options)

    monkeypatch.setattr(JPEG, "degrade", counted)
    assert run("degrade", given, tmp_path / "out", "--degradation", "jpeg:50") == 0
    assert calls == [[], ["a.png"]]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")])
def test_out_of_memory_goes_on_one_by_one(tmp_path, small, searches, monkeypatch, capsys, error):
    given = fill(tmp_path / "in", small, "a.png", "b.png", "c.png")
    from rusr_core.commands import searching as module

    search = module.restore

    def needs_memory(prior, y, f, **options):
        if len(y) > 1:
            raise error
        return search(prior, y, f, **options)

    monkeypatch.setattr(module, "restore", needs_memory)
    assert run("restore", given, tmp_path / "out", *UP) == 0
    assert written(tmp_path / "out") == ["a.png", "b.png", "c.png"]
    assert "3 images at once: " in (err := capsys.readouterr().err) and "--batch 1" in err and "a.png" in err
    monkeypatch.setattr(module, "restore", raising(error))
    assert run("restore", given / "a.png", tmp_path / "a.png", *UP) == 2
    assert "a.png: not enough memory" in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
@pytest.mark.parametrize("place", ["fit_image", "degrade"])
def test_an_image_too_large_for_the_memory_costs_no_other(tmp_path, small, monkeypatch, capsys, error, place):
    """Whether it is too large to be read or to be degraded."""
    from rusr_core.commands import degrade as module
    from rusr_core.degradations.jpeg import JPEG

    given = fill(tmp_path / "in", small, "a.png", "c.png")
    save_image(torch.zeros(3, 32, 32), given / "b.png")
    where, name = (module, "fit_image") if place == "fit_image" else (JPEG, "degrade")
    whole = getattr(where, name)

    def needs_memory(*args, **options):
        if any(isinstance(x, torch.Tensor) and x.shape[-1] == 32 for x in args):
            raise error
        return whole(*args, **options)

    monkeypatch.setattr(where, name, needs_memory)
    assert run("degrade", given, tmp_path / "out", "--degradation", "jpeg:50", "--skip-bad") == 1
    assert written(tmp_path / "out") == ["a.png", "c.png"]
    assert "b.png: not enough memory for an image of this size" in capsys.readouterr().err


def test_one_image_that_fails_costs_no_other(tmp_path, small, searches, monkeypatch, capsys):
    given = fill(tmp_path / "in", small, "a.png", "b.png", "c.png")
    save_image(torch.zeros(3, 16, 16), given / "b.png", force=True)
    from rusr_core.commands import searching as module

    search = module.restore

    def diverges(prior, y, f, **options):
        if (y.amax((1, 2, 3)) == 0).any():
            raise RestorationError("image 1: NaN or infinity in the loss")
        return search(prior, y, f, **options)

    monkeypatch.setattr(module, "restore", diverges)
    assert run("restore", given, tmp_path / "out", *UP) == 1
    assert written(tmp_path / "out") == ["a.png", "c.png"]
    assert "error: " in (err := capsys.readouterr().err) and "b.png: image 1: NaN" in err
    assert run("restore", given / "b.png", tmp_path / "b.png", *UP) == 2


def test_with_skip_bad_the_first_search_that_fails_costs_no_other(tmp_path, small, searches, monkeypatch, capsys):
    given = fill(tmp_path / "in", small, "a.png", "b.png")
    search, words = searching.restore, (given, tmp_path / "out", *UP, "--batch", 1)
    failures = [RestorationError("not this one"), None]  # of each search

    def failing(*args, **options):
        if (failure := failures.pop(0)) is not None:
            raise failure
        return search(*args, **options)

    monkeypatch.setattr(searching, "restore", failing)
    assert run("restore", *words) == 2 and "a.png: not this one" in capsys.readouterr().err
    failures[:] = [RestorationError("not this one"), None]
    assert run("restore", *words, "--skip-bad") == 1
    assert "a.png: not this one" in capsys.readouterr().err and written(tmp_path / "out") == ["b.png"]


def test_wide_pictures_are_shrunk_before_they_are_padded(tmp_path, searches):
    Image.new("RGB", (40_000, 1), "white").save(tmp_path / "thin.png")
    assert run("restore", tmp_path / "thin.png", tmp_path / "x.png", *UP, "--fit", "pad") == 0
    assert searches[0].y.shape == (1, 3, 16, 16)


def test_a_picture_of_the_shape_of_the_input_is_not_cut(tmp_path, searches):
    """--fit goes by the shape of what the degradation makes, which need not be square."""
    Image.open(PORTRAIT).resize((96, 128)).save(tmp_path / "y.png")
    words = ("--degradation", "resize:64+48", "--fit", "crop")
    assert run("restore", tmp_path / "y.png", tmp_path / "x.png", *words) == 0
    assert torch.equal(searches[0].y, load_image(tmp_path / "y.png", size=(64, 48)))

"""Where results go: long names, places that cannot be written, two jobs at once. No work is lost."""

import argparse
import json
import threading
import time
from dataclasses import replace

import pytest
from conftest import run
from picture_folders import UP, fill, raising, written

from rusr_core.commands import saving
from rusr_core.files import write_atomic
from rusr_core.images import load_image
from rusr_core.photos.records import Misfit, read_record


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_longest_name(tmp_path, small, searches, monkeypatch, interrupted):
    name = "\u00e9" * 125 + "x.png"  # 255 bytes
    given = fill(tmp_path / "in", small, name)
    if interrupted:
        from rusr_core.commands import searching as module

        search = module.restore

        def stop(*args, **options):
            return replace(search(*args, **options), interrupted=True)

        monkeypatch.setattr("rusr_core.commands.searching.restore", stop)
    assert run("restore", given, tmp_path / "out", *UP) == (130 if interrupted else 0)
    (found,) = written(tmp_path / "out")
    assert found == ("\u00e9" * 119 + ".interrupted.png" if interrupted else name)


def test_names_too_long_are_refused_before_the_search(tmp_path, small, searches, capsys):
    given = fill(tmp_path / "in", small, "x" * 252 + ".gif"[:3])  # no image by its suffix
    fill(given, small, "x" * 251 + ".bmp")
    assert run("restore", given, tmp_path / "out", *UP) == 0
    (tmp_path / "y.png").write_bytes(small)
    assert run("restore", tmp_path / "y.png", tmp_path / ("x" * 252 + ".png"), *UP) == 2
    assert "too long" in capsys.readouterr().err and len(searches) == 1


def test_places_that_cannot_be_written_are_refused_before_the_search(tmp_path, small, searches, monkeypatch, capsys):
    (tmp_path / "y.png").write_bytes(small)
    given = fill(tmp_path / "in", small, "a.png")
    (tmp_path / "file").write_text("no folder")
    for source, target in ((given, tmp_path / "file"), (given, tmp_path / "no/out"), (given, tmp_path / "file/out")):
        assert run("restore", source, target, *UP) == 2
    monkeypatch.setattr("rusr_core.files._open_temporary", raising(OSError(30, "Read-only")))
    for source, target in ((tmp_path / "y.png", tmp_path / "x.png"), (given, tmp_path / "out")):
        assert run("restore", source, target, *UP) == 2
        assert capsys.readouterr().err.endswith("cannot be written (Read-only)\n")
    assert not searches


def test_a_failed_save_costs_no_other_image_and_not_its_own(tmp_path, small, searches, monkeypatch, capsys):
    given = fill(tmp_path / "in", small, "a.png", "b.png", "c.png")
    broken = tmp_path / "out/b.png"

    def fails(path, data, **options):
        if path == broken:
            raise OSError(28, "No space left on device")
        return write_atomic(path, data, **options)

    monkeypatch.setattr(saving, "write_atomic", fails)
    assert run("restore", given, tmp_path / "out", *UP) == 1
    assert written(tmp_path / "out") == ["a.png", "b.2.png", "c.png"]
    assert "No space left on device; this result is " in (err := capsys.readouterr().err) and "b.2.png" in err


def test_where_nothing_can_be_written_the_folder_of_temporary_files_is_left(tmp_path, small, searches, monkeypatch):
    given = fill(tmp_path / "in", small, "a.png")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))

    def fails(path, data, **options):
        if path.parent == tmp_path / "out":
            raise OSError(28, "No space left on device")
        return write_atomic(path, data, **options)

    monkeypatch.setattr(saving, "write_atomic", fails)
    assert run("restore", given, tmp_path / "out", *UP) == 1
    assert written(tmp_path / "tmp") == ["a.2.png"]


def two_at_once(monkeypatch, *jobs) -> list[int]:
    """Two commands `rusr restore` in threads that begin their first image together; -> their exit status, sorted."""
    from rusr_core.commands import restore as command
    from rusr_core.commands import searching as module

    search, together, begun = module.restore, threading.Barrier(2, timeout=20), threading.local()

    def slow(*args, **options):
        if not hasattr(begun, "first"):
            begun.first = together.wait()  # both have begun the same image
        time.sleep(0.02)
        return search(*args, **options)

    monkeypatch.setattr(module, "restore", slow)
    parser = argparse.ArgumentParser()
    command.restore_options(parser)
    status = []

    def job(words: tuple) -> None:
        status.append(command.run_restore(parser.parse_args([str(word) for word in words])))

    threads = [threading.Thread(target=job, args=(words,)) for words in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(status)


@pytest.mark.parametrize("more", [("--skip-existing",), (), ("--samples", 2)])
def test_two_jobs_on_one_folder(tmp_path, small, searches, monkeypatch, capsys, more):
    """Both end well, and share the work: who comes second to the first image goes on from the other end."""
    names = [f"{i:02d}.png" for i in range(12)]
    words = (fill(tmp_path / "in", small, *names), tmp_path / "out", *UP, "--batch", 1, *more)
    assert two_at_once(monkeypatch, words, words) == [0, 0]
    beside = [
        f"{name[:2]}.{word}.png" for name in names for word in ("answer2", "mean", "invented") if "--samples" in more
    ]
    assert written(tmp_path / "out") == sorted(names + beside)
    assert "another process was first; its result is kept" in capsys.readouterr().out
    assert len(searches) <= len(names) + 2  # the first image twice, and perhaps the one where the two meet


@pytest.mark.parametrize("command", ["restore", "photo"])
def test_what_a_killed_run_left_is_kept_by_the_same_work_alone(command, tmp_path, small, searches, capsys):
    """Answers of two runs with other numbers of them, or of other methods, never lie beside one another."""
    given, out = fill(tmp_path / "in", small, "a.png", "b.png"), tmp_path / "out"
    words = (command, given, out, *UP, *(("--aligned",) if command == "photo" else ()))
    assert run(*words, "--samples", 2) == 0
    files = [out / f"b.{word}.png" for word in ("answer2", "mean", "invented")]
    left = [path.read_bytes() for path in files]
    assert {read_record(path)["answers"] for path in [out / "b.png", *files]} == {2}
    for name in ("b.png", "b.json"):  # killed before the first answer was written, the last of all
        (out / name).unlink()
    count = len(searches)
    for other in (("--samples", 3), ("--samples", 2, "--steps", 3), ("--samples", 2, "--seed", 1)):
        capsys.readouterr()
        assert run(*words, *other, "--skip-existing") == 2
        assert "b.answer2.png: exists already; force (--force) overwrites it" in capsys.readouterr().err
    assert [path.read_bytes() for path in files] == left and len(searches) == count and not (out / "b.png").exists()
    assert run(*words, "--samples", 2, "--skip-existing") == 0
    assert [path.read_bytes() for path in files] == left and (out / "b.png").exists()
    (out / "b.png").unlink()
    assert run(*words, "--samples", 3, "--skip-existing", "--force") == 0
    assert {read_record(path)["answers"] for path in [out / "b.png", *files, out / "b.answer3.png"]} == {3}


@pytest.mark.parametrize("other", [("--seed", 1), ("--steps", 3), ("--task", "denoising")])
def test_two_jobs_that_are_not_the_same_lose_nothing(tmp_path, small, searches, monkeypatch, capsys, other):
    """What the other has written is another result: each image is there twice, and who came second says so."""
    names = ["00.png", "01.png", "02.png"]
    words = (fill(tmp_path / "in", small, *names), tmp_path / "out", "--batch", 1, "--fit", "crop")
    first = (*words, *UP)
    changed = (*words, *(UP if other[0] != "--task" else ()), *other)
    assert 1 in two_at_once(monkeypatch, first, changed)
    assert len(searches) == 6 and len(written(tmp_path / "out")) == 6
    assert "appeared meanwhile and is kept; this result is" in capsys.readouterr().err


def test_a_closed_pipe_is_no_failed_save(tmp_path, small, searches, monkeypatch):
    given = fill(tmp_path / "in", small, "a.png", "b.png")
    monkeypatch.setattr(saving, "say", raising(BrokenPipeError(32, "Broken pipe")))
    monkeypatch.setattr("os.dup2", lambda *_args: None)
    assert run("restore", given, tmp_path / "out", *UP, "--batch", 1) == 141
    assert written(tmp_path / "out") == ["a.png"]


def test_what_appears_meanwhile_is_neither_lost_nor_overwritten(tmp_path, small, searches, monkeypatch, capsys):
    (tmp_path / "y.png").write_bytes(small)
    from rusr_core.commands import searching as module

    search = module.restore

    def slow(*args, **options):
        (tmp_path / "x.png").write_bytes(b"precious")
        return search(*args, **options)

    monkeypatch.setattr(module, "restore", slow)
    assert run("restore", tmp_path / "y.png", tmp_path / "x.png", *UP) == 1
    assert (tmp_path / "x.png").read_bytes() == b"precious" and load_image(tmp_path / "x.2.png").shape[-1] == 128
    assert "x.png: appeared meanwhile and is kept; this result is" in capsys.readouterr().err


def test_an_image_that_diverges_has_no_finished_name(tmp_path, small, searches, monkeypatch, capsys):
    """Its last finite state is kept beside; the others of its batch are finished; the resumed folder tries it again."""
    given = fill(tmp_path / "in", small, "a.png", "b.png", "c.png")
    from rusr_core.commands import searching as module

    search = module.restore

    def diverges(*args, **options):
        return replace(search(*args, **options), diverged=[None, "NaN in the loss, phase W+, step 7", None])

    monkeypatch.setattr(module, "restore", diverges)
    assert run("restore", given, tmp_path / "out", *UP) == 1
    assert written(tmp_path / "out") == ["a.png", "b.diverged.png", "c.png"]
    assert "b.png: NaN in the loss, phase W+, step 7" in capsys.readouterr().err
    monkeypatch.setattr(module, "restore", search)
    assert run("restore", given, tmp_path / "out", *UP, "--skip-existing") == 0
    assert "b.png" in written(tmp_path / "out")


@pytest.mark.parametrize("error", [ValueError("mine"), RuntimeError("mine"), MemoryError(), KeyboardInterrupt()])
def test_a_misfit_that_cannot_be_measured_costs_no_result(tmp_path, small, searches, monkeypatch, capsys, error):
    given = fill(tmp_path / "in", small, "a.png", "b.png")
    monkeypatch.setattr("rusr_core.commands.searching.misfits", raising(error))
    interrupted = isinstance(error, KeyboardInterrupt)
    assert run("restore", given, tmp_path / "out", *UP, "--batch", 1) == (130 if interrupted else 0)
    assert written(tmp_path / "out") == (["a.png"] if interrupted else ["a.png", "b.png"])
    assert "was not measured (" in capsys.readouterr().err
    record = json.loads((tmp_path / "out/a.json").read_text())
    assert record["misfit"] == [{"lpips": None, "usual": None}]


def test_an_input_that_vanishes_during_the_search_costs_no_result(tmp_path, small, searches, monkeypatch):
    given = fill(tmp_path / "in", small, "a.png")
    monkeypatch.setattr("rusr_core.commands.searching.misfits", vanishing(given / "a.png"))
    assert run("restore", given, tmp_path / "out", *UP) == 0 and written(tmp_path / "out") == ["a.png"]
    assert json.loads((tmp_path / "out/a.json").read_text())["input"] == {"file": "a.png", "sha256": None}


def vanishing(path):
    """A measurement of misfits, during which a file is taken away."""

    def measured(_prior, image, *_options):
        path.unlink()
        return [Misfit(0.1)] * len(image)

    return measured

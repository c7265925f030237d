"""The listeners of the page of `rusr app`, called as Gradio calls them, without a browser; skipped without Gradio."""

import base64
import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from rusr_core.files import data_path
from rusr_core.images import load_image, save_image

pytest.importorskip("gradio", reason="Gradio is not installed")

from rusr_core.app.page import Page  # noqa: E402

pytestmark = pytest.mark.slow


def test_every_file_is_restored_in_its_turn(embedded, after_jpeg, tmp_path):
    """One that fails costs no other, and what is stopped begins no further one."""
    listeners, request = Page(embedded), SimpleNamespace(session_hash="a")
    paths = [shutil.copy(after_jpeg, tmp_path / f"{k}.png") for k in range(5)]
    Path(paths[3]).write_bytes(b"no picture")
    assert "3.png" in listeners.take(paths, request)[1]
    pictures = listeners.desks["a"].pictures
    pictures["1.png"] = dataclasses.replace(pictures["1.png"], notation="nothing")
    Path(paths[2]).unlink()  # it vanishes
    settings = ("default", 1, 0, 1, request)
    number, words = listeners.queue(request)
    assert words.startswith("Waiting")
    *_, (view, words) = listeners.all(number, "0.png", "jpeg:12", None, *settings)
    assert view.count('class="rusr-save"') == 2 and all(f"<h3>{k}.png</h3>" in view for k in (0, 1, 2, 4))
    assert "nothing" in view and "2.png: 2.png" in view and str(tmp_path) not in view
    assert words.startswith("4.png: done after 3 steps")
    number, _ = listeners.queue(request)
    assert listeners.halt(request) == "No search of this page runs or waits now."
    assert len(list(listeners.all(number, "0.png", "jpeg:12", None, *settings))) == 1, "withdrawn before its turn"
    number, _ = listeners.queue(request)
    assert "done" in list(listeners.one(number, "0.png", "jpeg:12", None, *settings))[-1][1]
    listeners.leave(request)
    assert not any(map(Path.exists, map(Path, paths)))


def test_each_picture_keeps_what_was_painted_and_corrected(embedded, after_jpeg, tmp_path):
    """And a search of all files begins with that, on the one that is shown with what stands there now."""
    listeners, request = Page(embedded), SimpleNamespace(session_hash="a")
    other = save_image(load_image(data_path("portraits/test/003.png")), tmp_path / "other.png")
    choice, _ = listeners.take([after_jpeg, other], request)
    assert choice.value == "other.png"
    *_, canvas = listeners.choose("other.png", None, request)
    hidden = bytes(128 * 64) + bytes([255]) * (128 * 64)
    drawn = canvas | {"painted": base64.b64encode(hidden).decode()}
    _, notation, second = listeners.choose("mine.png", drawn, request)
    assert notation == "jpeg:12" and second["painted"] == ""
    assert listeners.correct("mine.png", "jpeg:13", request)[1] == "Ready."
    assert "number" in listeners.correct("mine.png", "jpeg:x", request)[1]
    searched = []
    listeners.restored = lambda desk, name, one, drawn, settings: searched.append((name, one.notation, drawn)) or []
    number, _ = listeners.queue(request)
    list(listeners.all(number, "mine.png", "jpeg:14", second, "default", 1, 0, 1, request))
    assert searched == [("mine.png", "jpeg:14", second), ("other.png", "identity", drawn)]
    assert listeners.choose("other.png", second, request)[2] == drawn
    assert listeners.choose("mine.png", drawn, request)[1] == "jpeg:13"


def test_equal_files_of_two_tabs_are_one_file_until_both_have_gone(embedded, after_jpeg):
    """Gradio keeps them so. What is taken back is deleted as well, and what comes when its tab has gone."""
    listeners = Page(embedded)
    first, second, late = (SimpleNamespace(session_hash=name) for name in "abc")
    for request in (first, second):
        listeners.take([after_jpeg], request)
    listeners.leave(first)
    assert after_jpeg.exists()
    contents = after_jpeg.read_bytes()
    listeners.take([], second)
    assert not after_jpeg.exists()
    after_jpeg.write_bytes(contents)
    listeners.leave(late)
    listeners.take([after_jpeg], late)
    assert not after_jpeg.exists() and not listeners.desks["c"].files


@pytest.mark.parametrize("settings, words", [
    (("default", 1, None, 1), "mine.png: seed must be a whole number, got an empty field"),
    (("default", 1, -1, 1), "seed"),
    (("default", 0, 0, 1), "steps"),
    (("default", 1, 0, None), "mine.png: answers must be a whole number, got an empty field"),
])  # fmt: skip
def test_settings_that_cannot_be_are_one_line(embedded, after_jpeg, settings, words):
    listeners, request = Page(embedded), SimpleNamespace(session_hash="a")
    listeners.take([after_jpeg], request)
    number, _ = listeners.queue(request)
    ((view, line),) = list(listeners.one(number, "mine.png", "jpeg:12", None, *settings, request))[-1:]
    assert view == "" and words in line and "\n" not in line

"""What the page of `rusr app` does with files, masks and searches; the page itself is not needed for it."""

import base64
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rusr_core.app import desk as desk_module
from rusr_core.app import views
from rusr_core.app.desk import Desk, Shown, known_of, look, searched, task_of
from rusr_core.app.server import OwnPages
from rusr_core.degradations import JPEG, DegradationError
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image
from rusr_core.photos.records import misfits, record_of
from rusr_core.restore import Search

OURS = {b"host": b"127.0.0.1:7860"}
PORTRAIT = data_path("portraits/test/007.png")


def test_what_inspect_finds_is_what_is_searched_first(embedded, tmp_path):
    path = save_image(JPEG(30).degrade(load_image(PORTRAIT)), tmp_path / "damaged.png")
    picture = look(path, embedded)
    assert "jpeg:30" in picture.notation and not picture.fitted
    y, f = task_of(picture, picture.notation, None, embedded, 0)
    assert str(f) == picture.notation and torch.equal(y, load_image(path))


def test_a_picture_of_another_shape_is_fitted_and_said_to_be(embedded, tmp_path):
    wide = torch.rand(1, 3, 60, 90, generator=torch.Generator().manual_seed(0))
    picture = look(save_image(wide, tmp_path / "wide.png"), embedded)
    assert picture.fitted and picture.notation == "identity"
    y, f = task_of(picture, "downsample:4 | jpeg:12", None, embedded, 0)
    assert y.shape == (1, 3, 32, 32) and str(f).startswith("downsample:4")
    with pytest.raises(DegradationError):
        task_of(picture, "jpeg:many", None, embedded, 0)


def drawn(mask: np.ndarray) -> dict[str, object]:
    """The brush's value for a mask `[H, W]` of bytes."""
    return {"width": mask.shape[1], "height": mask.shape[0], "painted": base64.b64encode(mask.tobytes()).decode()}


def test_what_is_painted_is_hidden(embedded, tmp_path):
    picture = look(save_image(load_image(PORTRAIT), tmp_path / "whole.png"), embedded)
    mask = np.full((128, 64), 255, np.uint8)
    mask[10:20, 15] = 254  # a stroke's edge hides its pixel, too
    known = known_of(drawn(mask), (128, 128))
    assert known.shape == (1, 1, 128, 128) and set(known.unique().tolist()) == {0, 1}
    assert known[0, 0, 10:20, 30:32].max() == 0 and float((1 - known).sum()) == 20
    _, f = task_of(picture, "identity", known, embedded, 0)
    assert torch.equal(f.mask((1, 3, 128, 128)), known)
    nothing = drawn(np.full((9, 9), 255, np.uint8))
    assert all(known_of(value, (9, 9)) is None for value in (nothing, {**nothing, "painted": ""}, {}, None))


def test_files_that_are_no_pictures_are_a_line_each(embedded, tmp_path):
    (tmp_path / "text.png").write_bytes(b"not a picture")
    (tmp_path / "half.png").write_bytes(PORTRAIT.read_bytes()[:-200])
    (tmp_path / "good.png").write_bytes(PORTRAIT.read_bytes())
    (tmp_path / "more").mkdir()
    (tmp_path / "more/good.png").write_bytes(PORTRAIT.read_bytes())
    desk = Desk()
    paths = [tmp_path / name for name in ("text.png", "half.png", "good.png", "more/good.png")]
    complaints = desk.take(paths, embedded)
    assert len(complaints) == 2 and all(str(tmp_path) not in line and "\n" not in line for line in complaints)
    assert list(desk.pictures) == ["good.png", "good.png (2)"]
    assert desk.leave() == paths, "what is no picture is deleted, too"
    assert desk.stop.is_set() and desk.closed and not desk.pictures


def test_files_are_looked_at_once_and_can_be_taken_back(embedded, tmp_path, monkeypatch):
    good, half, later = (tmp_path / name for name in ("good.png", "half.png", "later/good.png"))
    later.parent.mkdir()
    for path in (good, later):
        path.write_bytes(PORTRAIT.read_bytes())
    half.write_bytes(PORTRAIT.read_bytes()[:-200])
    seen, desk = [], Desk()
    monkeypatch.setattr(desk_module, "look", lambda path, prior: seen.append(path) or look(path, prior))
    first = desk.take([good, half], embedded)
    desk.painted["good.png"] = {}
    assert len(first) == 1 and desk.take([half, later], embedded) == first, "the complaint stays as long as its file"
    assert seen == [good, half, later] and list(desk.pictures) == ["good.png (2)"] and desk.painted == {}
    assert desk.take([], embedded) == [] and desk.files == desk.pictures == {}


def test_a_tab_that_is_closed_while_its_files_are_looked_at_keeps_none(embedded, tmp_path, monkeypatch):
    desk, paths = Desk(), [tmp_path / f"{k}.png" for k in range(3)]

    def closing(path, prior):
        assert desk.leave() == [path]
        return look(PORTRAIT, prior)

    monkeypatch.setattr(desk_module, "look", closing)
    desk.take(paths, embedded)
    assert desk.files == desk.pictures == {}


def test_searches_wait_in_line_and_are_withdrawn():
    """The newest that was asked for is wanted; after a stop none is, until one is asked for again."""
    desk = Desk()
    first, second = desk.ask(), desk.ask()
    with desk.begun(first) as wanted:
        assert not wanted and not desk.running
    with desk.begun(second) as wanted:
        assert wanted and desk.running and not desk.stop.is_set()
        third = desk.ask()
        assert desk.halt() and desk.stop.is_set()
        fourth = desk.ask()
    assert not desk.running and not desk.halt(), "nothing runs any more"
    fifth = desk.ask()
    for number, expected in ((third, False), (fourth, False), (fifth, True)):
        with desk.begun(number) as wanted:
            assert wanted == expected == (not desk.stop.is_set())
    last = desk.ask()
    desk.leave()
    with desk.begun(last) as wanted:
        assert not wanted


def odd(folder: Path) -> dict[str, torch.Tensor]:
    """Files as cameras and programs write them, with what their upright first picture is, [1, 3, 128, 128]."""
    portrait = Image.open(PORTRAIT).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = portrait.transpose(Image.Transpose.ROTATE_90)
    portrait.quantize().save(folder / "moving.gif", save_all=True, append_images=[turned.quantize()])
    portrait.convert("CMYK").save(folder / "print.jpg", quality=95)
    turned.save(folder / "turned.jpg", exif=exif, quality=95)
    deep = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    portrait.convert("RGBA").save(folder / "clear.png")
    colours, grey = load_image(PORTRAIT), to_tensor(portrait.convert("L").convert("RGB"))
    return {"moving.gif": colours, "print.jpg": colours, "turned.jpg": colours, "deep.png": grey, "clear.png": colours}


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255


def test_odd_pictures_are_upright_first_frames(embedded, tmp_path):
    desk, expected = Desk(), odd(tmp_path)
    lines = desk.take([tmp_path / name for name in expected], embedded)
    assert lines == ["moving.gif: holds 2 pictures; the first is used"] and list(desk.pictures) == list(expected)
    for name, picture in desk.pictures.items():
        y, _ = task_of(picture, "identity", None, embedded, 0)
        assert y.shape == (1, 3, 128, 128) and float((y - expected[name]).abs().mean()) < 0.04, name


def test_a_search_shows_its_way_and_its_outcome_can_be_saved(embedded, tmp_path):
    path = save_image(JPEG(30).degrade(load_image(PORTRAIT)), tmp_path / "<b>damaged.png")
    picture = look(path, embedded)
    y, f = task_of(picture, picture.notation, None, embedded, 0)
    *way, result = searched(embedded, y, f, preset="default@1", seed=0, samples=1, stop=threading.Event())
    assert isinstance(result, Search) and way and all(isinstance(step, Shown) for step in way)
    found = misfits(embedded, result.image, y, f, 0)
    options = {"method": result.method, "seed": 0, "steps": result.steps, "seconds": 1.0, "found": found}
    html = views.outcome(picture.name, y, result, record_of(path, f, embedded, unmarked="", **options))
    assert 'download="&lt;b&gt;damaged-restored.png"' in html and "<b>" not in html
    assert "W+" in views.progress(y, way[-1], [("W", way[0].image)]) or len(way) == 1
    assert "jpeg" in views.findings(picture).lower()


def test_a_stopped_search_gives_what_there_is_and_errors_come_through(embedded):
    y, stop = load_image(PORTRAIT), threading.Event()
    stop.set()
    *_, result = searched(embedded, y, JPEG(30), preset="default@50", seed=0, samples=1, stop=stop)
    assert result.interrupted and result.steps == [1]
    with pytest.raises(Exception, match="seed"):
        list(searched(embedded, y, JPEG(30), preset="default@1", seed=-1, samples=1, stop=threading.Event()))


@pytest.mark.parametrize("headers, status", [
    ({b"host": b"127.0.0.1:7860"}, 200),
    ({b"host": b"localhost:7860", b"origin": b"http://localhost:7860"}, 200),
    ({b"host": b"evil.example:7860"}, 403),
    ({b"host": b"127.0.0.1:7860", b"origin": b"http://evil.example"}, 403),
    ({b"host": b"127.0.0.1:7860", b"origin": b"http://127.0.0.1:1"}, 403),
    ({}, 403),
    (OURS | {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors", b"sec-fetch-dest": b"image"}, 403),
    (OURS | {b"sec-fetch-site": b"same-site", b"sec-fetch-mode": b"navigate", b"sec-fetch-dest": b"iframe"}, 403),
    (OURS | {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"navigate", b"sec-fetch-dest": b"document"}, 200),
    (OURS | {b"sec-fetch-site": b"same-origin", b"sec-fetch-mode": b"cors", b"sec-fetch-dest": b"empty"}, 200),
])  # fmt: skip
def test_other_hosts_are_refused(headers, status):
    """DNS rebinding, and the pages of others in the same browser, but for a link to the page."""
    sent = []

    async def app(scope, receive, send):
        await send({"status": 200})

    async def send(message):
        sent.append(message)

    call = OwnPages(app)({"type": "http", "headers": list(headers.items())}, None, send)
    with pytest.raises(StopIteration):
        call.send(None)
    assert sent[0]["status"] == status

"""Results: short to print, whole when they come back from a folder, never half-written."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from rusr_core import load_image, presets
from rusr_core.degradations import Compose, Downsample
from rusr_core.files import FileError, FileExistsAlreadyError
from rusr_core.restore import restore
from rusr_core.results import Restoration, ResultError, Search


@pytest.fixture(scope="module")
def search(prior, truth) -> Search:
    preset = dataclasses.replace(presets.get("default"), patience=1).shortened(3)
    return restore(prior, truth[:2], Compose(Downsample(1, "bilinear")), preset=preset, seed=4)


def other(**changes) -> Restoration:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return Restoration(image, 1.5, [7], 0, "ddrm", **changes)


def test_a_result_prints_as_one_line(search):
    text = repr(search)
    assert len(text) < 160 and "\n" not in text and text.startswith("Search(2 images of 32x32 px, method='default@3'")
    assert repr(other(interrupted=True)) == (
        "Restoration(1 image of 8x8 px, method='ddrm', seed=0, steps=[7], 1.5 s, interrupted)"
    )
    assert len(repr(search.phases[0])) < 80


def test_a_search_knows_all_its_phases(search):
    assert torch.equal(search.latents, search.phases[-1].latents) and torch.equal(search.image, search.phases[-1].image)
    assert search.history["total"].shape == (sum(max(phase.steps) for phase in search.phases), 2)
    assert torch.equal(search.history["total"][0], search.phases[0].history["total"][0])
    assert search.steps == [sum(phase.steps[i] for phase in search.phases) for i in range(2)]
    assert search.method == search.preset.name == "default@3" and search.preset.patience == 1
    assert search.terms == {"lpips": 1.0, "l1": 0.1, "identity": 0.1} and search.diverged == [None, None]
    assert search.info["prior"] == "random" and search.info["degradation"] == "downsample:1,filter=bilinear"
    json.dumps(search.info)


def test_a_search_comes_back_whole(search, tmp_path):
    folder = search.save(tmp_path / "kept")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["000.png", "001.png", "record.json", "tensors.safetensors"]
    again = Restoration.load(folder)
    assert isinstance(again, Search) and repr(again) == repr(search)
    for name in ("seed", "steps", "method", "info", "terms", "diverged", "preset", "seconds", "interrupted", "oracle"):
        assert getattr(again, name) == getattr(search, name), name
    assert torch.equal(again.image, search.image)
    for a, b in zip(again.phases, search.phases, strict=True):
        assert (a.space, a.steps) == (b.space, b.steps)
        assert torch.equal(a.latents, b.latents) and torch.equal(a.image, b.image)
        assert all(torch.equal(a.history[k].nan_to_num(), v.nan_to_num()) for k, v in b.history.items())
    torch.testing.assert_close(load_image(folder / "001.png"), search.image[1:], atol=0.5 / 255 + 1e-6, rtol=0)
    record = json.loads((folder / "record.json").read_text())
    assert record["preset"]["phases"][0] == {"space": "W", "lr": search.preset.phases[0].lr, "steps": 3}
    assert Search.load(folder).seed == 4


def test_any_methods_result_comes_back(tmp_path):
    result = other(info={"sigma": 0.1}, oracle=True)
    again = Restoration.load(result.save(tmp_path / "kept"))
    assert type(again) is Restoration and torch.equal(again.image, result.image)
    assert again.info == {"sigma": 0.1} and again.oracle
    with pytest.raises(ResultError, match="holds a Restoration: expected a Search"):
        Search.load(tmp_path / "kept")


def test_an_existing_folder_is_only_replaced_by_force_and_if_it_is_a_result(tmp_path):
    folder = other().save(tmp_path / "kept")
    with pytest.raises(FileExistsAlreadyError, match="exists already"):
        other().save(folder)
    assert Restoration.load(other(info={"n": 2}).save(folder, force=True)).info == {"n": 2}
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").write_text("words")
    with pytest.raises(FileExistsAlreadyError, match="holds a result"):
        other().save(tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis/chapter").read_text() == "words"


def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ResultError, match="info of the result is not plain JSON"):
        other(info={"t": torch.zeros(1)}).save(tmp_path / "a")
    with pytest.raises(FileError, match="nowhere/b: cannot be written"):
        other().save(tmp_path / "nowhere/b")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rusr_core.results.restoration.write_atomic", full)
    with pytest.raises(FileError, match="c: cannot be written .No space left"):
        other().save(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_was_there_comes_back_when_its_successor_cannot_take_its_place(tmp_path, monkeypatch, failure):
    folder = other(info={"n": 1}).save(tmp_path / "kept")
    rename = type(folder).rename

    def failing(path, target):
        if path.name == "new":
            raise failure
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", failing)
    with pytest.raises(FileError if isinstance(failure, OSError) else KeyboardInterrupt):
        other(info={"n": 2}).save(folder, force=True)
    assert Restoration.load(folder).info == {"n": 1} and list(tmp_path.iterdir()) == [folder]


def test_a_name_that_no_folder_can_have(tmp_path):
    with pytest.raises(FileError, match="cannot be written .File name too long"):
        other().save(tmp_path / ("x" * 300))


def test_what_is_no_result(tmp_path):
    with pytest.raises(ResultError, match="no result of a restoration"):
        Restoration.load(tmp_path)
    folder = other().save(tmp_path / "kept")
    (folder / "record.json").write_text('{"format": 99}')
    with pytest.raises(ResultError, match="of format 1"):
        Restoration.load(folder)
    (folder / "record.json").write_text('{"format": 1, "kind": ["Restoration"]}')
    with pytest.raises(ResultError, match="of format 1"):
        Restoration.load(folder)
    (folder / "record.json").write_text('{"format": 1, "kind": "Restoration"}')
    with pytest.raises(ResultError, match="lack 'seconds'"):
        Restoration.load(folder)
    (folder / "tensors.safetensors").write_bytes(b"x")
    with pytest.raises(ResultError, match="no result"):
        Restoration.load(folder)


def test_images_that_share_memory_come_back(tmp_path):
    """Of one that is drawn, the mean is itself: safetensors refuses to write the two."""
    drawn = torch.rand(1, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    result = Restoration(drawn[:, 0], 1.0, [1], 0, "mine", drawn=drawn)
    again = Restoration.load(result.save(tmp_path / "kept"))
    assert torch.equal(again.drawn, drawn) and torch.equal(again.image, drawn[:, 0])


def test_info_that_holds_itself_is_refused(tmp_path):
    info = {}
    info["info"] = info
    with pytest.raises(ResultError, match="not plain JSON: Circular"):
        other(info=info).save(tmp_path / "kept")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", [{}, {"phases": [{"space": "Q", "lr": 1, "steps": 1}]}])
def test_a_record_without_its_preset_is_no_result(search, preset, tmp_path):
    folder = search.save(tmp_path / "kept")
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps(record | {"preset": preset}))
    with pytest.raises(ResultError, match="record.json: "):
        Search.load(folder)


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("steps", "x", "whole numbers"),
        ("steps", [1.5], "whole numbers"),
        ("seed", None, "a whole number"),
        ("terms", None, "weights by name"),
        ("phases", [], "a phase or more"),
        ("oracle", 1, "true or false"),
    ],
)
def test_an_edited_record_is_no_result(search, name, value, words, tmp_path):
    record = search.save(tmp_path / "kept") / "record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {name: value}))
    with pytest.raises(ResultError, match=f"{name} of a result is .*: expected {words}"):
        Restoration.load(tmp_path / "kept")


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            {"image": torch.zeros(3, 8, 8)},
            r"image .*\[3, 8, 8\] torch.float32: expected .* \[any, 3, any, any\]",
        ),
        ({"image": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "image of a result is .* torch.uint8: expected real"),
        ({"image": None}, "image of a result is NoneType"),
        ({"image": torch.zeros(0, 3, 8, 8)}, r"image of a result is \[0, 3, 8, 8\]"),
        ({"image": torch.zeros(2, 3, 8, 8)}, r"steps of a result is \[7\]: expected a list of 2, one for each image"),
        ({"steps": 7}, "steps of a result is 7: expected a list of 1"),
        ({"steps": ["many"]}, "steps of a result is .'many'.: expected whole numbers"),
        ({"oracle": None}, "oracle of a result is None: expected true or false"),
        ({"info": None}, "info of a result is None: expected an object"),
        ({"seconds": "2"}, "seconds of a result is '2': expected a number"),
        ({"method": None}, "method of a result is None: expected a name"),
        ({"drawn": torch.zeros(1, 3, 8, 8)}, r"drawn .*\[1, 3, 8, 8\] .*: expected real numbers \[1, any, 3, 8, 8\]"),
        ({"drawn": torch.zeros(1, 5, 3, 4, 4)}, r"drawn of a result is \[1, 5, 3, 4, 4\]"),
    ],
)
def test_parts_of_a_result_fit_together(changes, words):
    with pytest.raises(ResultError, match=words):
        dataclasses.replace(other(), **changes)


def test_parts_of_a_search_fit_together(search, prior):
    (*_, last), image = search.phases, search.image
    for changes, words in (
        ({"latents": last.latents[:1]}, r"the latents of a phase .*: expected real numbers \[2, "),
        ({"latents": torch.zeros(2)}, r"the latents of a phase .*: expected real numbers \[2, any\]"),
        ({"steps": [1]}, "the steps of a phase of a result is .1.: expected a list of 2"),
        ({"history": {"total": torch.zeros(3, 1)}}, r"the total of a phase .*: expected real numbers \[any, 2\]"),
    ):
        with pytest.raises(ResultError, match=words):
            dataclasses.replace(last, **changes)
    with pytest.raises(ResultError, match="diverged of a result is .None.: expected a list of 2"):
        dataclasses.replace(search, diverged=[None])
    with pytest.raises(ResultError, match="phases of a result is .*: expected a phase or more"):
        dataclasses.replace(search, phases=())
    with pytest.raises(ResultError, match=r"the image of a phase .*: expected real numbers \[1, 3, 32, 32\]"):
        dataclasses.replace(search, image=image[:1], steps=search.steps[:1], diverged=[None])


def test_edited_tensors_are_no_result(search, tmp_path):
    file = search.save(tmp_path / "kept") / "tensors.safetensors"
    kept = load_file(file)
    for name, value in (("image", kept["image"][:1]), ("phases/0/latents", torch.zeros(3)), ("phases/1/image", None)):
        save_file({k: v for k, v in (kept | {name: value}).items() if v is not None}, file)
        with pytest.raises(ResultError, match="kept: "):
            Restoration.load(tmp_path / "kept")
    save_file(kept, file)
    assert torch.equal(Restoration.load(tmp_path / "kept").image, search.image)

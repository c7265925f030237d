"""A sweep's folder: whole files or none, damaged ones made again, other configurations refused, quick starts."""

import errno
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import random_generator
from PIL import Image, PngImagePlugin
from sweep_world import contents, plan, presets_of, results_in

from rusr_core.checkpoints import load_portrait_net, save_generator
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image
from rusr_core.sweeps import Method, results, run, stamps
from rusr_core.sweeps import config as sweep_config
from rusr_core.sweeps.claims import StorageError
from rusr_core.sweeps.config import BenchmarkError
from rusr_core.sweeps.prepare import remaining
from rusr_core.sweeps.storage import (
    NOT_APPLICABLE,
    differences,
    manifest,
    not_applicable,
    read_head,
    read_record,
    write_result,
)


def test_damaged_results_are_done_again(config):
    run(config, plan())
    before = contents(config.folder)
    files = results_in(config.folder)
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[: len(whole) // 2])
    files[1].write_bytes(b"")
    flipped = bytearray(files[2].read_bytes())
    flipped[len(flipped) // 2] ^= 1
    files[2].write_bytes(bytes(flipped))
    files[3].write_bytes(whole + b"more")
    (config.folder / "measurements/N-M/000_0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert [read_record(path) for path in files[:4]] == [None] * 4
    assert run(config, plan()).before == 4
    assert contents(config.folder) == before


@pytest.fixture
def read_files(monkeypatch):
    """The names of the PNG files that are opened."""
    seen, genuine = [], Path.read_bytes

    def read_bytes(path):
        seen.append(path.name)
        return genuine(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return seen


def test_a_start_opens_only_what_has_changed(config, read_files):
    run(config, plan())
    files = results_in(config.folder)
    read_files.clear()
    rows = results.rows(config.folder)
    assert remaining(config.folder, plan()) == [] and len(rows) == 8 and read_files == []
    os.utime(files[0])  # copied without its times: read whole, once
    assert remaining(config.folder, plan()) == [] and read_files == [files[0].name]
    read_files.clear()
    assert remaining(config.folder, plan()) == [] and read_files == []
    (config.folder / stamps.STAMPS).unlink()
    assert results.rows(config.folder) == rows, "the same from whole files"
    read_files.clear()
    assert remaining(config.folder, plan()) == [] and len(read_files) == 8
    read_files.clear()
    assert remaining(config.folder, plan()) == [] and read_files == []


def test_verify_notices_what_size_and_time_do_not_show(config):
    run(config, plan(1))
    path = results_in(config.folder)[0]
    before, flipped = path.stat(), bytearray(path.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    path.write_bytes(bytes(flipped))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert remaining(config.folder, plan(1)) == []
    assert len(remaining(config.folder, plan(1), verify=True)) == 1
    assert run(config, plan(1), verify=True).before == 3 and read_record(path) is not None


def test_a_line_of_stamps_that_was_cut_off_costs_one_reading(config, read_files):
    run(config, plan(1))
    path = config.folder / stamps.STAMPS
    path.write_text(path.read_text()[:-20] + "\x00\n" + "[" * 100_000)
    assert remaining(config.folder, plan(1)) == []
    read_files.clear()
    assert remaining(config.folder, plan(1)) == [] and read_files == []


def test_clean_images_are_read_once(config, read_files):
    run(config, plan(1))
    read_files.clear()
    run(config, plan(1))
    assert "000.png" not in read_files
    image = config.images / "000.png"
    data = image.read_bytes()
    try:
        image.write_bytes(data + b" ")
        with pytest.raises(StorageError, match=r"images\.000 was"):
            run(config, plan(1))
    finally:
        image.write_bytes(data)


CHANGES = {
    "steps": (lambda s: replace(s, methods=presets_of(2)), r"methods\.cvpr2023\.name was .*@1., is now .*@2."),
    "prior": (lambda s: replace(s, prior=s.prior.replace("prior.", "other.")), r"prior\.generator was"),
    "judge": (lambda s: replace(s, judge=None), r"judge\.perceptual was"),
    "image": (lambda s: replace(s, images=s.images.parent / "changed"), r"images\.000 was"),
    "arithmetic": (lambda s: replace(s, arithmetic="fast"), 'arithmetic was "exact", is now "fast"'),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_refuse_to_mix(change, config, world, monkeypatch):
    G = random_generator(1)
    save_generator(G, world / "other.safetensors", {"name": "prior", "w_std": "12.0"})
    (world / "changed").mkdir(exist_ok=True)
    image = load_image(world / "images" / "000.png")
    save_image(1 - image, world / "changed" / "000.png", force=True)
    other = load_portrait_net(data_path("portraits/features_a.safetensors"))
    monkeypatch.setattr("rusr_core.metrics.scores.judge", lambda *_: other)
    config = replace(config, methods=presets_of())
    wanted = plan(1, names=("upsampling:XS",), methods=("default", "cvpr2023"))
    run(config, replace(wanted, methods=("cvpr2023",)))
    before = contents(config.folder)
    altered, message = CHANGES[change]
    with pytest.raises(StorageError, match=message):
        run(altered(config), wanted)
    assert contents(config.folder) == before
    sweep_config._networks.cache_clear()


@pytest.mark.slow
def test_another_version_refuses_to_mix_unless_it_is_accepted(config, monkeypatch):
    wanted = plan(1, names=("denoising:M",))
    run(config, replace(wanted, methods=("plain",)))
    known = manifest(config.folder)["code"]
    monkeypatch.setattr("rusr_core.sweeps.provenance.code_digest", lambda: "0" * 64)
    with pytest.raises(StorageError, match=r"another configuration: code was .*, is now"):
        run(config, wanted)
    with pytest.raises(StorageError, match="batch_size was 1, is now 2"):
        run(config, replace(wanted, batch_size=2), accept_code_change=True)
    assert run(config, wanted, accept_code_change=True).before == 1
    assert run(config, wanted).before == 2
    about = manifest(config.folder)
    assert about["accepted_changes"] == [{"code": [known, "0" * 64]}] and about["code"] == "0" * 64


def test_a_changed_method_of_ones_own_does_not_mix(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "a_method_of_a_test.py"
    own = replace(config, methods=(Method("own", "a_method_of_a_test:found"),))
    module.write_text("def found(prior, y, f, *, seed=0):\n    raise ValueError\n")
    alone = plan(1, methods=("own",))
    assert not run(own, alone).ok
    module.write_text("def found(prior, y, f, *, seed=0):\n    raise TypeError\n")
    with pytest.raises(StorageError, match="methods"):
        run(own, alone)


def test_pictures_of_another_origin_are_named(config):
    """Somebody's picture among the results, whole and with a record, but not with that of a unit."""
    run(config, plan(1))
    stranger = config.folder / "units/plain/N-M/holiday_0.png"
    write_result(stranger, torch.zeros(1, 3, 4, 4), {"method": "plain"})
    with pytest.raises(results.ResultsError, match="holiday_0.png: no result .* has no task, image, seed, scores, run"):
        results.rows(config.folder)
    for text in ('{"scores": {"psnr": []}}', "[1]", "[" * 100_000):
        info = PngImagePlugin.PngInfo()
        info.add_text("rusr", text)
        Image.new("RGB", (4, 4)).save(stranger, pnginfo=info)
        assert read_record(stranger) is None and read_head(stranger) is None


def test_a_file_is_no_folder_of_a_sweep(config, tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file/in"):
        with pytest.raises(BenchmarkError, match=f"{folder}: cannot be made"):
            run(replace(config, folder=folder), plan(1))
    assert (tmp_path / "file").read_text() == "mine"


def test_strange_folders_are_left_alone(config):
    config.folder.mkdir()
    (config.folder / "thesis.tex").write_text("")
    with pytest.raises(StorageError, match="not empty and holds no bench.json"):
        run(config, plan(1))
    assert sorted(p.name for p in config.folder.iterdir() if not p.name.startswith(".")) == ["thesis.tex"]
    for text, expected in (
        ("{", "cannot be read"),
        ("[1]", "cannot be read .holds a list, expected an object"),
        ("[" * 100_000, "cannot be read .nested too deeply"),
        ("{}", "of the format None, expected 2"),
    ):
        (config.folder / "bench.json").write_text(text)
        for read in (lambda: run(config, plan(1)), lambda: list(results.read(config.folder))):
            with pytest.raises(StorageError, match=expected):
                read()
    for text in ("{", "3", "[[1]]", "[" * 100_000):
        (config.folder / NOT_APPLICABLE).write_text(text)
        with pytest.raises(StorageError, match=f"{NOT_APPLICABLE}: cannot be read"):
            not_applicable(config.folder)
    with pytest.raises(StorageError, match="holds no bench.json"):
        list(results.read(config.images))


def test_disk_full(config, monkeypatch):
    """ENOSPC while the third result is written: one clear line, nothing half-written, resumed when there is room."""
    genuine, calls = os.fsync, []

    def fsync(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        genuine(fd)

    monkeypatch.setattr("rusr_core.files.os.fsync", fsync)
    with pytest.raises(StorageError, match=r"\.png: cannot be written \(No space left on device\)"):
        run(config, plan())
    monkeypatch.undo()
    assert all(read_record(path) is not None for path in config.folder.rglob("*.png"))
    done = len(results.rows(config.folder))
    assert 0 < done < 8
    assert run(config, plan()).before == done


def test_an_infinite_score_is_kept_in_a_text_that_is_json(tmp_path):
    """The PSNR of equal images."""
    path = tmp_path / "a.png"
    write_result(path, torch.zeros(1, 3, 2, 2), {"scores": {"psnr": math.inf, "ssim": 1.0}})
    with Image.open(path) as picture:
        told = json.loads(picture.text["rusr"], parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert told["scores"] == {"psnr": "inf", "ssim": 1.0}
    assert read_record(path)["scores"] == read_head(path)["scores"] == {"psnr": math.inf, "ssim": 1.0}


def test_a_text_that_is_no_record_is_no_result(tmp_path):
    for text in ("not JSON", "[1]"):
        info = PngImagePlugin.PngInfo()
        info.add_text("rusr", text)
        Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
        assert read_record(tmp_path / "a.png") is None


def test_what_differs_is_named_key_by_key():
    """The one setting for every task lies under an empty name, where two dots once stood in a row."""
    known = {"methods": {"classical@one": {"settings": {"": {"nlm": 0.8}}}}, "tasks": {"fade:0.5": {"a": [1, 2]}}}
    wanted = {"methods": {"classical@one": {"settings": {"": {"nlm": 0.9}}}}, "tasks": {"fade:0.5": {"a": [1, 3]}}}
    assert list(differences(known, wanted)) == [
        'methods.classical@one.settings."".nlm was 0.8, is now 0.9',
        'tasks."fade:0.5".a[1] was 2, is now 3',
    ]
    assert list(differences({"": 1}, {"": 2})) == ['"" was 1, is now 2']

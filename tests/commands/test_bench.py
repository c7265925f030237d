"""`rusr bench` as a person types it: what it runs, resumes, names and refuses."""

import csv
import io
import json
import os
import shutil

import pytest
import torch
from stylegan3_examples import random_stylegan3
from sweep_world import SPAWNER, run_module

from benchmarks.record import record
from rusr_core import commands, presets, restore
from rusr_core.checkpoints import save_generator
from rusr_core.errors import RusrWarning
from rusr_core.images import load_image, quantize
from rusr_core.priors import load_prior
from rusr_core.sweeps import results
from rusr_core.sweeps.storage import manifest
from rusr_core.tasks import get


@pytest.fixture
def words(config) -> list[str]:
    """The command on the small world, whose output folder is `config.folder`."""
    found = ["bench", str(config.folder), "--prior", config.prior, "--perceptual", "portraits", "--judge", config.judge]
    return [*found, "--images", str(config.images), "--num-images", "1"]


def test_a_sweep_is_resumed_and_failures_are_named(words, config, capsys):
    presets = [*words, "--tasks", "denoising:M", "UP", "--steps", "1"]
    assert commands.main(presets) == 0
    assert "4 units: 0 were done, 0 failed" in capsys.readouterr().out
    assert {row["method"] for row in results.rows(config.folder)} == {"default@1", "cvpr2023@1"}
    assert commands.main(presets) == 0
    assert "4 units: 4 were done" in capsys.readouterr().out
    assert commands.main([*presets[:-2], "--methods", "mine=sweep_world:always_fails"]) == 1
    out, err = capsys.readouterr()
    assert err.count("ZeroDivisionError") == 2 and "2 units: 0 were done, 2 failed" in out, "every failure is named"
    assert commands.main([*presets[:-1], "2"]) == 0, "default@2 is another method than default@1"


def test_samples_of_a_sweep_say_where_the_truth_lies(words, config, capsys):
    methods = ("default", "na_nhmc", "nothing", "mine=sweep_world:enlarged")
    chosen = [*words, "--methods", *methods, "--tasks", "upsampling:M", "--steps", "12"]
    assert commands.main([*chosen, "--samples", "2"]) == 0
    told = "does not reach mine: a function of one's own takes its own number"
    assert f"warning: --samples 2 {told}" in (said := capsys.readouterr().err) and f"warning: --steps 12 {told}" in said
    rows = {row["method"]: row for row in results.rows(config.folder)}
    assert rows["default@12"]["samples"] == rows["na_nhmc@12"]["samples"] == 2 and not rows["nothing"].get("samples")
    assert 0 <= rows["default@12"]["inside"] < 1 and rows["default@12"]["factor"] > 0
    alone = restore(load_prior(config.prior, perceptual="portraits"), *measured(config), preset="default@12")
    picture = load_image(config.folder / "units/default@12/U-M/000_0.png")
    torch.testing.assert_close(picture, alone.image, atol=1 / 255, rtol=0)
    assert commands.main([*chosen, "--samples", "4"]) == 2
    assert "na_nhmc@12 with steps=12" in (said := capsys.readouterr().err) and said.count("\n") == 1
    assert commands.main([*chosen, "--samples", "3"]) == 2
    assert "default@12" in capsys.readouterr().err, "results of two samples are not those of three"
    assert commands.main([*words, "--methods", "nothing", "--tasks", "upsampling:M", "--samples", "2"]) == 2
    assert "--samples 2: nothing draws no samples; expected a preset" in capsys.readouterr().err


def measured(config) -> tuple[torch.Tensor, object]:
    """y and f of the first unit of upsampling M."""
    return load_image(config.folder / "measurements/U-M/000_0.png"), get("upsampling", "M")


def test_presets_and_compared_methods_are_one_list(words, config, tmp_path, capsys):
    chosen = [*words, "--methods", "nothing,report", "classical", "--tasks", "upsampling:XS", "downsample:2 | fade:0.5"]
    assert commands.main([*chosen, "--steps", "1"]) == 0
    out = capsys.readouterr().out
    assert "n/a: classical on downsample:2 | fade:0.5: none of its tools undoes fade" in out
    assert "5 units: 0 were done, 0 failed" in out
    found = [(row["method"], row["task"]) for row in results.rows(config.folder)]
    assert len(found) == 5 and ("classical", "downsample:2 | fade:0.5") not in found
    assert {method for method, _ in found} == {"nothing", "default@1", "classical"}
    report = ["report", str(config.folder), "--no-realism"]
    assert commands.main([*report, "--form", "markdown"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "classical" in line]
    assert "n/a: none of its tools undoes fade" in lines[1] and lines[1].count("| n/a ") == 7 and "n/a" not in lines[0]
    assert commands.main([*report, "--form", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    row = next(row for row in rows if row["method"] == "classical" and "fade" in row["task"])
    assert row["notes"].startswith("n/a: none of its tools") and row["metric"] == row["value"] == ""
    assert commands.main(report) == 0
    assert "classical: n/a: none of its tools undoes fade" in capsys.readouterr().out
    record(config.folder, tmp_path / "recording", realism=False)
    known = json.loads((tmp_path / "recording" / "provenance.json").read_text())
    assert [row[:2] for row in known["not_applicable"]] == [["classical", "downsample:2 | fade:0.5"]]
    assert "fade" in (tmp_path / "recording" / "scores.csv").read_text(), "the others' rows are kept"
    assert commands.main([*chosen, "--methods", "pulsar"]) == 2
    assert "method 'pulsar': expected one of default, cvpr2023, nothing, classical" in capsys.readouterr().err


@pytest.mark.slow
def test_one_class_of_a_conditional_prior(config, capsys, cache, tmp_path):
    """The search is that of the class, the folder says which, and takes no other; without one it is all, as is said."""
    file = tmp_path / "animals.safetensors"
    save_generator(random_stylegan3(kind="xl"), file)
    sweep = ["bench", str(config.folder), "--prior", str(file), "--perceptual", "portraits", "--judge", config.judge]
    sweep += ["--images", str(config.images), "--num-images", "1", "--methods", "default", "--steps", "1"]
    sweep += ["--tasks", "upsampling:XS"]
    assert commands.main([*sweep, "--class", "4"]) == 2
    assert "class 4: expected a whole number from 0 to 3" in capsys.readouterr().err and not config.folder.exists()
    assert commands.main([*sweep, "--class", "2"]) == 0
    assert manifest(config.folder)["prior"]["name"] == "animals, class 2"
    prior = load_prior(file, perceptual="portraits", label=2)
    (found,), f = results.read(config.folder), get("upsampling", "XS")
    y = load_image(config.folder / "measurements/U-XS/000_0.png")
    with pytest.warns(RusrWarning, match="goes without"):
        expected = restore(prior, y, f, preset=presets.get("default").shortened(1), seed=0)
    torch.testing.assert_close(load_image(found.path), quantize(expected.image.clamp(0, 1)), atol=1.01 / 255, rtol=0)
    capsys.readouterr()
    assert commands.main([*sweep, "--class", "1"]) == 2
    assert "animals, class 2" in capsys.readouterr().err
    assert commands.main(sweep) == 2
    assert "animals has 4 classes: a search begins at the mean of all of them" in capsys.readouterr().err


@pytest.fixture
def quick(words) -> list[str]:
    return [*words, "--methods", "plain=sweep_world:enlarged", "--tasks", "denoising:M"]


def test_more_images_than_there_are(quick, config, capsys):
    assert commands.main([*quick, "--num-images", "6"]) == 2
    assert f"--num-images is 6, but {config.images} holds 5 images" in capsys.readouterr().err
    assert not config.folder.exists()


def test_folders_of_images(quick, config, tmp_path, capsys):
    folder = tmp_path / "mine"
    assert commands.main([*quick, "--images", str(folder)]) == 2
    assert "no such folder" in capsys.readouterr().err
    folder.mkdir()
    assert commands.main([*quick, "--images", str(folder)]) == 2
    assert "no images there" in capsys.readouterr().err
    for name in ("000", "001", "002"):
        shutil.copy(config.images / f"{name}.png", folder)
        (folder / f"bad{name}.jpg").write_bytes(b"not an image")
    (folder / "notes.txt").write_text("text")
    (folder / "._000.png").write_bytes(b"of a Mac")
    assert commands.main([*quick, "--images", str(folder), "--num-images", "6"]) == 2
    err = capsys.readouterr().err
    assert all(f"bad{name}.jpg" in err for name in ("000", "001", "002")) and "notes.txt" in err
    assert "left out: 1 hidden file" in err
    assert not config.folder.exists(), "nothing was begun"


@pytest.mark.slow
def test_two_commands_at_once_on_a_new_folder(quick, config, tmp_path):
    words, log = ["rusr_core", *quick, "--num-images", "4"], tmp_path / "said"
    runs = [SPAWNER.Process(target=run_module, args=(words, tmp_path, dict(os.environ), log)) for _ in range(2)]
    for one in runs:
        one.start()
    for one in runs:
        one.join(120)
    assert [one.exitcode for one in runs] == [0, 0], log.read_text()
    assert len(results.rows(config.folder)) == 4


@pytest.mark.parametrize(
    "extra, message",
    [
        (["--methods", "mine=sweep_world:nothing"], "sweep_world has no 'nothing'"),
        (["--methods", "mine=no_module:f"], "cannot import no_module"),
        (["--methods", "mine=sweep_world:restoration"], "takes (image: torch.Tensor) -> "),
        (["--methods", "sweep_world:enlarged"], "take one of your own as NAME=MODULE:NAME"),
        (["--seeds", "-1"], "'-1': expected a whole number from 0, below 2^63"),
        (["--batch", "0"], "'0': expected a whole number from 1 to 1000000"),
        (["--arithmetic", "sloppy"], "sloppy"),
        (["--methods", "mine=house_exits:f"], "cannot import house_exits (SystemExit: 0)"),
        (["--steps", "3"], "--steps 3: reaches none of plain; expected a method that takes steps"),
        (["--scheduler", "local", "--threads", "2"], "threads is 2: expected none with a Dask scheduler"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "workers is 2: expected none with tcp://"),
    ],
)
def test_what_is_refused_before_anything_is_written(quick, config, capsys, tmp_path, monkeypatch, extra, message):
    (tmp_path / "house_exits.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert commands.main([*quick, *extra]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not config.folder.exists()


def test_steps_that_do_not_reach_a_method_are_said(quick, capsys):
    assert commands.main([*quick, "--methods", "plain=sweep_world:enlarged", "default", "--steps", "1"]) == 0
    assert "warning: --steps 1 does not reach plain" in capsys.readouterr().err

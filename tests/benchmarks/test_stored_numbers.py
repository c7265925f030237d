"""The program that asks whether a restoration could be the original."""

import json
import sys

import pytest
import torch
from sweep_world import config_of, plan

from benchmarks import stored_numbers
from rusr_core.commands.options import CommandError
from rusr_core.degradations import JPEG
from rusr_core.degradations.jpeg_numbers import agreement
from rusr_core.degradations.jpeg_numbers import stored_numbers as numbers
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.metrics.intervals import mean_interval
from rusr_core.sweeps import run


def asked(monkeypatch, sweep, out, *options):
    monkeypatch.setattr(sys, "argv", ["stored_numbers", str(sweep), str(out), *map(str, options)])
    stored_numbers.main()
    return json.loads((out / "stored_numbers.json").read_text(encoding="utf-8"))


def test_a_sweep_is_compared_number_by_number(world, tmp_path, monkeypatch):
    names = ("deartifacting:M", "inpainting:S")
    run(config_of(world, tmp_path / "sweep"), plan(names=names))
    with pytest.raises(CommandError, match="portraits-128: another generator than that of .*; expected prior"):
        asked(monkeypatch, tmp_path / "sweep", tmp_path / "out")
    said = asked(monkeypatch, tmp_path / "sweep", tmp_path / "out", "--prior", world / "prior.safetensors")
    rows = {(row["picture"], row["share"]): row for row in said["rows"]}
    assert {row["task"] for row in said["rows"]} == {"deartifacting M"}
    assert {picture for picture, _ in rows} == {"plain", "drawn", "mean face"}
    assert all(len(row["portraits"]) == 2 for row in said["rows"])
    (path,) = (tmp_path / "sweep/units/drawn").glob("A-M/000_0.png")
    (y,) = (tmp_path / "sweep/measurements").glob("A-M/000_0.png")
    expected = agreement(numbers(load_image(y), 12), numbers(JPEG(12).degrade(load_image(path)), 12))
    assert rows["drawn", "of all"]["portraits"][0] == pytest.approx(expected[0], abs=1e-6)


def test_another_sweep_is_refused(world, tmp_path, monkeypatch):
    run(config_of(world, tmp_path / "sweep"), plan(names=("inpainting:S",)))
    with pytest.raises(CommandError, match="no restoration of deartifacting XS.*expected a sweep of one of them"):
        asked(monkeypatch, tmp_path / "sweep", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_recording_is_of_the_recorded_sweep():
    kept = json.loads(data_path("results/stored_numbers/stored_numbers.json").read_text(encoding="utf-8"))
    sweep = json.loads(data_path("results/portraits-128/provenance.json").read_text(encoding="utf-8"))
    assert kept["provenance"]["weights"]["generator"] == sweep["weights"]["generator"]
    assert set(kept["provenance"]["commits"]) <= set(sweep["commits"])
    assert set(kept["provenance"]["portraits"]) <= set(sweep["image_names"])
    for row in kept["rows"]:
        found = mean_interval(torch.tensor(row["portraits"]))
        assert found == pytest.approx((row["mean"], row["low"], row["high"]), abs=2e-6)

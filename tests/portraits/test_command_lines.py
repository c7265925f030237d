"""The training programs as one gives them: from a training set to files that the library loads, twice over."""

import sys
from pathlib import Path

import pytest
import torch

from rusr_core.checkpoints import load_generator, load_portrait_net
from tools.portraits import DATA
from tools.portraits.training import train_features, train_generator, tune_features


@pytest.fixture
def run(monkeypatch, small_set, tmp_path):
    """Gives a program its command line, with the small training set and an output folder."""

    def command(program, *words: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["program", "--data", str(small_set), "--out", str(tmp_path), *words])
        faces = torch.rand(2, 2, 3, 128, 128, generator=torch.Generator().manual_seed(0))  # fewer than the programs'
        monkeypatch.setattr(program, "held_out_faces", lambda people, views: faces, raising=False)
        program.main()
        return tmp_path

    return command


@pytest.mark.slow
def test_a_net_learns_people_and_then_to_judge(run, monkeypatch):
    monkeypatch.setattr(train_features, "CONFIGS", {"a": (train_features.PortraitNetConfig((4, 4, 4, 4, 4)), 1)})
    out = run(train_features, "--net", "a", "--images", "32", "--batch", "16")
    start = out / "people_a.safetensors"
    words = ("--net", "a", "--start-from", str(start), "--steps", "2", "--batch", "4", "--bank", "2")
    run(tune_features, *words)
    first = load_portrait_net(out / "features_a.safetensors").state_dict()
    assert any(not torch.equal(v, first[k]) for k, v in load_portrait_net(start).state_dict().items())
    (out / "features_a.safetensors").unlink()
    run(tune_features, *words[:5], "3", *words[6:])  # goes on with the third step
    assert (out / "features_a.safetensors").exists()
    steps = [line.split(",")[0] for line in (out / "tuned_a.csv").read_text().splitlines()]
    assert steps == ["step", "2", "3"]


@pytest.mark.slow
def test_a_generator_is_trained_further_and_resumes(run):
    prior = ("--prior", str(DATA / "generator.safetensors"), "--forget-noise", "--batch", "2", "--images")
    out = run(train_generator, *prior, "2", "0", "0", "2")
    first = load_generator(out / "generator.safetensors")
    run(train_generator, *prior, "2", "0", "0", "4")
    longer = load_generator(out / "generator.safetensors")
    assert not torch.equal(first.synthesis.b128.conv1.weight, longer.synthesis.b128.conv1.weight)
    maps = [(a, b) for (n, a), b in zip(first.named_buffers(), longer.buffers(), strict=True) if "noise_const" in n]
    assert len(maps) == 11 and all(torch.equal(a, b) for a, b in maps)
    assert (out / "sheet.png").exists() and len((out / "log.csv").read_text().splitlines()) == 4

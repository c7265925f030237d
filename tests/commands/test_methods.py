"""`rusr restore --method`: what a method lacks is said in one line, with the command that makes it; its samples."""

import functools
from dataclasses import replace

import pytest
import torch
from conftest import PORTRAIT, run

from rusr_core import baselines, commands
from rusr_core.baselines import ddrm
from rusr_core.commands import searching
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.priors import diffusion


@pytest.mark.parametrize("name", ["ddrm", "dps", "daps"])
def test_a_diffusion_method_without_a_denoiser_says_what_trains_one(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(diffusion, "DENOISER", "portraits/absent.safetensors")  # also when one is shipped
    portrait, target = str(data_path("portraits/test/000.png")), tmp_path / "out.png"
    assert (
        commands.main(["restore", portrait, str(target), "--task", "denoising", "--level", "M", "--method", name]) == 2
    )
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and not target.exists()
    missing = "the denoiser of portraits-128 is not installed: expected data/portraits/absent.safetensors"
    assert said.startswith(f"rusr: error: {missing}, or --denoiser FILE, which python -m ")
    assert "tools.portraits.training.train_denoiser --data RENDERS --out FOLDER trains" in said


@pytest.mark.parametrize(
    "words, message",
    [
        (["--method", "ddrm", "--degradation", "downsample:4 | jpeg:20"], "ddrm is n/a for downsample:4 | jpeg:20: "),
        (["--method", "classical", "--degradation", "blur:2"], "classical is n/a for blur:width=2: none of its tools"),
        (
            ["--method", "brgm", "--denoiser", "x"],
            "--denoiser x: brgm restores without one; expected ddrm, dps or daps",
        ),
        (
            ["--method", "pulse", "--tuned", "x"],
            "--tuned x: pulse restores without tuned settings; expected pulse@one or pulse@tuned",
        ),
        (
            ["--method", "pulse", "--samples", "2", "--task", "upsampling"],
            "--samples 2: pulse draws no samples; expected a preset, na_nhmc, ddrm, dps or daps",
        ),
        (
            ["--method", "na_nhmc", "--steps", "10", "--samples", "3", "--task", "upsampling"],
            "na_nhmc@10 with steps=10, step=0.05, leaps=10, share=0.25: expected no more than 2 samples, got 3",
        ),
        (["--method", "pulse", "--identity", "x"], "--identity x: pulse compares no faces; expected default"),
        (["--method", "cvpr2023", "--identity", "x"], "--identity x: cvpr2023 compares no faces; expected default"),
    ],
)
def test_what_a_method_cannot_do_or_use_is_said_before_a_file_is_read(words, message, tmp_path, monkeypatch, capsys):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "b.png"):
        (source / name).write_bytes(data_path("portraits/test/000.png").read_bytes())
    monkeypatch.setattr("rusr_core.commands.restore.loaded_prior", lambda *_: pytest.fail("the networks were loaded"))
    assert commands.main(["restore", str(source), str(tmp_path / "out"), *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rusr: error: {message}") and said.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["--method", "ddrm", "--degradation", "downsample:4 | jpeg:20"], "ddrm is n/a for downsample:4 | jpeg:20: "),
        (["--method", "brgm", "--denoiser", "x"], "--denoiser x: brgm restores without one"),
        (["--aligned", "--face", "2"], "--face 2: --aligned looks for no face; expected one of them"),
    ],
)
def test_a_photograph_is_not_read_for_what_cannot_be_done(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rusr_core.commands.photo.loaded_prior", lambda *_: pytest.fail("the networks were loaded"))
    assert run("photo", PORTRAIT, tmp_path / "out.png", *words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rusr: error: {message}") and said.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["restore"], ["photo", "--aligned"]])
def test_what_cannot_be_done_for_the_damage_of_one_file_is_said_before_the_search(command, tmp_path, searches, capsys):
    assert run("degrade", PORTRAIT, tmp_path / "in.jpg", "--degradation", "jpeg:30") == 0
    capsys.readouterr()
    words = [command[0], tmp_path / "in.jpg", tmp_path / "out.png", *command[1:], "--method", "ddrm"]
    assert run(*words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"rusr: error: {tmp_path / 'in.jpg'}: ddrm is n/a for jpeg:") and not searches
    assert not (tmp_path / "out.png").exists()


TASK = ["--images", data_path("portraits/test"), "--num-images", "1", "--tasks", "denoising:M"]


@pytest.mark.parametrize(
    "words, message",
    [
        (
            ["bench", "--methods", "brgm", "--denoiser", "x"],
            "--denoiser x: brgm restores without one; expected ddrm,",
        ),
        (
            ["bench", "--methods", "default,nothing,brgm,pulse", "--denoiser", "x"],
            "--denoiser x: default, nothing, brgm and 1 more restore without one; expected ddrm, dps or daps",
        ),
        (
            ["bench", "--methods", "brgm", "pulse@3", "--tuned", "x"],
            "--tuned x: brgm, pulse@3 restore without tuned settings; expected NAME@one or NAME@tuned",
        ),
        (["bench", "--methods", "nothing", "--steps", "3"], "--steps 3: reaches none of nothing; expected a method"),
        (["tune", "brgm", "--denoiser", "x"], "--denoiser x: brgm restores without one; expected ddrm, dps or daps"),
    ],
)
def test_what_no_method_of_a_sweep_uses_is_refused_before_the_work(words, message, tmp_path, capsys):
    at = 2 if words[0] == "tune" else 1
    assert run(*words[:at], tmp_path / "out", *words[at:], *TASK) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"rusr: error: {message}") and said.count("\n") == 1 and not (tmp_path / "out").exists()


def test_draws_follow_each_other_and_leave_the_batch_whole():
    assert [searching.images_at_once(baselines.find("default"), 4, samples) for samples in (1, 2, 3, 5)] == [4, 2, 1, 1]
    assert {searching.images_at_once(baselines.find(name), 4, 3) for name in ("ddrm", "na_nhmc")} == {4}


@pytest.mark.slow
@pytest.mark.parametrize("words", [("ddrm", "--steps", 10), ("na_nhmc", "--steps", 20)], ids=["ddrm", "na_nhmc"])
def test_samples_of_a_compared_method_lie_beside_the_first(words, tmp_path, capsys):
    degraded, out = tmp_path / "y.png", tmp_path / "x.png"
    assert run("degrade", PORTRAIT, degraded, "--degradation", "downsample:8,bicubic") == 0
    command = ("--task", "upsampling", "--method", *words)
    assert run("restore", degraded, out, *command, "--samples", 2) == 0
    printed = capsys.readouterr().out
    assert "x.answer2.png: another answer" in printed and "% of the picture's variance in the prior" in printed
    first, second, mean = (load_image(tmp_path / name) for name in ("x.png", "x.answer2.png", "x.mean.png"))
    assert not torch.equal(first, second) and f"{out}: {words[-1]} steps" in printed
    torch.testing.assert_close(mean, (first + second) / 2, atol=1.01 / 255, rtol=0)
    invented = load_image(tmp_path / "x.invented.png")
    assert torch.equal(invented[:, 0], invented[:, 2]) and 0 < invented.mean() < 1
    assert run("restore", degraded, tmp_path / "one.png", *command) == 0
    one = load_image(tmp_path / "one.png")
    assert torch.equal(one, first) == (words[0] == "ddrm")  # the picture of a chain is the mean of its samples


def test_what_varies_in_the_prior_is_drawn_once_and_before_the_search(tmp_path, monkeypatch):
    """So that it costs a folder of pictures little, and no finished draw is lost to it."""
    events, spread, function = [], searching.prior_spread, ddrm.BASELINE.function
    monkeypatch.setattr(searching, "prior_spread", lambda prior: events.append("spread") or spread(prior))

    @functools.wraps(function)
    def told(*args, **options):
        events.append("draw")
        return function(*args, **options)

    monkeypatch.setitem(baselines.METHODS, "ddrm", replace(ddrm.BASELINE, function=told))
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        assert run("degrade", PORTRAIT, tmp_path / "in" / f"{name}.png", "--degradation", "downsample:8,bicubic") == 0
    words = ("--task", "upsampling", "--method", "ddrm", "--steps", 10, "--samples", 2, "--batch", 2)
    assert run("restore", tmp_path / "in", tmp_path / "out", *words) == 0
    assert events == ["spread", *["draw"] * 4]  # of two images at once, and then of one

"""`rusr restore --method`: what a method lacks is said in one line, with the command that makes it."""

import pytest

from rusr_core import commands
from rusr_core.files import data_path
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
        (["--method", "pulse", "--tuned", "x"], "--tuned x: expected pulse@one or pulse@tuned as the method"),
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

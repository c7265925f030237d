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

"""The calibration of several answers, on answers whose calibration is known."""

import json
import sys

import pytest
import torch

from benchmarks import calibration
from rusr_core.commands.options import CommandError
from rusr_core.files import data_path
from rusr_core.networks.digests import weights_digest

K, R = 4, 64


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """K answers, their spread as the map of what is invented, and a truth: of their distribution, if `scale` is 1,
    with a spread that grows downwards."""
    sigma = torch.linspace(0.01, 0.05, R)[:, None]
    answers = 0.5 + sigma * normal(K, 3, R, R, seed=0)
    return answers, answers.var(0).mean(0).sqrt()[None, None], 0.5 + scale * sigma * normal(1, 3, R, R, seed=1)


def test_answers_like_the_truth_are_calibrated():
    found = calibration.calibration(*given())
    assert found["inside"] == pytest.approx((K - 1) / (K + 1), abs=0.02)
    assert found["factor"] == pytest.approx(1, abs=0.03)
    assert found["rank"] > 0.8


def test_answers_that_agree_too_well_are_not():
    found = calibration.calibration(*given(scale=3.0))
    assert found["inside"] < 0.4 and 2 < found["factor"] < 3


def test_hidden_and_visible_parts_are_told_apart():
    mask = torch.ones(1, 1, R, R)
    mask[..., : R // 2, :] = 0
    answers, invented, truth = given()
    truth[..., R // 2 :, :] += 0.4
    found = calibration.calibration(answers, invented, truth, mask)
    assert found["inside_hidden"] == pytest.approx(0.6, abs=0.03) and found["inside_visible"] < 0.01
    assert found["error_visible"] > 0.35 > found["error_hidden"]


def test_the_correlation_of_ranks_is_spearmans():
    from scipy.stats import spearmanr

    a, b = normal(50, seed=2), normal(50, seed=3)
    assert calibration.rank_correlation(a, a + b) == pytest.approx(spearmanr(a, a + b).statistic)


@pytest.mark.slow
def test_the_command_resumes(tmp_path, monkeypatch, capsys):
    words = [
        "calibration",
        str(tmp_path / "out"),
        "--preset",
        "default@1",
        "--samples",
        "2",
        "--batch",
        "2",
        "--num-images",
        "2",
    ]
    monkeypatch.setattr(sys, "argv", words)
    calibration.main()
    record = json.loads((tmp_path / "out/inpainting.json").read_text())
    assert record["portraits"] == 2 and record["results"]["inside_if_calibrated"] == pytest.approx(1 / 3)
    assert record["results"]["error_hidden"][0] > record["results"]["error_visible"][0] > 0
    capsys.readouterr()
    calibration.main()
    assert "inpainting-000" not in capsys.readouterr().out  # it was there
    monkeypatch.setattr(sys, "argv", [*words[:-1], "3"])
    calibration.main()
    told = capsys.readouterr().out
    assert "inpainting-002: inside" in told and "inpainting-001" not in told and '"portraits": 3' in told
    monkeypatch.setattr(sys, "argv", [*words, "--level", "M"])
    with pytest.raises(CommandError, match="made with .*inpainting L"):
        calibration.main()


def test_the_recording_is_of_the_shipped_weights(embedded):
    recorded = json.loads(data_path("results/calibration/inpainting.json").read_text(encoding="utf-8"))
    assert recorded["provenance"]["weights"] == weights_digest(embedded.generator)
    assert recorded["settings"] == {"task": "inpainting L", "preset": "default", "samples": 4}
    assert recorded["portraits"] == 20

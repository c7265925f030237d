"""The comparison of known, estimated, blind and wrong degradations: its cases, and that it resumes."""

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import blind
from rusr_core import priors
from rusr_core.commands.options import CommandError
from rusr_core.degradations import Downsample
from rusr_core.degradations.free import bound, free_stages, starts
from rusr_core.files import data_path
from rusr_core.networks.digests import weights_digest


@pytest.mark.parametrize("case", blind.CASES)
def test_the_blind_search_starts_at_the_wrong_degradation(case):
    true, wrong, unknown = (blind.operator(case, method) for method in ("known", "wrong", "blind"))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (u,) = starts([unknown])
    assert u.abs().max() < 0.4  # near the middle of its bounds, so that it can go either way as far
    made = [f.forward(x, torch.Generator().manual_seed(1)) for f in (bound(unknown, u), wrong)]
    torch.testing.assert_close(*made, atol=1e-5, rtol=0)
    (stage,) = free_stages(unknown)
    for name, bounds in stage.ranges:
        right, start = getattr(true.stages[0], name), getattr(wrong.stages[0], name)
        assert bounds.low < right < bounds.high and right != start == pytest.approx(bounds.start)


def test_reduced_by_eight_only_the_blur_before_is_free(embedded):
    """The reduction itself is in every f, and the search moves the width of what came before it."""
    true, wrong, unknown = (blind.operator("x8", method) for method in ("known", "wrong", "blind"))
    assert [f.stages[1] for f in (true, wrong, unknown)] == [Downsample(8)] * 3
    x = priors.portraits([0])
    assert blind.estimated(true.degrade(x, torch.Generator().manual_seed(0)), 128).stages[0] == Downsample(8)
    sharper = [float((f.forward(x) - true.forward(x)).abs().mean()) for f in (wrong, Downsample(8))]
    assert 0.01 < sharper[0] < sharper[1]  # the wrong f matters, and no blur at all matters more
    (found,) = blind.measure(embedded, "x8", "blind", "default@1", [0])
    assert found["believed"] == str(unknown) and found["blur.width"] != pytest.approx(1.5, abs=1e-3)


def test_the_estimate_is_that_of_the_file():
    x = priors.portraits([1])
    y = blind.operator("photons", "known").degrade(x, torch.Generator().manual_seed(1))
    (stage,) = blind.estimated(y, 128).stages
    assert stage.photons == pytest.approx(24, rel=0.3) and stage.p == 0


@pytest.mark.slow
def test_a_batch_gives_what_each_portrait_gives_alone(embedded):
    together = blind.measure(embedded, "blur", "blind", "default@1", [0, 1])
    (alone,) = blind.measure(embedded, "blur", "blind", "default@1", [1])
    for name in ("lpips", "psnr", "loss", "blur.width"):
        assert together[1][name] == pytest.approx(alone[name], rel=1e-4)


def results_of(folder: Path) -> dict[str, dict]:
    return json.loads((folder / "blind.json").read_text(encoding="utf-8"))["results"]


@pytest.mark.slow
def test_the_command_resumes(tmp_path, monkeypatch, capsys):
    words = ["blind", str(tmp_path / "out"), "--cases", "blur", "--preset", "default@1", "--num-images", "1"]
    monkeypatch.setattr(sys, "argv", words)
    blind.main()
    results = results_of(tmp_path / "out")["blur"]
    assert set(results) == {"known", "estimated", "blind", "wrong"} and results["blind"]["portraits"] == 1
    assert results["known"]["lpips_to_known"][0] == 1 != results["wrong"]["lpips_to_known"][0]
    assert all(words == "identity" or words.startswith("blur") for words in results["estimated"]["believed"])
    assert results["blind"]["blur.width"][0] != pytest.approx(1.2, abs=1e-3)
    assert capsys.readouterr().out.count("LPIPS") == 4
    blind.main()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "argv", [*words[:-1], "2"])
    blind.main()
    assert capsys.readouterr().out.count("-001: LPIPS") == 4  # more portraits: those that are there stay
    assert results_of(tmp_path / "out")["blur"]["known"]["portraits"] == 2
    monkeypatch.setattr(sys, "argv", [*words[:3], "read noise", *words[4:]])
    blind.main()
    known = {case: of["known"]["portraits"] for case, of in results_of(tmp_path / "out").items()}
    assert known == {"blur": 2, "read noise": 1}  # what another command has made is summed up, too
    monkeypatch.setattr(sys, "argv", [*words[:-3], "default@2", *words[-2:]])
    with pytest.raises(CommandError, match="made with"):
        blind.main()


def test_the_recording_is_of_the_shipped_weights(embedded):
    recorded = json.loads(data_path("results/blind/blind.json").read_text(encoding="utf-8"))
    later = recorded["provenance"]["of"]  # cases that another commit made
    weights = {part["weights"] for part in (recorded["provenance"], *later.values())}
    assert weights == {weights_digest(embedded.generator)} and later.keys() <= recorded["results"].keys()
    assert recorded["preset"] == "default" and recorded["results"].keys() == blind.CASES.keys()
    for case, of in recorded["results"].items():
        numbers = {method: of[method]["portraits"] for method in blind.METHODS}
        assert len(set(numbers.values())) == 1 and numbers["known"] >= 4, case
        assert of["known"]["lpips_to_known"] == [1, 1, 1]
    assert all(recorded["results"][case]["known"]["portraits"] == 8 for case in ("x8", "blur"))

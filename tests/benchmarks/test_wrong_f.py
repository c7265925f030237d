"""What a wrong f costs each method: what is told, what shares a restoration, and what the summary says."""

import json
import math
import sys

import pytest
import torch

from benchmarks import wrong_f
from rusr_core import baselines, priors
from rusr_core.baselines import METHODS
from rusr_core.commands.options import CommandError
from rusr_core.degradations.operator import mask_of
from rusr_core.files import data_path
from rusr_core.networks.digests import weights_digest
from rusr_core.sweeps import Method


def test_what_is_told_is_wrong_by_what_the_case_says():
    x = priors.portraits([0])
    right, wrong = (mask_of(wrong_f.told("mask too small", which, 7), x) for which in wrong_f.TOLD)
    assert (right <= wrong + 1e-6).all() and 0.02 < float((wrong - right).mean()) < 0.25  # the same strokes, narrower
    other = mask_of(wrong_f.told("mask too small", "right", 8), x)
    assert not torch.equal(right, other)  # strokes of their own for each portrait
    for case, factor in (("half the noise", 0.5), ("twice the noise", 2)):
        true, told = (wrong_f.told(case, which, 0) for which in wrong_f.TOLD)
        assert told.p == factor * true.p and told.photons == true.photons / factor**2
    softer, sharper = (wrong_f.told("another filter", which, 0).forward(x) for which in wrong_f.TOLD)
    assert softer.shape == sharper.shape and softer.std() < sharper.std()


def test_the_summary_pairs_portraits():
    found = {
        ("half the noise", "default", "right"): [{"lpips": 0.2}, {"lpips": 0.4}],
        ("half the noise", "default", "wrong"): [{"lpips": 0.4}, {"lpips": 0.8}],
        ("half the noise", "ddrm", "wrong"): [{"lpips": 0.2}, {"lpips": 0.1}],
    }
    row, other = (wrong_f.summary(found)["half the noise"][name] for name in ("default", "ddrm"))
    assert (
        row["portraits"] == 2 and row["price"] == pytest.approx([2, 2, 2]) and row["against"] == pytest.approx([1] * 3)
    )
    assert row["right"][0] == pytest.approx(0.3) and row["wrong"][0] == pytest.approx(0.6)
    assert other["price"] is None and other["right"] is None
    value, low, high = other["against"]
    assert value == pytest.approx(math.sqrt(1 / 2 * 1 / 8)) and low < value < high


def test_it_resumes_grows_and_says_who_cannot(embedded, tmp_path, monkeypatch, capsys):
    cases = {name: wrong_f.CASES[name] for name in ("half the noise", "twice the noise", "another filter")}
    monkeypatch.setattr(wrong_f, "CASES", cases | {"more": ("noise:24,0.16", "noise:24,0.16 | jpeg:12")})
    options = ["wrong_f", str(tmp_path / "out"), "--methods", "nothing", "ddrm", "--num-images", "1"]
    monkeypatch.setattr(sys, "argv", [*options, "--write", str(tmp_path / "kept/here")])
    wrong_f.main()
    files = sorted(path.name for path in (tmp_path / "out").glob("*-000.json"))
    assert "twice-the-noise-nothing-right-000.json" not in files  # the same restoration as told half, and right
    assert len(files) == 6 + 5  # two true f and four wrong ones, of which ddrm cannot invert the last
    told = json.loads((tmp_path / "kept/here/wrong_f.json").read_text())
    assert told == json.loads((tmp_path / "out/wrong_f.json").read_text())
    assert list(told["not_applicable"]) == ["more"] and "linear" in told["not_applicable"]["more"]["ddrm"]
    assert set(told["results"]["more"]) == {"nothing", "ddrm"} and told["results"]["more"]["ddrm"]["price"] is None
    value, low, high = told["results"]["twice the noise"]["nothing"]["price"]
    assert value == pytest.approx(1) and math.isnan(low) and math.isnan(high)  # one portrait has no interval
    before = capsys.readouterr().out
    wrong_f.main()
    assert before.count("LPIPS") == 11 and "LPIPS" not in capsys.readouterr().out  # nothing is restored again
    changed = tmp_path / "out" / files[0]
    changed.write_text(changed.read_text().replace("noise:24,0.16", "noise:25,0.16").replace("blur:2", "blur:3"))
    with pytest.raises(CommandError, match="made with"):
        wrong_f.main()
    changed.unlink()
    weights = wrong_f.weights_beside(embedded)
    assert told["denoiser"] == weights["diffusion"]["denoiser"]
    monkeypatch.setattr(wrong_f, "weights_beside", lambda prior: weights | {"diffusion": {"denoiser": "another"}})
    with pytest.raises(CommandError, match="ddrm.*made with .*expected .*'denoiser': 'another'"):
        wrong_f.main()  # once what an earlier denoiser had restored counted as done


def test_what_is_recorded_is_of_the_shipped_weights(embedded):
    told = json.loads(data_path(f"results/wrong_f/{wrong_f.FILE}").read_text())
    assert told["cases"] == {name: list(pair) for name, pair in wrong_f.CASES.items()}
    assert told["provenance"]["weights"] == weights_digest(embedded.generator)
    assert told["denoiser"] == weights_digest(priors.load_diffusion_prior().denoiser)
    assert all(set(rows) >= set(wrong_f.QUICK) - set(told["not_applicable"].get(case, {}))
               for case, rows in told["results"].items())  # fmt: skip


def test_every_method_says_whether_it_can():
    for name in METHODS:
        method = Method(name, baselines.find(name))
        reasons = [method.reason(wrong_f.told(case, "wrong", 0)) for case in wrong_f.CASES]
        assert all(reason is None or reason for reason in reasons)

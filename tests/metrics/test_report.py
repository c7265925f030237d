"""The performance report: its text word for word, the other forms, and its numbers against the metrics."""

import csv
import io
import math
from html.parser import HTMLParser

import pytest
import torch

from rusr_core import metrics, tasks
from rusr_core.degradations import Compose, PoissonBernoulliNoise
from rusr_core.metrics import realism
from rusr_core.metrics.judges import portraits_judge
from rusr_core.metrics.report import Report, ReportError, Score, Table, report, summarize
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig

TEXT = """\
------------------------------------------------------------------------
PERFORMANCE REPORT FOR TASK: upsampling (L)
------------------------------------------------------------------------
Accuracy  LPIPS-portraits             ↓  0.1234 [0.1000, 0.1500]
Realism   FID-portraits               ↓  not measured
Fidelity  LPIPS-portraits             ↓  0.0200 [0.0100, 0.0300]
------------------------------------------------------------------------
Accuracy  PSNR (dB)                   ↑  21.50
cvpr2023; 7 images; 95 % bootstrap intervals over images
ORACLE: the clean image was used
------------------------------------------------------------------------"""


@pytest.fixture
def example() -> Report:
    scores = {"lpips": Score("lpips", 0.1234, 0.1, 0.15), "fidelity": Score("fidelity", 0.02, 0.01, 0.03)}
    scores["psnr"] = Score("psnr", 21.5)
    return Report("upsampling L", "cvpr2023", "-portraits", 7, scores, ("ORACLE: the clean image was used",))


@pytest.fixture(scope="module")
def net() -> PortraitNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = PortraitNetConfig(channels=(8, 8, 8, 8), embedding=8, resolution=32, perceptual_levels=2)
        return PortraitNet(config).eval().requires_grad_(False)


def test_the_text_word_for_word(example):
    assert str(example) == TEXT


def test_digits_follow_the_size():
    sizes = {21.456: "21.46", 1.23456: "1.235", 0.0123: "0.0123", 0.00012345: "0.0001234", 0.0: "0.0000"}
    assert {value: str(Score("fid", value)) for value in sizes} == sizes
    assert str(Score("kid", -0.00002, -0.00003, 0.00001)) == "-0.00002000 [-0.00003000, 0.00001000]"


def test_markdown_and_latex(example):
    table = Table((example,))
    header, rule, row = table.to_markdown().splitlines()
    assert header.startswith("| task | method | images | accuracy, LPIPS-portraits ↓ | fidelity, LPIPS-portraits ↓ |")
    assert rule.count("---") == header.count("|") - 1 == row.count("|") - 1
    assert "| upsampling L | cvpr2023 (ORACLE: the clean image was used) | 7 | 0.1234 [0.1000, 0.1500] |" in row
    assert "| accuracy | LPIPS-portraits ↓ | 0.1234 [0.1000, 0.1500] |" in example.to_markdown()
    latex = Table((summarize("denoising_S", "a & b", "", {"psnr": torch.ones(2)}, {}),)).to_latex()
    assert latex.startswith("\\begin{tabular}{llll}\n") and latex.endswith("\\end{tabular}\n")
    assert r"denoising\_S & a \& b & 2 & 1.000 [1.000, 1.000] \\" in latex and r"PSNR (dB) $\uparrow$" in latex


def test_csv_is_tidy(example):
    rows = list(csv.DictReader(io.StringIO(Table((example, example)).to_csv())))
    assert len(rows) == 6
    assert rows[0]["task"] == "upsampling L" and rows[0]["metric"] == "LPIPS-portraits"
    assert float(rows[0]["value"]) == 0.1234 and math.isnan(float(rows[2]["low"]))
    assert [row["lower_is_better"] for row in rows[:3]] == ["True", "True", "False"]


def test_html_escapes_and_closes_its_tags(example):
    class Balance(HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag, attrs):
            self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    evil = summarize("x", "<script>", "", {"psnr": torch.ones(2)}, {})
    for shown in (example, Table((example,)), evil, Table((evil,))):
        text = shown._repr_html_()
        parser = Balance()
        parser.feed(text)
        assert not parser.open and "<script>" not in text


def test_numbers_are_those_of_the_metrics(net):
    truth = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    truth = (truth * 255).round() / 255
    f = PoissonBernoulliNoise(48, 0.08)

    def seeded():
        return torch.Generator().manual_seed(3)

    y = f.degrade(truth, seeded())
    found = report(tasks.find("N", "S"), y, truth, y, f, judge=portraits_judge(net), generator=seeded(), rounds=20)
    assert found.task == "denoising S" and found.images == 5
    mean, low, high = metrics.mean_interval(metrics.lpips(y, truth, net))
    assert found.scores["lpips"] == Score("lpips", mean, low, high)
    again = f.degrade(y, seeded())
    assert found.scores["fidelity"].value == pytest.approx(metrics.lpips(again, y, net).mean().item(), rel=1e-6)
    features = [realism.image_features(x, net.pooled) for x in (y, truth)]
    fid = found.scores["fid"]
    assert fid.value == pytest.approx(realism.frechet(*features), rel=1e-6) and fid.low <= fid.high
    patches = [realism.patch_features(x, net.pooled) for x in (y, truth)]
    assert found.scores["pfid"].value == pytest.approx(realism.frechet(*patches), rel=1e-6)
    index = torch.tensor([0, 0, 3, 4, 4])
    quick = realism.resampled_frechet(*patches)(index)
    assert quick == pytest.approx(realism.frechet(patches[0][index], patches[1][index]), rel=1e-6)


def test_one_image_has_no_realism_and_no_interval(net):
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = report("inpainting M", x, x, x, Compose(), judge=portraits_judge(net))
    assert "fid" not in found.scores and math.isnan(found.scores["lpips"].low)
    assert "Realism   FID-portraits               ↓  not measured" in str(found)


def test_bad_input(example):
    with pytest.raises(ReportError, match="no image was scored"):
        summarize("x", "y", "", {}, {})
    with pytest.raises(ReportError, match="at least one"):
        Table(()).to_markdown()
    other = summarize("x", "y", "", {"lpips": torch.ones(2)}, {})
    with pytest.raises(ReportError, match="different judges"):
        Table((example, other)).to_markdown()

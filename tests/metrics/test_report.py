"""The performance report: its text word for word, the other forms, and its numbers against the metrics."""

import csv
import io
import math
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from conftest import seeded, small_portrait_net

from rusr_core import metrics, tasks
from rusr_core.degradations import Compose, PoissonBernoulliNoise
from rusr_core.metrics import realism
from rusr_core.metrics.judges import Judge, Score, portraits_judge, realism_scores, set_features, set_scores
from rusr_core.metrics.report import INTERVAL, SPREAD, Report, ReportError, Table, report, summarize
from rusr_core.networks.digests import weights_digest
from rusr_core.networks.portrait_net import PortraitNet

TEXT = """\
------------------------------------------------------------------------
PERFORMANCE REPORT FOR TASK: upsampling (L)
------------------------------------------------------------------------
Accuracy  LPIPS-portraits             ↓  0.1234 [0.1000, 0.1500]
Realism   FID-portraits               ↓  0.0452 ± 0.0120
Fidelity  LPIPS-portraits             ↓  0.0200 [0.0100, 0.0300]
------------------------------------------------------------------------
Accuracy  PSNR (dB)                   ↑  21.50
cvpr2023; 7 images, 2 seeds each
[low, high]: 95 % interval over images (Student)
±: spread over images (jackknife resampling), not an interval; FID and pFID of few images are too large
ORACLE: the clean image was used
------------------------------------------------------------------------"""


@pytest.fixture
def example() -> Report:
    scores = {"lpips": Score("lpips", 0.1234, 0.1, 0.15), "fidelity": Score("fidelity", 0.02, 0.01, 0.03)}
    scores |= {"psnr": Score("psnr", 21.5), "fid": Score("fid", 0.0452, spread=0.012)}
    return Report("upsampling L", "cvpr2023", "-portraits", 7, scores, ("ORACLE: the clean image was used",), 2)


@pytest.fixture(scope="module")
def net() -> PortraitNet:
    return small_portrait_net()


def test_the_text_word_for_word(example):
    assert str(example) == TEXT


@pytest.mark.parametrize("task", ["upsampling", "film:Soft | jpeg:40", "downsample:4", "my own task"])
def test_a_task_of_ones_own_is_named_as_it_is(task, example):
    assert f"REPORT FOR TASK: {task}\n" in str(replace(example, task=task))


def test_digits_follow_the_size():
    sizes = {21.456: "21.46", 1.23456: "1.235", 0.0123: "0.0123", 0.00012345: "0.0001234", 0.0: "0.0000"}
    assert {value: str(Score("fid", value)) for value in sizes} == sizes
    assert str(Score("kid", -0.00002, -0.00003, 0.00001)) == "-0.00002000 [-0.00003000, 0.00001000]"


def test_every_form_says_what_brackets_and_spread_are(example):
    """A Frechet distance has no interval, and no form shows its spread as one."""
    for form in (example, Table((example,))):
        for text in (str(form), form.to_markdown(), form.to_latex(), form._repr_html_()):
            plain = text.replace(r"$\pm$", "±").replace(r"\%", "%").replace("&nbsp;", " ")
            assert "0.0452 ± 0.0120" in plain and INTERVAL in plain and SPREAD in plain
        (fid,) = (row for row in csv.DictReader(io.StringIO(form.to_csv())) if row["metric"] == "FID-portraits")
        assert (fid["low"], fid["high"], fid["spread"]) == ("", "", "0.012")
        assert all("ORACLE" in text for text in (form.to_markdown(), form.to_latex(), form._repr_html_()))
    plain = summarize("x", "y", "", {"psnr": torch.ones(1)}, {})
    assert "interval" not in str(plain) and "spread" not in Table((plain,)).to_markdown()


def test_markdown_and_latex(example):
    table = Table((example,))
    header, rule, row = table.to_markdown().splitlines()[:3]
    assert header.startswith("| task | method | images | accuracy, LPIPS-portraits ↓ | realism, FID-portraits ↓ |")
    assert rule.count("---") == header.count("|") - 1 == row.count("|") - 1
    assert "| upsampling L | cvpr2023 (ORACLE: the clean image was used) | 7 x 2 seeds | 0.1234 [0.1000," in row
    assert "| accuracy | LPIPS-portraits ↓ | 0.1234 [0.1000, 0.1500] |" in example.to_markdown()
    latex = Table((summarize("denoising_S", "a & b", "", {"psnr": torch.ones(2)}, {}),)).to_latex()
    assert latex.startswith("\\begin{tabular}{llll}\n") and latex.endswith("\\end{tabular}\n")
    assert r"denoising\_S & a \& b & 2 & 1.000 [1.000, 1.000] \\" in latex and r"PSNR (dB) $\uparrow$" in latex


def test_what_latex_would_print_as_something_else():
    """With its own fonts it prints a bar as a dash and < as an exclamation mark upside down."""
    scores = {"identity": torch.tensor([-0.25, -0.25])}
    latex = Table((summarize("a:B | jpeg-1:<3", r"x\{$^~}", "", scores, {}),)).to_latex()
    row = r"a:B $|$ jpeg-1:$<$3 & x\textbackslash{}\{\$\textasciicircum{}\textasciitilde{}\} & 2"
    assert row + r" & $-$0.2500 [$-$0.2500, $-$0.2500] \\" in latex


def test_csv_is_tidy(example):
    rows = list(csv.DictReader(io.StringIO(Table((example, example)).to_csv())))
    assert len(rows) == 8
    assert rows[0]["task"] == "upsampling L" and rows[0]["metric"] == "LPIPS-portraits" and rows[0]["seeds"] == "2"
    assert float(rows[0]["value"]) == 0.1234 and rows[3]["low"] == "" == rows[3]["spread"]
    assert [row["lower_is_better"] for row in rows[:4]] == ["True", "True", "True", "False"]


def test_images_that_equal_their_truth_are_counted_and_leave_the_mean_of_psnr():
    found = summarize("x", "y", "", {"psnr": torch.tensor([20.0, torch.inf, 22.0])}, {})
    score = found.scores["psnr"]
    assert score.value == 21 and math.isfinite(score.low) and math.isfinite(score.high) and found.images == 3
    assert found.notes == ("PSNR (dB): 1 of 3 images equal the truth; the mean is that of the others",)
    alone = summarize("x", "y", "", {"psnr": torch.tensor([torch.inf])}, {})
    assert "PSNR (dB)                   ↑  inf\n" in str(alone) and "nan" not in alone.to_csv() + alone.to_markdown()


def test_a_judge_without_a_perceptual_network_measures_no_lpips(net, monkeypatch):
    """None is "not measured"; once the embedded judge stepped in, under the name of the other."""
    monkeypatch.setattr("rusr_core.metrics.scores.judge", lambda *_: pytest.fail("the embedded judge was asked"))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = report("inpainting M", x, x.flip(0), x, Compose(), judge=Judge("", None, None, net.pooled))
    assert set(found.scores) == {"psnr", "ssim", "fid", "pfid", "kid"}
    assert "Accuracy  LPIPS                       ↓  not measured" in str(found)


def test_crops_of_the_two_sets_lie_at_different_places(net, monkeypatch):
    """As published. At equal places the truth had pFID 0 to itself, and JPEG less than half of what it has."""
    cut = []
    places = realism.random_crops
    monkeypatch.setattr(realism, "random_crops", lambda x, *args: cut.append(places(x, *args)) or cut[-1])
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    scores = set_scores(x, x, portraits_judge(net), crops=6)
    assert len(cut) == 8 and not any(torch.equal(a, b) for a, b in zip(cut[:4], cut[4:], strict=True))
    assert scores["pfid"].value > 1e-6 and scores["fid"].value == pytest.approx(0, abs=1e-8)
    assert (scores["kid"].value, scores["kid"].low, scores["kid"].high) == pytest.approx((0, 0, 0), abs=1e-12)


def test_a_tall_table_names_task_and_method_in_one_heading(example):
    """On a phone each cell says its column, and two methods on one task would say the same."""
    shown = Table((example, example))._repr_html_()
    assert shown.count(f"<th>{example.task}, {example.method}") == 2 and "<td>method</td>" not in shown


def test_html_breaks_no_interval():
    shown = summarize("x", "m", "", {"psnr": torch.tensor([20.0, 21.0, 25.0])}, {})._repr_html_()
    assert ",&nbsp;" in shown and "], " not in shown and " [" in shown  # it may begin a line


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

    y = f.degrade(truth, seeded(3))
    found = report(tasks.find("N", "S"), y, truth, y, f, judge=portraits_judge(net), generator=seeded(3), rounds=20)
    assert found.task == "denoising S" and found.images == 5
    assert found.scores["lpips"] == Score("lpips", *metrics.mean_interval(metrics.lpips(y, truth, net)))
    again = f.degrade(y, seeded(3))
    assert found.scores["fidelity"].value == pytest.approx(metrics.lpips(again, y, net).mean().item(), rel=1e-6)
    whole = [realism.image_features(x, net.pooled) for x in (y, truth)]
    starts = (0, realism.REFERENCE)
    patches = [realism.patch_features(x, net.pooled, start=s) for x, s in zip((y, truth), starts, strict=True)]
    for key, features in (("fid", whole), ("pfid", patches)):
        score = found.scores[key]
        assert score.value == pytest.approx(realism.frechet(*features), rel=1e-4) and math.isnan(score.low)
        without = [realism.frechet(*(x[torch.arange(5) != i] for x in features)) for i in range(5)]
        assert score.spread == pytest.approx(2 * torch.tensor(without).std(correction=0).item(), rel=1e-4)
    kid = found.scores["kid"]
    expected = realism.kernel_interval(*whole, paired=True)
    assert (kid.value, kid.low, kid.high) == pytest.approx(expected, rel=1e-3) and kid.low < kid.high


def test_several_seeds_of_an_image_are_one_image(net):
    truth, *restored = torch.rand(3, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sets = [set_features([x], net.pooled, crops=4) for x in (truth, *restored)]
    both = realism_scores(sets[1:], sets[0])
    alone = [realism_scores([found], sets[0]) for found in sets[1:]]
    assert both["fid"].value == pytest.approx(sum(s["fid"].value for s in alone) / 2)
    mixed = torch.stack([found.whole for found in sets[1:]], 1)
    assert both["kid"].value == realism.kernel_distance(mixed, sets[0].whole[:, None], paired=True)


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


def test_scores_of_two_nets_share_no_table(net):
    """Both are LPIPS-portraits: once a table compared them by that name alone."""
    x = torch.rand(3, 3, 32, 32, generator=seeded())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        other = small_portrait_net()
        for weight in other.parameters():
            weight.data += 0.1
    found = [
        report("U M", x, x, x, Compose(), method=n, judge=portraits_judge(j)) for n, j in (("a", net), ("b", other))
    ]
    digests = [weights_digest(each)[:12] for each in (net, other)]
    with pytest.raises(
        ReportError, match=f"a on U M and b on U M were judged by .* {digests[0]} and {digests[1]}: exp"
    ):
        Table(tuple(found))
    unknown = summarize("U M", "c", "-portraits", {"lpips": torch.ones(2)}, {})
    assert Table((found[0], unknown, found[0])).to_markdown().count("| U M |") == 3

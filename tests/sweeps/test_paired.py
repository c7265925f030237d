"""Paired comparisons of a folder: against scores put together by hand, and what is said where there is no number."""

import csv
import io
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sweep_world import enlarged, plan, with_noise

from rusr_core import commands
from rusr_core.metrics import mean_interval
from rusr_core.sweeps import Method, paired, results, run
from rusr_core.sweeps.paired import PairedTable, compare

TASKS = ("denoising M", "inpainting S")


def logs(folder, task: str, method: str, images: int) -> torch.Tensor:
    """The logarithm of each image's distance, the mean over its seeds."""
    rows = [row for row in results.rows(folder) if (row["task"], row["method"]) == (task, method)]
    means = []
    for image in range(images):
        values = [row["lpips"] for row in rows if row["image"] == f"{image:03d}"]
        means.append(math.log(sum(values) / len(values)))
    return torch.tensor(means, dtype=torch.float64)


def test_factors_and_wins_are_those_of_the_portraits(config):
    run(config, plan(3, 2))
    found = compare(config.folder, "plain")
    differences = [logs(config.folder, task, "drawn", 3) - logs(config.folder, task, "plain", 3) for task in TASKS]
    for pair, task, each in zip(found.pairs, TASKS, differences, strict=False):
        assert (pair.task, pair.method, pair.images, pair.seeds) == (task, "drawn", 3, 2)
        assert pair.factor == pytest.approx([math.exp(number) for number in mean_interval(each)])
        assert pair.nearer == int((each < 0).sum())
    together = found.pairs[2]
    assert (together.task, together.nearer, len(found.pairs)) == ("all 2 tasks", None, 3)
    assert together.factor == pytest.approx([math.exp(v) for v in mean_interval(torch.stack(differences).mean(0))])
    mirrored = compare(config.folder, "drawn").pairs[0]
    assert mirrored.factor[0] == pytest.approx(1 / found.pairs[0].factor[0])


def test_the_command_and_its_forms(config, capsys):
    run(config, plan(2))
    words = ["report", str(config.folder), "--against", "plain"]
    for form, expected in {
        "text": "nearer to the truth",
        "markdown": "| drawn |",
        "latex": "\\begin{tabular}{l",
    }.items():
        assert commands.main([*words, "--form", form]) == 0
        assert expected in capsys.readouterr().out
    assert commands.main([*words, "--form", "csv", "--methods", "drawn,plain"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["task"] for row in rows] == [*TASKS, "all 2 tasks"] and rows[0]["against"] == "plain"
    assert float(rows[0]["low"]) < float(rows[0]["factor"]) < float(rows[0]["high"])
    for extra, message in {
        ("--no-realism",): "--no-realism: has no use with --against",
        ("--crops", "3"): "--crops 3: has no use with --against",
        ("--methods", "plain"): "'plain' is compared with others of plain: expected two of them",
        ("--methods", "other"): "no finished unit of 'other', expected one of drawn, plain",
    }.items():
        assert commands.main([*words, *extra]) == 2
        assert message in capsys.readouterr().err


def test_the_lines_of_the_manual_run(config, capsys):
    run(config, plan(2))
    manual = (Path(__file__).parents[2] / "book/manual.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(from rusr_core.sweeps import paired.*?)```", manual, re.DOTALL)
    exec(lines.replace('"OUT", "default"', '"OUT", "plain"').replace('"OUT"', repr(str(config.folder))), {})
    said = capsys.readouterr().out
    assert "LPIPS-portraits against plain" in said and said.count("begin{tabular}") == 2


def test_what_has_no_factor_is_said(config, monkeypatch):
    run(config, plan(3, names=("denoising:M",)))
    run(config, replace(plan(4, names=("denoising:M",)), methods=("drawn",)))
    run(config, replace(plan(3, names=("inpainting:S",)), methods=("drawn",)))
    found = compare(config.folder, "plain")
    assert "drawn: 1 more restorations left out" in str(found) and found.pairs[0].images == 3
    assert (found.pairs[1].factor, found.pairs[1].reason) == (None, "plain has not done it")
    assert "\nn/a: drawn on inpainting S: plain has not done it\n" in found.to_markdown()
    assert ",plain has not done it\n" in found.to_csv()
    missing = {("third", TASKS[0]): "it draws no noise"}
    monkeypatch.setattr(paired, "not_applicable", lambda folder: missing)
    found = compare(config.folder, "plain")
    assert [pair.reason for pair in found.pairs if pair.method == "third"] == ["it draws no noise"]
    assert {pair.reason for pair in compare(config.folder, "third").pairs} >= {"third: it draws no noise"}
    with pytest.raises(results.ResultsError, match="'other' is compared with others of drawn, plain, third"):
        compare(config.folder, "other")


def perfect(prior, y, f, *, seed=0, callback=None):
    """A method that finds the truth, at the distance 0; its y is the truth."""
    return enlarged(prior, y, f)


def shown_the_truth(prior, y, f, *, seed=0, callback=None):
    return replace(with_noise(prior, y, f, seed=seed), oracle=True)


def test_one_task_without_a_factor_leaves_the_others_theirs(config):
    """It has one portrait so far, or a method ends at the truth itself."""
    more = Method("perfect", "test_paired:perfect")
    config = replace(config, methods=(*config.methods, more))
    run(config, plan(3, names=("denoising:M", "inpainting:S"), seeds=2, methods=("plain", "drawn")))
    run(config, plan(1, names=("deartifacting:M",), methods=("plain", "drawn")))
    run(config, plan(2, names=("downsample:1",), methods=("drawn", "perfect", "plain")))
    found = compare(config.folder, "plain", methods=["drawn"])
    reasons = {pair.task: pair.reason for pair in found.pairs}
    assert reasons.pop("deartifacting M") == "portraits to compare: 1, expected 2 or more"
    assert "is 0.0: expected a positive number" in reasons.pop("downsample:1") and not any(reasons.values())
    assert [pair.nearer for pair in found.pairs if pair.reason] == [0, 0]
    (together,) = (pair for pair in found.pairs if pair.task == "2 of 4 tasks")
    assert together.factor is not None and (together.images, together.seeds) == (3, 2)


def test_a_method_that_was_shown_the_truth_is_marked(config):
    more = Method("oracle", "test_paired:shown_the_truth")
    config = replace(config, methods=(*config.methods, more))
    run(config, plan(2, methods=("plain", "oracle")))
    for against, form in itertools.product(("plain", "oracle"), (str, PairedTable.to_csv, PairedTable.to_latex)):
        assert "oracle: ORACLE: the clean image was used" in form(compare(config.folder, against))


def test_a_task_whose_methods_share_no_portrait_is_refused(config):
    run(config, plan(1))
    assert {pair.reason for pair in compare(config.folder, "plain").pairs} == {
        "portraits to compare: 1, expected 2 or more"
    }
    run(config, replace(plan(2), methods=("plain",), images=("003",)))
    run(config, replace(plan(2), methods=("drawn",), images=("004",)))
    (config.folder / "units/plain/N-M/000_0.png").unlink()
    with pytest.raises(results.ResultsError, match="denoising M: no image is done by every method"):
        compare(config.folder, "plain")

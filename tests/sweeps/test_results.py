"""What a sweep's folder says: the table of its units, and performance reports."""

import csv
import json
import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from PIL import Image
from sweep_world import plan, restoration

from rusr_core import commands
from rusr_core.checkpoints import save_portrait_net
from rusr_core.errors import RusrError
from rusr_core.images import load_image
from rusr_core.metrics import judges
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.sweeps import ImageFolder, Method, SweepPlan, paired, parse_tasks, results, run, storage


def test_tables_hold_every_unit(config):
    run(config, plan(1))
    written = results.write_tables(config.folder)
    with open(written[0], newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 and float(table[0]["lpips"]) == results.rows(config.folder)[0]["lpips"]
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(written[1]).to_pylist() == results.rows(config.folder)


def test_reports_from_a_folder(config, capsys):
    run(config, plan(3, names=("denoising:M", "upsampling:XS")))
    judge = results.judge_for(config.folder, config.judge)
    table = results.reports(config.folder, judge, crops=10, rounds=10)
    order = [(task, method) for task in ("upsampling XS", "denoising M") for method in ("drawn", "plain")]
    assert [(r.task, r.method) for r in table.reports] == order
    assert all(report.weights == judge.weights for report in table.reports), "a table knows who judged"
    rows = [r for r in results.rows(config.folder) if (r["task"], r["method"]) == ("denoising M", "plain")]
    score = table.reports[3].scores["lpips"]
    assert score.value == pytest.approx(sum(r["lpips"] for r in rows) / 3) and score.low <= score.value <= score.high
    for key in ("fid", "pfid", "kid"):
        scores = [report.scores[key] for report in table.reports]
        assert all(math.isfinite(score.value) for score in scores)
        assert all(math.isfinite(score.low if key == "kid" else score.spread) for score in scores)
    assert commands.main(["report", str(config.folder), "--no-realism"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("PERFORMANCE REPORT FOR TASK: denoising (M)") == 2 and "not measured" in shown
    assert commands.main(["report", str(config.folder), "--judge", config.judge, "--form", "csv", "--crops", "5"]) == 0
    assert Counter(line.split(",")[5] for line in capsys.readouterr().out.splitlines())["FID-portraits"] == 4
    words = ["report", str(config.folder), "--judge", config.judge, "--rounds", "0", "--methods", "plain"]
    assert commands.main(words) == 0
    shown = capsys.readouterr().out
    assert "±" not in shown and "FID-portraits               ↓  not measured" not in shown and "drawn" not in shown


@pytest.mark.slow
def test_a_report_takes_one_set_of_images_and_seeds_and_counts_what_it_leaves_out(config):
    """A sweep that was cut short: two images with seeds 0 and 1, one more with seed 0, a fourth by one method only."""
    run(config, plan(2, 2, names=("denoising:M",)))
    run(config, plan(3, names=("denoising:M",)))
    run(config, replace(plan(4, names=("denoising:M",)), methods=("plain",)))
    judge = results.judge_for(config.folder, config.judge)
    table = results.reports(config.folder, judge, crops=4, rounds=0)
    rows = results.rows(config.folder)
    for report in table.reports:
        assert (report.images, report.seeds) == (3, 1)
        used = [r["psnr"] for r in rows if r["method"] == report.method and r["seed"] == 0 and r["image"] <= "002"]
        assert len(used) == 3 and report.scores["psnr"].value == pytest.approx(sum(used) / 3)
        number = 3 if report.method == "plain" else 2
        assert report.notes[0].startswith(f"{number} more restorations left out") and report.notes[0] in str(report)
        names = [f"units/{report.method}/N-M/00{{}}_0.png", "truth/00{}.png"]
        sets = [torch.cat([load_image(config.folder / name.format(i)) for i in range(3)]) for name in names]
        fid = judges.set_scores(*sets, judge, crops=4, rounds=0)["fid"]
        assert report.scores["fid"].value == pytest.approx(fid.value, rel=1e-4)
    (alone,) = results.reports(config.folder, judge, methods=["plain"], crops=4, rounds=0).reports
    assert (alone.images, alone.seeds) == (4, 1) and alone.notes[0].startswith("2 more")
    run(config, plan(3, 2, names=("denoising:M",)))
    assert {(r.images, r.seeds) for r in results.reports(config.folder, judge, crops=4, rounds=0).reports} == {(3, 2)}
    with pytest.raises(RusrError, match="no finished unit of 'other', expected one of drawn, plain"):
        results.reports(config.folder, methods=["other"])


def test_folders_and_files_may_be_given_by_name(config):
    """As everywhere else in Python."""
    named = replace(config, folder=str(config.folder), images=str(config.images))
    assert run(named, plan(2, names=("denoising:M",))).ok and named == config
    folder = str(config.folder)
    assert results.rows(folder) == results.rows(config.folder) and results.write_tables(folder)
    assert len(results.reports(folder).reports) == len(paired.compare(folder, "plain").pairs) + 1 == 2
    assert results.judge_for(folder, config.judge).suffix == "-portraits"
    assert storage.read_record(f"{folder}/units/plain/N-M/000_0.png")["method"] == "plain"
    assert list(ImageFolder(str(config.images)).paths) == list(ImageFolder(config.images).paths)


def test_another_judge_is_refused_by_its_weights(config, world, capsys, tmp_path):
    """Once accuracy by one net and realism by another stood in one table."""
    run(config, plan(2, names=("denoising:M",)))
    with pytest.raises(results.ResultsError, match=r"weights [0-9a-f]{12}, the judge given has [0-9a-f]{12}; give the"):
        results.judge_for(config.folder)
    with torch.random.fork_rng(devices=[]):
        other = PortraitNet(PortraitNetConfig(channels=(8, 8, 8, 8), embedding=8, resolution=32, perceptual_levels=2))
    save_portrait_net(other, tmp_path / "other.safetensors")
    assert commands.main(["report", str(config.folder), "--judge", str(tmp_path / "other.safetensors")]) == 2
    assert "the judge given has" in capsys.readouterr().err
    with pytest.raises(results.ResultsError, match="the judge given has"):
        results.reports(config.folder, judges.portraits_judge(other.eval()))
    assert commands.main(["report", str(config.folder), "--judge", config.judge, "--no-realism"]) == 2
    assert "has no use with --no-realism" in capsys.readouterr().err
    for option in ("--crops", "--rounds"):
        assert commands.main(["report", str(config.folder), option, "2", "--no-realism"]) == 2
        assert f"{option} 2: has no use with --no-realism" in capsys.readouterr().err
    path = config.folder / "bench.json"
    path.write_text(path.read_text().replace('"-portraits"', '""'))
    with pytest.raises(results.ResultsError, match="LPIPS-VGG and Inception, the portrait net .* cannot judge it"):
        results.judge_for(config.folder, config.judge)
    assert commands.main(["report", str(config.folder), "--rounds", "1"]) == 2
    assert "argument --rounds: '1': expected 0 or a whole number from 2" in capsys.readouterr().err


KNOWN = {}  # what `knows_the_truth` knows


def knows_the_truth(prior, y, f, **options):
    """A method that cheats, for its infinite PSNR."""
    return restoration(KNOWN["truth"])


def test_the_psnr_of_equal_images_is_valid_json(config, world, monkeypatch):
    monkeypatch.setitem(KNOWN, "truth", load_image(world / "images" / "000.png"))
    own = replace(config, methods=(Method("own", "test_results:knows_the_truth"),))
    assert run(own, SweepPlan(("own",), parse_tasks(["denoising:M"]), ("000",))).ok
    with Image.open(config.folder / "units/own/N-M/000_0.png") as file:
        record = json.loads(file.text["rusr"], parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert record["scores"]["psnr"] == "inf"
    (row,) = results.rows(config.folder)
    assert row["psnr"] == math.inf
    assert "↑  inf" in str(results.reports(config.folder))

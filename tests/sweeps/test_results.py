"""What a sweep's folder says: the table of its units, and performance reports."""

import csv
import math
from collections import Counter

import pytest
from sweep_world import plan

from rusr_core import commands
from rusr_core.sweeps import results, run


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
    rows = [r for r in results.rows(config.folder) if (r["task"], r["method"]) == ("denoising M", "plain")]
    score = table.reports[3].scores["lpips"]
    assert score.value == pytest.approx(sum(r["lpips"] for r in rows) / 3) and score.low <= score.value <= score.high
    assert all(math.isfinite(report.scores[key].value) for report in table.reports for key in ("fid", "pfid", "kid"))
    assert commands.main(["report", str(config.folder), "--no-realism"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("PERFORMANCE REPORT FOR TASK: denoising (M)") == 2 and "not measured" in shown
    assert commands.main(["report", str(config.folder), "--judge", config.judge, "--form", "csv", "--crops", "5"]) == 0
    assert Counter(line.split(",")[4] for line in capsys.readouterr().out.splitlines())["FID-portraits"] == 4

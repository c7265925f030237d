"""Recordings: distilled from a finished sweep, added to, joined, and refused where two runs cannot be compared."""

import csv
import json
import shutil
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest
from scipy import stats
from sweep_world import QUICK, plan

from benchmarks.accuracy import distances
from benchmarks.record import record
from benchmarks.recorded_rows import METRIC_KEYS, write_rows
from benchmarks.recorded_sheets import sheet, widened
from rusr_core.commands.options import CommandError
from rusr_core.files import FileError
from rusr_core.images import load_image
from rusr_core.sweeps import Method, parse_tasks, results, run

pytestmark = pytest.mark.slow


def test_a_recording_compares_methods_on_the_same_images(config, tmp_path, capsys):
    assert run(config, plan(2)).ok and run(config, replace(plan(3), methods=("plain",))).ok
    out = tmp_path / "recording"
    record(config.folder, out, judge=config.judge)
    assert "rusr: left out: denoising M, 002: not every method has done this\n" in capsys.readouterr().err
    record(config.folder, out, judge=config.judge)  # replaces what is there
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["image_names"] == ["000", "001"] and facts["units"] == 8  # 002 lacks a method
    assert facts["images"] == "2" and facts["weights"]["judge"]
    assert facts["settings"] == json.loads((config.folder / "bench.json").read_text())["methods"]
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and {row["image"] for row in rows} == {"000", "001"}
    with (out / "scores.csv").open() as file:
        scores = list(csv.DictReader(file))
    assert {row["images"] for row in scores} == {"2"} and {row["seeds"] for row in scores} == {"1"}
    for row in scores:
        filled = [name for name in ("low", "high", "spread") if row[name]]
        # KID of two images has no interval; FID of two has no spread, since one alone has no covariance
        expected = {"FID": [], "KID": [], "pFID": ["spread"]}
        assert filled == expected.get(row["metric"].removesuffix("-portraits"), ["low", "high"]), row
    assert "no interval" in facts["statistics"]["spread"]
    mean = sum(float(r["lpips"]) for r in rows if (r["method"], r["task"]) == ("plain", "denoising M")) / 2
    chosen = {"method": "plain", "task": "denoising M", "question": "accuracy", "metric": "LPIPS-portraits"}
    (score,) = (row for row in scores if chosen.items() <= row.items())
    assert float(score["value"]) == pytest.approx(mean, rel=1e-3)
    assert sorted(p.name for p in out.glob("*.jpg")) == ["denoising.jpg", "inpainting.jpg"]
    assert facts["sheets"]["denoising"] == {"columns": ["input", *facts["methods"], "truth"], "rows": ["M"]}
    assert not list(tmp_path.glob("*.new"))


def test_a_full_disk_is_said_with_the_file_and_costs_no_recording(config, tmp_path, monkeypatch):
    assert run(config, plan(2)).ok
    out = tmp_path / "recording"
    record(config.folder, out, judge=config.judge)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rusr_core.files.os.fsync", full)
    for options, name in (({}, r".*\.jpg"), ({"sheets": False}, r"results\.csv")):
        with pytest.raises(FileError, match=rf"^{out}/{name}: cannot be written \(No space left on device\)$"):
            record(config.folder, out, judge=config.judge, **options)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".new")] == []


def test_what_a_recording_of_a_half_done_sweep_leaves_out_is_said(config, tmp_path, capsys):
    assert run(config, replace(plan(1), methods=("plain",))).ok and run(config, plan(1, names=("inpainting:S",))).ok
    record(config.folder, tmp_path / "first", judge=config.judge, realism=False, sheets=False)
    said = "rusr: left out: denoising M, of which no image has every method yet\n"
    assert capsys.readouterr().err == said
    shutil.rmtree(config.folder / "units/drawn")
    record(config.folder, tmp_path / "second", judge=config.judge, realism=False, sheets=False)
    assert capsys.readouterr().err == "rusr: left out: drawn, which has no result yet\n"
    with pytest.raises(FileError, match="cannot be written"):
        (tmp_path / "file").write_text("")
        record(config.folder, tmp_path / "file/recording", judge=config.judge)


def test_a_recording_keeps_the_tasks_that_rest_on_more_images(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(2), tasks=parse_tasks(["denoising:M"]))).ok
    record(config.folder, out, judge=config.judge)
    before = (out / "results.csv").read_text().splitlines()[1:]
    assert run(second, plan(1)).ok
    record(second.folder, out, judge=second.judge, adding=True)
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["task"] for row in rows] == ["denoising M"] * 4 + ["inpainting S"] * 2
    assert (out / "results.csv").read_text().splitlines()[1:5] == before  # as they were, the commit too
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["images"] == "1 to 2" and facts["units"] == 6 and len(facts["commits"]) == 1
    with (out / "scores.csv").open() as file:
        assert {(row["task"], row["images"]) for row in csv.DictReader(file)} == {
            ("denoising M", "2"),
            ("inpainting S", "1"),
        }
    withdrawn = {"withdrawn": {"KID-portraits": "counted the pairs"}}
    (out / "provenance.json").write_text(json.dumps(facts | withdrawn))
    record(second.folder, out, judge=second.judge, adding=True)  # keeps the rows, which lack what was withdrawn
    assert withdrawn.items() <= json.loads((out / "provenance.json").read_text()).items()
    (out / "provenance.json").write_text(json.dumps(facts | {"weights": {}}))
    with pytest.raises(CommandError, match="weights"):
        record(second.folder, out, judge=second.judge, adding=True)


def test_a_recording_is_joined_by_other_images(config, tmp_path):
    """Images of two runs count together, once each; a set's realism is of no run, and is left out."""
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(2), tasks=parse_tasks(["denoising:M", "inpainting:S"]))).ok
    record(config.folder, out, judge=config.judge)
    before = (out / "results.csv").read_text().splitlines()
    more = replace(plan(3), images=plan(3).images[1:], tasks=parse_tasks(["denoising:M"]))
    assert run(second, more).ok
    for _ in range(2):  # what is there already is not counted again
        record(second.folder, out, judge=second.judge, adding=True)
        with (out / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert set(before) <= set((out / "results.csv").read_text().splitlines())  # an image of both keeps its row
        units = Counter((row["task"], row["image"]) for row in rows)
        assert units == {("denoising M", f"00{i}"): 2 for i in range(3)} | {
            ("inpainting S", f"00{i}"): 2 for i in (0, 1)
        }
        with (out / "scores.csv").open() as file:
            scores = list(csv.DictReader(file))
        of_denoising = [row for row in scores if row["task"] == "denoising M"]
        assert {row["images"] for row in of_denoising} == {"3"} and len(of_denoising) == 2 * 6
        assert "realism" not in {row["question"] for row in of_denoising}
        assert "realism" in {row["question"] for row in scores if row["task"] == "inpainting S"}
        for row in of_denoising:
            key = METRIC_KEYS[row["question"], row["metric"].removesuffix("-portraits")]
            values = [float(r[key]) for r in rows if (r["task"], r["method"]) == ("denoising M", row["method"])]
            low, high = stats.t.interval(0.95, 2, sum(values) / 3, stats.sem(values))
            expected = [sum(values) / 3, low, high]
            assert [float(row[name]) for name in ("value", "low", "high")] == pytest.approx(
                expected, rel=1e-3, abs=1e-4
            )
        facts = json.loads((out / "provenance.json").read_text())
        assert facts["joined"] == ["denoising M"] and facts["units"] == 10 and facts["images"] == "2 to 3"


def test_a_recording_is_joined_by_other_methods_of_a_comparable_run(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(2), methods=("plain",))).ok
    record(config.folder, out, judge=config.judge)
    known = {file: (out / file).read_text() for file in ("results.csv", "scores.csv", "provenance.json")}
    before = list(csv.DictReader(known["results.csv"].splitlines()))
    assert run(second, plan(1)).ok
    sweep = json.loads((second.folder / "bench.json").read_text())
    sweep["methods"]["drawn"]["denoiser"] = "abc"  # as of a method that restores with one
    (second.folder / "bench.json").write_text(json.dumps(sweep))
    record(second.folder, out, judge=second.judge, adding=True)
    joined = json.loads((out / "provenance.json").read_text())
    assert joined["denoisers"] == {"drawn": "abc"} and joined["settings"] == sweep["methods"]
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["method"] for row in rows) == {"plain": 4, "drawn": 2}
    assert all(row in rows for row in before)
    assert json.loads((out / "provenance.json").read_text())["methods"] == ["drawn", "plain"]
    with (out / "scores.csv").open() as file:
        scores = {(row["task"], row["method"], row["images"]) for row in csv.DictReader(file)}
    tasks_there = {row["task"] for row in before}
    assert scores == {(task, *pair) for task in tasks_there for pair in (("plain", "2"), ("drawn", "1"))}
    for changed, message in (
        ([row | {"method": "another"} for row in before], "repeats no recorded method"),
        (rows, "no method that is not recorded"),
        ([row | {"image": "009"} for row in before], "which is not recorded"),
        ([row | {"lpips": 1.005 * float(row["lpips"])} for row in before], r"LPIPS .*, recorded .*nothing is added"),
    ):
        for file, text in known.items():
            (out / file).write_text(text)
        write_rows(out / "results.csv", changed)
        found = (out / "results.csv").read_text()
        with pytest.raises(CommandError, match=message):
            record(second.folder, out, judge=second.judge, adding=True)
        assert (out / "results.csv").read_text() == found


def with_another(config, folder):
    """A sweep whose methods are those of the first, and one more."""
    return replace(config, folder=folder, methods=(*QUICK, Method("another", "sweep_world:enlarged")))


def test_methods_that_are_added_get_a_column_in_the_sheets_and_keep_who_cannot(config, tmp_path):
    """Once the sheets stayed as they were, and the recorded methods that cannot do a task were forgotten."""
    out = tmp_path / "recording"
    second, third = (with_another(config, tmp_path / name) for name in ("second", "third"))
    assert run(config, replace(plan(1), not_applicable={("ours", "denoising M"): "no"})).ok
    record(config.folder, out, judge=config.judge)
    before = {name: load_image(out / f"{name}.jpg") for name in ("denoising", "inpainting")}
    for name in ("kept", "bare"):
        shutil.copytree(out, tmp_path / name)
    names = {"methods": ("plain", "another")}
    assert run(second, replace(plan(1), **names, not_applicable={("theirs", "inpainting S"): "neither"})).ok
    record(second.folder, out, judge=second.judge, adding=True)
    facts = json.loads((out / "provenance.json").read_text())
    assert facts["not_applicable"] == [["ours", "denoising M", "no"], ["theirs", "inpainting S", "neither"]]
    for name, folder in (("denoising", "N-M"), ("inpainting", "P-S")):
        shown = {"columns": ["input", "another", "drawn", "plain", "truth"], "rows": [folder[-1]]}
        assert facts["sheets"][name] == shown
        columns, old = load_image(out / f"{name}.jpg").chunk(5, 3), before[name].chunk(4, 3)
        for found, expected in zip((columns[0], *columns[2:]), old, strict=True):
            assert (found - expected).abs().mean() < 0.01  # saved as JPEG a second time
        drawn = load_image(second.folder / f"units/another/{folder}/000_0.png")
        assert (columns[1] - drawn).abs().mean() < 0.05  # noise, saved once
    pixels = (out / "denoising.jpg").read_bytes()
    record(second.folder, out, judge=second.judge, adding=True, anew=["another"])
    assert (out / "denoising.jpg").read_bytes() == pixels  # no method is new: nothing is saved a third time
    assert run(third, replace(plan(1), **names, tasks=parse_tasks(["denoising:M"]))).ok  # not all tasks
    record(third.folder, tmp_path / "kept", judge=third.judge, adding=True)
    facts = json.loads((tmp_path / "kept/provenance.json").read_text())
    assert facts["sheets"]["denoising"]["columns"] == ["input", "another", "drawn", "plain", "truth"]
    assert facts["sheets"]["inpainting"]["columns"] == ["input", "drawn", "plain", "truth"]
    assert (load_image(tmp_path / "kept/inpainting.jpg") == before["inpainting"]).all()
    bare = tmp_path / "bare/provenance.json"  # a recording without sheets gets none
    bare.write_text(json.dumps({key: value for key, value in json.loads(bare.read_text()).items() if key != "sheets"}))
    record(third.folder, bare.parent, judge=third.judge, adding=True)
    assert "sheets" not in json.loads(bare.read_text()) and not list(bare.parent.glob("*.jpg"))


def test_a_sheet_gets_no_column_of_another_portrait(config, tmp_path, capsys):
    assert run(config, plan(2, names=("denoising:M",))).ok
    rows, labels = results.rows(config.folder), {"columns": ["input", "plain", "truth"], "rows": ["M"]}
    first = [row for row in rows if row["image"] == "000" and row["method"] == "plain"]
    second = [row for row in rows if row["image"] == "001"]
    assert sheet(config.folder, first, "denoising", tmp_path) == labels
    pixels = (tmp_path / "denoising.jpg").read_bytes()
    assert widened(config.folder, second, "denoising", labels, tmp_path) == labels
    assert (tmp_path / "denoising.jpg").read_bytes() == pixels
    assert "sheet denoising gets no column for drawn: the sweep lacks its portrait" in capsys.readouterr().err


def test_a_recording_is_joined_by_a_run_on_another_device_and_by_other_tasks(config, tmp_path):
    out, second = tmp_path / "recording", replace(config, folder=tmp_path / "second")
    assert run(config, replace(plan(1), methods=("plain",), tasks=parse_tasks(["denoising:M"]))).ok
    record(config.folder, out, judge=config.judge)
    facts, lines = json.loads((out / "provenance.json").read_text()), (out / "results.csv").read_text()
    assert run(second, plan(2)).ok
    with pytest.raises(CommandError, match="001.*which is not recorded"):  # of a task that is there
        record(second.folder, out, judge=second.judge, adding=True)
    third = replace(config, folder=tmp_path / "third")
    assert run(third, plan(1)).ok
    (row,) = csv.DictReader(lines.splitlines())
    (out / "provenance.json").write_text(json.dumps(facts | {"device": "another"}))
    for factor, joined in ((1.05, False), (1.005, True)):
        write_rows(out / "results.csv", [row | {"device_name": "another", "lpips": factor * float(row["lpips"])}])
        with nullcontext() if joined else pytest.raises(CommandError, match="nothing is added"):
            record(third.folder, out, judge=third.judge, adding=True)
    with (out / "results.csv").open() as file:
        found = [(row["task"], row["method"], row["image"]) for row in csv.DictReader(file)]
    assert sorted(found) == [(t, m, "000") for t in ("denoising M", "inpainting S") for m in ("drawn", "plain")]
    assert json.loads((out / "provenance.json").read_text())["device"].startswith("another; ")


def test_inputs_are_judged_by_the_net_that_judged_the_results(config):
    """Once net B judged the inputs whatever judged the restorations."""
    assert run(config, plan(2, names=("denoising:M",))).ok
    assert run(config, replace(plan(3, names=("denoising:M",)), methods=("plain",))).ok
    found = distances(config.folder, config.judge)
    assert {key: len(pairs) for key, pairs in found.items()} == {("denoising M", m): 2 for m in ("drawn", "plain")}
    for before, after in found["denoising M", "plain"]:  # this method gives its input back, in 8 bit as the file
        assert after == pytest.approx(before, rel=1e-3)
    with pytest.raises(results.ResultsError, match="give the file that judged"):
        distances(config.folder)

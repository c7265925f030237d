"""Recordings are read as they were written and say what they are; charts draw every number they are given."""

import csv
import dataclasses
import json
import math
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import slow_if
from matplotlib.text import Text

from rusr_core import metrics, zoo
from rusr_core.figures import FigureError, charts, narrow
from rusr_core.files import DataError
from rusr_core.images import save_image
from rusr_core.metrics.judges import METRICS as METRICS_OF
from rusr_core.metrics.judges import label
from rusr_core.networks.digests import weights_digest
from rusr_core.priors import load_diffusion_prior
from rusr_core.sweeps import recordings
from rusr_core.sweeps.recordings import RecordingError
from rusr_core.tasks import LEVELS, TASKS

UNITS = [
    {"method": "default", "task": "upsampling L", "image": "001", "seed": 0, "lpips": 0.25, "seconds": 3.5},
    {"method": "default", "task": "upsampling L", "image": "002", "seed": 0, "lpips": 0.35, "seconds": 4.5},
]
METRICS = ("LPIPS-portraits", "FID-portraits")
SCORES = [
    {"task": task, "method": method, "images": 2, "question": question, "metric": metric}
    | {"value": value, "low": value - 0.1, "high": value + 0.1}
    for task, value in (("upsampling M", 0.2), ("upsampling L", 0.3))
    for method in ("default", "cvpr2023")
    for question, metric in (("fidelity", "LPIPS-portraits"), *(("accuracy", m) for m in METRICS))
]
ABOUT = {"prior": "tiny", "images": 2, "units": 2, "device": "cpu", "commits": ["0123456789"], "date": "2026-01-01"}


@pytest.fixture
def recording(tmp_path, monkeypatch):
    folder = tmp_path / "results" / "tiny"
    folder.mkdir(parents=True)
    for name, rows in (("results.csv", UNITS), ("scores.csv", SCORES)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    (folder / "provenance.json").write_text(json.dumps(ABOUT))
    monkeypatch.setattr(recordings, "data_path", lambda relative: existing(tmp_path / relative))
    recordings._shipped.cache_clear()
    yield recordings.load("tiny")
    recordings._shipped.cache_clear()


def existing(path):
    if not path.exists():
        raise DataError(f"{path} is missing")
    return path


def test_a_recording_is_read_as_it_was_written(recording):
    assert recordings.names() == ["tiny"] and recording.methods == ["default", "cvpr2023"]
    assert recording.score("upsampling L", "default", "LPIPS-portraits") == pytest.approx((0.3, 0.2, 0.4))
    old = recording.score("upsampling L", "report", "LPIPS-portraits")  # the other name of the preset
    assert old == recording.score("upsampling L", "default", "LPIPS-portraits")
    assert recording.score("upsampling L", "default", "fidelity")[0] == pytest.approx(0.3)
    assert recording.column("lpips", task="upsampling L") == [0.25, 0.35]
    assert recording.units[0]["image"] == "001"  # a name, not the number 1
    assert recording.has("upsampling M", "default") and not recording.has("upsampling XL", "default")
    assert str(recording).startswith("recorded run: profile tiny, 2 portraits, 2 restorations, cpu, commit 0123456")


def test_a_folder_that_lies_here_stands_for_no_recording_of_data(recording, tmp_path, monkeypatch):
    """Chapters ask for recordings by name, in whatever folder they run."""
    shutil.copytree(tmp_path / "results" / "tiny", tmp_path / "here" / "tiny")
    (tmp_path / "here/tiny/provenance.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")
    assert recordings.load("tiny") is recordings.find("tiny") is recording
    assert recordings.load("./tiny") == dataclasses.replace(recording, provenance={})


def test_a_recording_of_another_folder_is_read_by_its_path(recording, tmp_path):
    """One's own, made by `benchmarks.record`; it is read anew, since it may grow."""
    own = (tmp_path / "results" / "tiny").rename(tmp_path / "mine")
    assert recordings.load(own) == recordings.load(str(own)) == dataclasses.replace(recording, name="mine")
    with (own / "results.csv").open("a") as file:
        file.write(",".join(map(str, (UNITS[0] | {"image": "003"}).values())) + "\n")
    assert len(recordings.load(own).units) == 3
    (own / "provenance.json").unlink()
    with pytest.raises(RecordingError, match="expected one of none, or a folder with results.csv, scores.csv, prov"):
        recordings.load(own)


@pytest.mark.parametrize("name", ["", ".", "..", "../results", "tiny/../tiny", "tiny\0"])
def test_a_folder_that_is_no_recording_is_none(recording, name):
    with pytest.raises(RecordingError, match="no recording .*expected one of tiny, or a folder with"):
        recordings.load(name)
    assert recordings.load(Path("tiny")) is recording


def test_the_infinite_psnr_of_equal_images_is_a_number():
    assert recordings._cell("psnr", "inf") == math.inf and recordings._cell("commit", "1e999") == "1e999"


def test_what_was_withdrawn_says_why(recording):
    recording.provenance["withdrawn"] = {"KID-portraits": "counted the pairs"}
    with pytest.raises(RecordingError, match="KID-portraits of recording 'tiny' was withdrawn: counted the pairs"):
        recording.score("upsampling L", "default", "KID-portraits")


@pytest.mark.parametrize("name", [slow_if(name.endswith("ablations"), name) for name in recordings.names()])
def test_shipped_scores_are_those_of_the_shipped_results(name):
    """Means and intervals can be computed from results.csv; what cannot be, and was wrong, shows no value."""
    found = recordings.load(name)
    columns = {(m.question, label(key, "-portraits")): key for key, m in METRICS_OF.items()}
    for row in found.scores:
        key = columns[row["question"], row["metric"]]
        if row["question"] == "realism":
            assert key == "fid" or "withdrawn" not in found.provenance
            assert key == "kid" or ("low" not in row and "high" not in row)
        else:
            values = torch.tensor(found.column(key, task=row["task"], method=row["method"]), dtype=torch.float64)
            expected = metrics.mean_interval(values)
            # units are rounded to five digits, and two portraits multiply that by 12.7 in their interval
            assert (row["value"], row["low"], row["high"]) == pytest.approx(expected, rel=3e-3, abs=1e-4)
            assert len(values) == row["images"]


def test_what_is_not_there_is_an_error(recording):
    with pytest.raises(RecordingError, match="no recording 'other'; expected one of tiny"):
        recordings.load("other")
    with pytest.raises(RecordingError, match="no score .*upsampling XL.*upsampling L"):
        recording.score("upsampling XL", "default", "LPIPS-portraits")
    with pytest.raises(RecordingError, match="no 'psnr'"):
        recording.column("psnr", task="upsampling L")


def points(figure) -> list[tuple[float, float]]:
    """All data points of a figure's lines."""
    found = [line.get_xydata() for ax in figure.axes for line in ax.lines]
    return [tuple(point) for data in found for point in np.asarray(data, float)]


def test_charts_of_a_recording(recording):
    levels = charts.by_level(recording, "LPIPS-portraits", tasks=["upsampling"])
    heights = {round(y, 3) for _, y in points(levels)}
    assert {0.2, 0.3} <= heights and levels.axes[0].get_title() == "upsampling"
    ends = {round(y, 3) for c in levels.axes[0].collections for path in c.get_segments() for _, y in path}
    assert ends == {0.1, 0.2, 0.3, 0.4}  # the intervals
    assert [t.get_text() for t in levels.axes[0].get_xticklabels()] == ["XS", "S", "M\n(2)", "L\n(2)", "XL"]
    assert levels.axes[0].get_yscale() == "linear"
    cloud = charts.scatter(recording, "LPIPS-portraits", "FID-portraits")
    assert (0.3, 0.3) in points(cloud)
    axes = cloud.axes[0]
    assert "L" in [
        text.get_text() for text in axes.texts
    ]  # each task is named: its kind by colour, its level in letters
    assert {"default", "upsampling"} <= {text.get_text() for text in axes.get_legend().get_texts()}


def test_a_recording_is_drawn_by_the_name_of_its_prior_and_what_it_lacks_is_said(recording):
    drawn = charts.recorded_by_level("tiny", "LPIPS-portraits", tasks=["upsampling"])
    assert points(drawn) == points(charts.by_level(recording, "LPIPS-portraits", tasks=["upsampling"]))
    for name, metric, tasks in (
        ("other", "LPIPS-portraits", ["upsampling", "denoising"]),  # no recording
        ("tiny", "identity-portraits", ["upsampling"]),  # no such metric
        ("tiny", "LPIPS-portraits", ["own"]),  # no such task
    ):
        said = charts.recorded_by_level(name, metric, tasks=tasks)
        assert f"No {metric} of {', '.join(tasks)} is recorded with prior {name}." in said


def test_opponents_stand_beside_the_presets_on_logarithmic_axes():
    main = recordings.load("portraits-128")
    figure = charts.by_level(main, "LPIPS-portraits", log=True)
    assert [ax.get_title() for ax in figure.axes] == list(TASKS)
    for ax in figure.axes:
        shown = {label: line[0] for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        assert set(shown) == set(main.methods) and ax.get_yscale() == "log"
        for name, line in shown.items():
            expected = [main.score(f"{ax.get_title()} {level}", name, "LPIPS-portraits")[0] for level in LEVELS]
            assert line.get_ydata() == pytest.approx(expected)
            assert (line.get_linestyle() == "--") == (name in charts.SIMPLE)
        for container in ax.containers:  # every interval stays on the logarithmic axis
            (bars,) = container[2]
            assert all(path[:, 1].min() > 0 for path in bars.get_segments())
    low = dataclasses.replace(main, scores=tuple(row | {"value": -0.1} for row in main.scores))
    with pytest.raises(FigureError, match="identity-portraits of classical on upsampling XS is -0.1: expected no log"):
        charts.by_level(low, "identity-portraits", log=True)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [lambda figure: figure, narrow.copied], ids=["page", "phone"])
def test_labels_of_a_crowded_chart_do_not_lie_upon_each_other(changed):
    """Points of compositions lie so near to each other that labels at one offset could not be read."""
    main, methods = recordings.load("portraits-128"), ("cvpr2023", "default")
    figure = changed(charts.scatter(main, "LPIPS-portraits", "FID-portraits", methods=methods))
    figure.draw_without_rendering()
    boxes = {text: Text.get_window_extent(text) for text in figure.axes[0].texts}
    assert len(boxes) == 31  # all tasks
    for one, other in combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), (one.get_text(), other.get_text())


def test_a_task_of_a_recording_is_named_by_its_kind():
    assert charts.kind_of("upsampling L") == ("upsampling", "L")
    assert charts.kind_of("upsampling+denoising M") == ("composed", "UN")
    assert charts.kind_of("boxblur:9 | jpeg:30") == ("other", "boxblur:9 | jpeg:30")


def test_lines_and_bars():
    figure = charts.lines([1, 2, 3], {"a": [1, 2, 3], "b": [3, 2, 1]}, xlabel="x", ylabel="y", log="y")
    assert (3, 1) in points(figure) and figure.axes[0].get_yscale() == "log"
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["a", "b"]
    figure = charts.lines([1, 2, 3], {"a": [1, 2, 3]}, xlabel="place", ylabel="y")
    assert all(tick.is_integer() for tick in figure.axes[0].get_xticks())  # no place lies between two
    figure = charts.bars({"whole": (1.0, 0.5, 1.5), "part": 2.0}, xlabel="loss", reference="whole")
    assert {(1, 0), (0.5, 0), (1.5, 0), (2, 1)} <= set(points(figure))
    with pytest.raises(FigureError, match="'none'"):
        charts.bars({"a": 1.0}, xlabel="x", reference="none")
    with pytest.raises(FigureError, match="2 values for 3 positions"):
        charts.lines([1, 2, 3], {"a": [1, 2]}, xlabel="x", ylabel="y")


@pytest.mark.parametrize("name", recordings.names())
def test_shipped_recordings_belong_to_the_shipped_weights(name):
    """Remake them (benchmarks/README.md) when the weights change; until then they must say what they are of."""
    found, prior = recordings.load(name), zoo.load_prior()
    networks = {"generator": prior.generator, "perceptual": prior.perceptual}
    same = all(found.provenance["weights"][key] == weights_digest(net) for key, net in networks.items())
    assert same == (not found.earlier)
    assert found.earlier in str(found)  # every caption says it
    for name, digest in found.provenance.get("denoisers", {}).items():
        assert digest == weights_digest(load_diffusion_prior().denoiser), name


def test_pictures_are_shown_where_there_are_any_and_a_sentence_where_not(recording):
    assert recordings.find("tiny") == recording and recordings.find("other") is None
    for name in ("tiny", "other"):
        assert recordings.sheet(name, "upsampling") is None
        assert f"No picture of upsampling is recorded with prior {name}" in charts.sheet(name, "upsampling")


def test_a_sheet_gives_back_its_pictures(recording):
    folder = recordings.data_path("results/tiny")
    labels = {"columns": ["input", "report", "truth"], "rows": ["XS", "M"]}
    facts = json.loads((folder / "provenance.json").read_text()) | {"sheets": {"upsampling": labels}}
    (folder / "provenance.json").write_text(json.dumps(facts))
    recordings._shipped.cache_clear()
    grey = torch.arange(6).reshape(2, 3) / 10
    whole = grey.repeat_interleave(16, 0).repeat_interleave(16, 1).expand(1, 3, -1, -1)
    save_image(whole, folder / "upsampling.jpg")
    sheet = recordings.sheet("tiny", "upsampling")
    assert (sheet.columns, sheet.rows) == (("input", "default", "truth"), ("XS", "M"))
    assert sheet.pictures.shape == (2, 3, 3, 16, 16)
    assert sheet.picture("M", "default").mean() == pytest.approx(0.4, abs=0.01)
    figure = charts.sheet("tiny", "upsampling")
    assert [ax.get_title() for ax in figure.axes[:3]] == list(sheet.columns)
    with pytest.raises(RecordingError, match="no picture 'other' of 'M' in a sheet with rows XS, M and columns input"):
        sheet.picture("M", "other")
    save_image(whole[..., :40], folder / "upsampling.jpg", force=True)
    with pytest.raises(RecordingError, match="40 x 32 px do not hold 2 rows of 3 squares"):
        recordings.sheet("tiny", "upsampling")
